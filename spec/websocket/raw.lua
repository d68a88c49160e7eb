--- A WebSocket peer that does what it is told, right or wrong, for specs.
---
---     local peer <close> = raw.connect(listener)
---     peer:send(raw.frame(raw.TEXT, "hello"))
---     local frame = peer:read()
local net = require "moonwire.net"
local server = require "moonwire.http.server"
local streams = require "spec.support.streams"
local websocket = require "moonwire.websocket"

local raw = { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 }

local KEY <const> = "dGhlIHNhbXBsZSBub25jZQ=="
local MASK <const>, NO_MASK <const> = "\x37\xfa\x21\x3d", "\0\0\0\0"
local LONG <const> = 4096 -- a payload that is not worth masking here

local function mask_bytes(bytes)
  local masked = {}
  for i = 1, #bytes do
    masked[i] = string.char(bytes:byte(i) ~ MASK:byte((i - 1) % 4 + 1))
  end
  return table.concat(masked)
end

---@class spec.frame_options
---@field final? boolean default true
---@field reserved? integer the three bits; 4 is that of the extension
---@field masked? boolean default true
---@field length? string instead of the right one: second byte without the mask's bit, and what follows it

--- A frame as bytes.
---@param opcode integer
---@param payload? string
---@param options? spec.frame_options
---@return string
function raw.frame(opcode, payload, options)
  payload, options = payload or "", options or {}
  local length = options.length or #payload < 126 and string.char(#payload)
    or #payload < 65536 and string.pack(">BI2", 126, #payload) or string.pack(">BI8", 127, #payload)
  local masked = options.masked ~= false
  local first = (options.final == false and 0 or 0x80) | (options.reserved or 0) << 4 | opcode
  local second = length:byte() | (masked and 0x80 or 0)
  local head = string.char(first, second) .. length:sub(2)
  if masked and #payload < LONG then
    return head .. MASK .. mask_bytes(payload)
  end
  return head .. (masked and NO_MASK or "") .. payload
end

--- A close frame.
---@param code integer
---@param reason? string
---@return string
function raw.close(code, reason)
  return raw.frame(raw.CLOSE, string.pack(">I2", code) .. (reason or ""))
end

---@class spec.raw_peer
---@field conn moonwire.stream
---@field head string answer to the handshake
local Peer = {}
Peer.__index = Peer

--- The request of a handshake.
---@param fields? table<string, string|false> instead of those that it has, or beside them; false: left out
---@return string
function raw.request(fields)
  local all = {
    Host = "localhost", Upgrade = "websocket", Connection = "Upgrade", ["Sec-WebSocket-Key"] = KEY,
    ["Sec-WebSocket-Version"] = "13",
  }
  for name, value in pairs(fields or {}) do
    all[name] = value
  end
  local lines = { "GET / HTTP/1.1" }
  for name, value in pairs(all) do
    lines[#lines + 1] = value and name .. ": " .. value or nil
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

--- Connects and shakes hands.
---@param listener moonwire.listener
---@param fields? table<string, string|false>
---@return spec.raw_peer
function raw.connect(listener, fields)
  local conn = assert(net.connect(streams.address_of(listener)))
  assert(conn:write(raw.request(fields)))
  local head = assert(conn:read_until "\r\n\r\n")
  assert(head:find "^HTTP/1.1 101 ", head)
  return setmetatable({ conn = conn, head = head }, Peer)
end

---@param bytes string
function Peer:send(bytes)
  assert(self.conn:write(bytes))
  assert(self.conn:flush())
end

--- The next frame; nil at the end of the connection.
---@return { opcode: integer, payload: string, final: boolean, reserved: integer }?
function Peer:read()
  local head = self.conn:read(2)
  if not head then
    return nil
  end
  local first, second = head:byte(1, 2)
  local size = second & 0x7F
  size = size == 126 and string.unpack(">I2", self.conn:read(2)) or size == 127 and string.unpack(">I8",
    self.conn:read(8))
    or size
  assert(second & 0x80 == 0, "a server does not mask")
  return {
    opcode = first & 0x0F, final = first & 0x80 ~= 0, reserved = first >> 4 & 7,
      payload = assert(self.conn:read(size)),
  }
end

--- Reads up to the end: what came, in short: "text hello", "pong x", "close 1000 bye".
---@return string[]
function Peer:read_rest()
  local names <const> = { [0] = "more", "text", "binary", [8] = "close", [9] = "ping", [10] = "pong" }
  local seen = {}
  for frame in function() return self:read() end do
    local text = frame.payload
    if frame.opcode == raw.CLOSE and #text >= 2 then
      text = ("%d %s"):format(string.unpack(">I2", text), text:sub(3))
    end
    seen[#seen + 1] = (names[frame.opcode] .. " " .. text):match("^(.-) *$")
  end
  return seen
end

Peer.__close = function(self)
  self.conn:close()
end

local function echo(ws)
  for message, kind in ws:messages() do
    ws:send(message, kind)
  end
end

--- A server whose handler gets the WebSocket of each connection; it echoes by default.
---@param options? moonwire.websocket_accept_options
---@param handler? fun(ws: moonwire.websocket)
---@return moonwire.listener
function raw.serve(options, handler)
  return assert(server.serve("tcp://127.0.0.1:0", function(request, response)
    local ws = websocket.accept(request, response, options)
    if ws then
      pcall(handler or echo, ws)
    end
  end))
end

--- Its URL.
---@param listener moonwire.listener
---@return string
function raw.url(listener)
  return "ws://" .. listener:local_address() .. "/"
end

return raw
