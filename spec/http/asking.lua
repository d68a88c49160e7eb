--- Requests as bytes, and their answers taken apart, for specs.
local net = require "moonwire.net"

local asking = {}

---@class spec.answer
---@field status integer
---@field headers table<string, string> names in lower case
---@field body string chunks are joined
---@field bytes string all that came

local function join_chunks(bytes)
  local parts, at = {}, 1
  while true do
    local size, from = bytes:match("^(%x+)\r\n()", at)
    local length = size and tonumber(size, 16)
    if not length or length == 0 then
      return table.concat(parts), length == 0
    end
    parts[#parts + 1] = bytes:sub(from, from + length - 1)
    at = from + length + 2
  end
end

--- Takes an answer apart.
---@param bytes string
---@return spec.answer
function asking.parse(bytes)
  local head, body = bytes:match("^(.-\r\n)\r\n(.*)$")
  assert(head, ("no head: %q"):format(bytes))
  local headers = {}
  for name, value in head:gmatch("\r\n([^:\r\n]+): ([^\r\n]*)") do
    headers[name:lower()] = value
  end
  local answer = { status = tonumber(head:match("^HTTP/1%.1 (%d+) ")), headers = headers, body = body,
    bytes = bytes }
  if headers["transfer-encoding"] == "chunked" and body ~= "" then
    answer.body, answer.is_whole = join_chunks(body)
  end
  return answer
end

--- What is answered to these bytes until the connection ends.
---@param address string
---@param bytes string
---@return spec.answer
function asking.send(address, bytes)
  local conn <close> = assert(net.connect(address))
  assert(conn:write(bytes))
  return asking.parse(assert(conn:read_all(64 << 20)))
end

--- A request with these fields, after which the connection ends.
---@param address string
---@param target string "/path", or with a method: "HEAD /path"
---@param fields? table<string, string>
---@param body? string
---@return spec.answer
function asking.ask(address, target, fields, body)
  local method, path = target:match("^(%u+) (.*)$")
  local lines = { ("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"):format(method or "GET",
    path or target) }
  for name, value in pairs(fields or {}) do
    lines[#lines + 1] = ("%s: %s\r\n"):format(name, value)
  end
  if body then
    lines[#lines + 1] = ("Content-Length: %d\r\n"):format(#body)
  end
  return asking.send(address, table.concat(lines) .. "\r\n" .. (body or ""))
end

return asking
