--- A site in the process of the spec, and what it answers to bytes on a socket.
---
---     local site <close> = web.serve(app)
---     local answer = site:request("GET", "/", { cookie = "a=1" })
---     assert.are.equal(200, answer.status)
local net = require "moonwire.net"
local server = require "moonwire.http.server"

local web = {}

---@class spec.web
---@field address string
---@field private listener moonwire.listener
local Site = {}
Site.__index = Site

---@class spec.answer
---@field status integer
---@field head string
---@field headers table<string, string> names in lower case; several of a name are joined with "\n"
---@field body string

--- Serves a handler or router on a free port until the end of the block.
---@param handler any
---@param options? moonwire.http.serve_options
---@return spec.web
function web.serve(handler, options)
  local listener = assert(server.serve("tcp://127.0.0.1:0", handler, options))
  return setmetatable({ listener = listener, address = listener:local_address() }, Site)
end

function Site:__close()
  self.listener:close()
end

local function undo_chunks(body)
  local parts, at = {}, 1
  while true do
    local size, from = body:match("^(%x+)\r\n()", at)
    size = tonumber(assert(size, "a chunk is missing"), 16)
    if size == 0 then
      return table.concat(parts)
    end
    parts[#parts + 1] = body:sub(from, from + size - 1)
    at = from + size + 2
  end
end

--- What came back on a connection that has ended.
---@param bytes string
---@return spec.answer
function web.parse(bytes)
  local head, body = bytes:match("^(.-\r\n)\r\n(.*)$")
  assert(head, "no head in: " .. bytes)
  local headers = {}
  for name, value in head:gmatch("\r\n([^:\r\n]+): ([^\r\n]*)") do
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. "\n" .. value or value
  end
  if headers["transfer-encoding"] == "chunked" then
    body = undo_chunks(body)
  end
  local status = math.tointeger(tonumber(head:match("^HTTP/1.1 (%d+)")))
  return { status = status, head = head, headers = headers, body = body }
end

--- Makes a request on a connection of its own.
---@param method string
---@param target string
---@param headers? table<string, string>
---@param body? string with a length
---@param bytes? string that are sent behind the head as they are
---@return spec.answer
function Site:request(method, target, headers, body, bytes)
  local lines = { ("%s %s HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n"):format(method, target) }
  for name, value in pairs(headers or {}) do
    lines[#lines + 1] = ("%s: %s\r\n"):format(name, value)
  end
  if body then
    lines[#lines + 1] = ("Content-Length: %d\r\n"):format(#body)
  end
  local conn <close> = assert(net.connect("tcp://" .. self.address:gsub("^tcp://", "")))
  assert(conn:write(table.concat(lines), "\r\n", body or bytes or ""))
  return web.parse(assert(conn:read_all(16 * 1024 * 1024)))
end

--- Makes a GET request.
---@param target string
---@param headers? table<string, string>
---@return spec.answer
function Site:get(target, headers)
  return self:request("GET", target, headers)
end

--- Makes a POST request.
---@param target string
---@param body string
---@param content_type? string
---@return spec.answer
function Site:post(target, body, content_type)
  return self:request("POST", target, { ["Content-Type"] = content_type }, body)
end

return web
