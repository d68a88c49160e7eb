--- A redis-server for specs, in a folder and on a port of its own.
---
---     local server <close> = redis_server.start()
---     local client = redis.connect(server.url)
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local process = require "spec.support.process"

local redis_server = {}

local WAIT_SECONDS <const> = 20

---@class spec.redis_server
---@field port integer
---@field url string "redis://127.0.0.1:40123"
---@field folder spec.folder for its files
local Server = {}
Server.__index = Server

local function free_port()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  return math.tointeger(tonumber(listener:local_address():match(":(%d+)$")))
end

local function answers(port)
  local conn <close> = net.connect("tcp://127.0.0.1:" .. port)
  return conn and conn:write("PING\r\n") and (conn:read_line() or ""):find("^[+-]")
end

--- Starts it, again after `kill`, and waits until it answers.
function Server:start()
  self.process = process.start(self.command)
  condition.wait_until(function()
    return self.process:status() or answers(self.plain_port)
  end, WAIT_SECONDS, "redis-server does not answer")
  if self.process:status() then
    error("redis-server ended: " .. self.process:output(), 0)
  end
end

--- Ends it at once.
function Server:kill()
  self.process:signal "KILL"
  self.process:wait()
  self.process:stop()
end

--- Ends it for good.
function Server:stop()
  self.process:stop()
  self.folder:remove()
end

Server.__close = Server.stop

--- Starts one.
---@param ... string|number further words of its command: "--requirepass", "secret"
---@return spec.redis_server
function redis_server.start(...)
  local place, port = folder.new(), free_port()
  local self = setmetatable({
    folder = place, port = port, plain_port = port, url = "redis://127.0.0.1:" .. port,
  }, Server)
  self.command = { "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", place.path, "--save", "",
    "--unixsocket", place.path .. "/redis.sock", ... }
  local ok, message = pcall(Server.start, self)
  if not ok then
    self:stop()
    error(message, 2)
  end
  return self
end

--- A port for a further listener of one that is to be started.
---@return integer
redis_server.free_port = free_port

return redis_server
