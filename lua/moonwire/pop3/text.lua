--- Messages as POP3 sends them: CRLF behind each line, a dot before each that begins with one, and a dot as
--- the end (RFC 1939, section 3). Not for scripts.
local text = {}

local CHUNK <const> = 64 * 1024

-- What a piece of a message becomes. `state` has `held`, a CR whose LF may follow, and `at_start` of a line.
local function encode(state, chunk)
  local piece = state.held .. chunk
  state.held = piece:sub(-1) == "\r" and "\r" or ""
  piece = piece:sub(1, #piece - #state.held):gsub("\r?\n", "\r\n")
  if piece == "" then
    return ""
  end
  local first = state.at_start and piece:sub(1, 1) == "." and "." or ""
  state.at_start = piece:sub(-1) == "\n"
  return first .. piece:gsub("\n%.", "\n..")
end

local function ending(state)
  return state.held .. ((state.held ~= "" or not state.at_start) and "\r\n" or "") .. ".\r\n"
end

-- Whether a line's end is the last one to send. `limit.left` counts lines of the body.
local function is_last(limit, is_empty)
  if limit.is_body then
    limit.left = limit.left - 1
  end
  limit.is_body = limit.is_body or is_empty
  return limit.is_body and limit.left <= 0
end

-- The part of a piece that is within the limit, and whether the limit is reached. `limit.is_empty`: nothing
-- but a CR has come of the line.
local function cut(limit, chunk)
  local from = 1
  repeat
    local lf = chunk:find("\n", from, true)
    limit.is_empty = limit.is_empty and chunk:find("^\r?$", from) ~= nil
      or limit.is_empty and lf ~= nil and chunk:find("^\r?\n", from) ~= nil
    if not lf then
      return chunk, false
    elseif is_last(limit, limit.is_empty) then
      return chunk:sub(1, lf), true
    end
    from, limit.is_empty = lf + 1, true
  until from > #chunk
  return chunk, false
end

--- Sends what an open file has, and the end. A file that fails breaks the connection off: nobody must take
--- a part for all.
---@param conn moonwire.stream
---@param opened moonwire.file
---@param count? integer lines of the body at most; default: all
---@return true?
---@return string? err
---@return moonwire.code? code
function text.send(conn, opened, count)
  local state = { held = "", at_start = true }
  local limit = count and { left = count, is_empty = true }
  local is_done = false
  while not is_done do
    local chunk, err, code = opened:read(CHUNK)
    if not chunk and code ~= "eof" then
      conn:abort()
      return nil, err, code
    end
    is_done = not chunk
    if chunk and limit then
      chunk, is_done = cut(limit, chunk)
    end
    local ok, problem, kind = conn:write(chunk and encode(state, chunk) or "")
    if not ok then
      return nil, problem, kind
    end
  end
  return conn:write(ending(state))
end

return text
