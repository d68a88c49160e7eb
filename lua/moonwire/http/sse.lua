--- Server-sent events (the EventSource of the HTML standard): a response that
--- goes on, event by event.
---
---     app:get("/clock", function(request, response)
---       local events <close> = response:sse()
---       while events:send { event = "time", data = os.date() } do
---         task.sleep(1)
---       end
---     end)
local check = require "moonwire.check"
local json = require "moonwire.json"
local sync = require "moonwire.sync"
local timer = require "moonwire.timer"

local sse = {}

local KEEP_ALIVE <const> = 15 -- seconds
local ANY <const> = setmetatable({}, { __index = function() return true end })
local KNOWN <const> = { keep_alive = ANY, retry = "number" }
local FIELDS <const> = { event = true, data = true, id = true, retry = true }

---@class moonwire.http.sse_options
--- Seconds after which a comment goes out, so that nobody on the way takes the connection for dead; default
--- 15, false: none.
---@field keep_alive? number|false
---@field retry? number seconds until a client that was cut off connects again; default: its own

---@class moonwire.http.event
---@field data? string|table what it says; lines become lines, a table becomes JSON
---@field event? string its name; default: the client takes it for "message"
---@field id? string what the client tells in "Last-Event-ID" when it connects again
---@field retry? number seconds

---@class moonwire.http.events
---@field private response moonwire.http.response
---@field private lock moonwire.semaphore
---@field private last number when something was sent
---@field private timer? moonwire.timer
local Events = { __name = "moonwire.http.events" }
Events.__index = Events

-- What is wrong with an event; nil: nothing.
local function problem_of(event)
  for key in pairs(event) do
    if not FIELDS[key] then
      return ("unknown field '%s' (known: data, event, id, retry)"):format(tostring(key))
    end
  end
  if event.event ~= nil and (type(event.event) ~= "string" or event.event:find("[\r\n%z]")) then
    return "event: a string in one line expected"
  elseif event.id ~= nil and (type(event.id) ~= "string" or event.id:find("[\r\n%z]")) then
    return "id: a string in one line expected"
  elseif event.retry ~= nil and not (type(event.retry) == "number" and event.retry >= 0) then
    return "retry: seconds expected"
  end
end

local function data_lines(data)
  local text = type(data) == "table" and json.encode(data) or tostring(data)
  return "data: " .. text:gsub("\r\n?", "\n"):gsub("\n", "\ndata: ") .. "\n"
end

local function format(event)
  local text = ""
  if event.event then
    text = "event: " .. event.event .. "\n"
  end
  if event.id then
    text = text .. "id: " .. event.id .. "\n"
  end
  if event.retry then
    text = ("%sretry: %d\n"):format(text, math.ceil(event.retry * 1000))
  end
  return text .. (event.data ~= nil and data_lines(event.data) or "") .. "\n"
end

local function write(self, text)
  self.last = timer.now()
  return self.response:write(text)
end

--- Sends an event. Waits while the client reads too slowly, and for its turn when
--- another task sends. Raises for a name or id of several lines.
---@param event string|moonwire.http.event a text is its data
---@return true?
---@return string? err
---@return moonwire.code? code "closed", "reset", "timeout": the client is gone
function Events:send(event)
  check.object(self, Events, "send")
  event = type(event) == "table" and event or { data = event }
  local problem = problem_of(event)
  if problem then
    check.refuse(1, "send", problem)
  end
  return self.lock:with(write, self, format(event))
end

--- Sends a comment, which clients skip.
---@param text string of one line
---@return true?
---@return string? err
---@return moonwire.code? code as of send: "closed", "reset", "timeout"
function Events:comment(text)
  check.object(self, Events, "comment")
  check.type(text, "string", 1, "comment")
  if text:find("[\r\n]") then
    check.refuse(1, "comment", "a string in one line expected")
  end
  return self.lock:with(write, self, ":" .. text .. "\n\n")
end

--- Ends the response; the client will connect again after a while. A client that
--- is not to do so gets the status 204 then.
function Events:close()
  check.object(self, Events, "close")
  if self.timer then
    self.timer:cancel()
    self.timer = nil
  end
  if not self.response:is_finished() then
    self.response:finish()
  end
end

Events.__close = Events.close

-- Nobody else is sending, and nothing was sent for a while.
local function keep_alive(self, seconds)
  if self.lock:available() == 1 and timer.now() - self.last >= seconds / 2 then
    self:comment("")
  end
end

-- Called by response:sse(options).
---@private
---@param response moonwire.http.response
---@param options? moonwire.http.sse_options
---@return moonwire.http.events
function sse.start(response, options)
  check.options(options, KNOWN, 1, "sse")
  local seconds = options and options.keep_alive
  if seconds == nil then
    seconds = KEEP_ALIVE
  elseif seconds and not (type(seconds) == "number" and seconds > 0) then
    check.refuse(1, "sse", "option 'keep_alive': seconds above 0, or false, expected")
  end
  response:header("Content-Type", "text/event-stream"):header("Cache-Control", "no-cache")
  response:header("X-Accel-Buffering", "no") -- nginx would keep events back
  local self = setmetatable({ response = response, lock = sync.semaphore(1), last = timer.now() }, Events)
  response:write(options and options.retry and format { retry = options.retry } or ":\n\n")
  response:flush()
  if seconds then
    self.timer = timer.every(seconds, keep_alive, self, seconds)
  end
  return self
end

return sse
