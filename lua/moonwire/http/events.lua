--- Server-sent events, read by a client (HTML, section 9.2). Not for scripts.
local core = require "moonwire.core"
local settings = require "moonwire.http.settings"
local task = require "moonwire.task"

local events = {}

local LINE_MOST <const> = 1024 * 1024 -- bytes of an event
local RETRY_SECONDS <const> = 3

---@class moonwire.http.event
---@field event string "message" unless the server names it
---@field data string
---@field id string of the last event that had one, "" before

-- An iterator over the lines of a body, which end with LF, CR or CRLF. Nothing comes of an unfinished one.
local function lines_of(answer)
  local buffer, at = "", 1
  return function()
    while true do
      local first, last = buffer:find("\r?\n", at)
      local bare = buffer:find("\r", at, true)
      if bare and bare < #buffer and (not first or bare < first) then
        first, last = bare, bare
      end
      if first then
        local line = buffer:sub(at, first - 1)
        at = last + 1
        return line
      end
      local data, err, code = answer:read_some()
      if code == "eof" then
        return nil
      elseif not data then
        error(core.fault(code, err), 0)
      end
      buffer, at = buffer:sub(at) .. data, 1
      if #buffer > LINE_MOST then
        error(core.fault("too_large", "too_large"), 0)
      end
    end
  end
end

local function take_line(state, line)
  local name, value = line:match("^([^:]*):? ?(.*)$")
  if name == "data" then
    state.data[#state.data + 1] = value
    state.size = state.size + #value
  elseif name == "event" then
    state.event = value
  elseif name == "id" and not value:find("\0", 1, true) then
    state.id = value
  elseif name == "retry" and value:find("^%d+$") then
    state.retry = tonumber(value) / 1000
  end
  if state.size > LINE_MOST then
    error(core.fault("too_large", "too_large"), 0)
  end
end

--- An iterator over the events of an answer. `state` keeps id and retry for whoever connects again.
---@param answer moonwire.http.answer
---@param state? table
---@return fun(): moonwire.http.event?
function events.of(answer, state)
  state = state or { id = "" }
  state.data, state.size, state.event = {}, 0, nil
  local next_line, first = lines_of(answer), true
  return function()
    for line in next_line do
      if first then
        line, first = line:gsub("^\xEF\xBB\xBF", ""), false
      end
      if line == "" and #state.data > 0 then
        local event = { event = state.event or "message", data = table.concat(state.data, "\n"),
          id = state.id }
        state.data, state.size, state.event = {}, 0, nil
        return event
      elseif line == "" then
        state.event = nil
      elseif line:sub(1, 1) ~= ":" then
        take_line(state, line)
      end
    end
  end
end

-- A new answer; 204 says that there will be no more, and so does every other one that is not 200.
local function connect(client, address, options, state)
  local headers = settings.merge(options.headers, { Accept = "text/event-stream",
    ["Cache-Control"] = "no-store",
    ["Last-Event-ID"] = state.id ~= "" and state.id or nil })
  local merged = settings.merge(options, { headers = headers, stream = true, body_max = false,
    read_timeout = options.read_timeout or false })
  merged.last_id = nil
  return client:get(address, merged)
end

local function is_stream(answer)
  return answer.status == 200 and (answer:header("content-type") or ""):lower():find("^text/event%-stream")
end

-- The next event of the present answer; nil: it is over, or broken.
local function next_event(state)
  local ok, event = pcall(state.next)
  if not ok and not core.is_fault(event) then
    error(event, 0)
  end
  if not ok and core.is_fault(event) == "cancelled" then
    error(event, 0)
  end
  return ok and event or nil
end

--- An iterator over the events of a URL that connects again when the connection ends, and asks then for what
--- came since the last event. Ends when the server says so, or answers otherwise.
---@param client moonwire.http.client
---@param address string
---@param options? table
---@return fun(): moonwire.http.event?
function events.follow(client, address, options)
  options = options or {}
  local state = { id = options.last_id or "", retry = RETRY_SECONDS, next = nil }
  local begun = false
  return function()
    while true do
      local event = state.next and next_event(state)
      if event then
        return event
      end
      if begun then
        task.sleep(state.retry)
      end
      begun = true
      local answer = connect(client, address, options, state)
      if answer and not is_stream(answer) then
        answer:close()
        return nil
      end
      state.next = answer and events.of(answer, state)
    end
  end
end

return events
