--- Whether what a peer says first belongs to the protocol that is expected. Nothing is taken: the bytes are
--- still unread afterwards. Not for scripts.
local task = require "moonwire.task"

local expect = {}

local LINE_MOST <const> = 8192

-- What a peer that speaks the protocol begins with.
local BEGINNINGS <const> = {
  ssh = { "SSH-2.0-", "SSH-1.99-" }, -- RFC 4253 section 5.1
}

-- What is there, once it is more than `count` bytes.
local function peek_beyond(stream, count)
  local _, err, code = stream:peek(count + 1)
  if code then
    return nil, err, code
  end
  return stream:peek_some(LINE_MOST)
end

local function fits(data, beginning)
  local size = math.min(#data, #beginning)
  return data:sub(1, size) == beginning:sub(1, size), #data >= #beginning
end

-- Asks as long as it could still become one of the beginnings.
local function begins_with(stream, beginnings)
  local count = 0
  while true do
    local data, err, code = peek_beyond(stream, count)
    if not data then
      return nil, err, code
    end
    local is_possible = false
    for _, beginning in ipairs(beginnings) do
      local is_same, is_whole = fits(data, beginning)
      if is_same and is_whole then
        return true
      end
      is_possible = is_possible or is_same
    end
    if not is_possible then
      return nil, "not the beginning that was expected", "protocol"
    end
    count = #data
  end
end

-- A request line (RFC 9112 section 3), or the preface of HTTP/2 (RFC 9113 section 3.4), as far as it is
-- there: nil when it is none.
local function look_at_request(data)
  local line = data:match "^([^\r\n]*)\r?\n"
  if line then
    return line:find "^%u+ [^%c ]+ HTTP/1%.[01]$" and "whole" or line == "PRI * HTTP/2.0" and "whole" or nil
  elseif #data < LINE_MOST and (data:find "^%u*$" or data:find "^%u+ [^%c ]*$"
    or data:find "^%u+ [^%c ]+ [HTP/0-9.]*\r?$") then
    return "part"
  end
end

local function http(stream)
  local count = 0
  while true do
    local data, err, code = peek_beyond(stream, count)
    if not data then
      return nil, err, code
    end
    local state = look_at_request(data)
    if state ~= "part" then
      if state then
        return true
      end
      return nil, "no request of HTTP", "protocol"
    end
    count = #data
  end
end

local function tls(stream)
  local hello, err, code = stream:peek_client_hello()
  if not hello then
    return nil, err, code
  end
  return hello
end

local function run(stream, seconds, fn, ...)
  if not seconds then
    return fn(stream, ...)
  end
  return task.with_timeout(seconds, fn, stream, ...)
end

--- Waits for what shows whether the peer speaks a protocol.
function expect.protocol(stream, protocol, seconds)
  if protocol == "tls" then
    return run(stream, seconds, tls)
  elseif protocol == "http" then
    return run(stream, seconds, http)
  end
  return run(stream, seconds, begins_with, BEGINNINGS[protocol])
end

--- The same for text that it must begin with.
function expect.beginning(stream, text, seconds)
  return run(stream, seconds, begins_with, { text })
end

return expect
