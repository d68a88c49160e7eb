--- Connected streams of every kind, for specs.
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local task = require "moonwire.task"

local streams = {}

-- Both ends of one connection to `address`, which listens with `listening`.
local function connect(address, options, listening)
  local listener <close> = assert(net.listen(address, listening))
  local target = address:find "^tls:" and "tls://" .. listener:local_address() or streams.address_of(listener)
  local owner = task.spawn(function()
    return assert(net.connect(target, options)):keep()
  end)
  local accepted = assert(listener:accept(5))
  return assert(owner:join()), accepted
end

--- The address to connect to.
---@param listener moonwire.listener
---@return string
function streams.address_of(listener)
  local address = listener:local_address()
  return address:find("^unix:") and address or "tcp://" .. address
end

local function connect_unix(options)
  local place <close> = folder.new()
  return connect("unix://" .. place.path .. "/x.sock", options)
end

--- Functions that give both ends of a connection, by kind. The first end is the
--- connecting one; close it.
---@type table<string, fun(): moonwire.stream, moonwire.stream>
streams.kinds = {
  ["in memory"] = function() return net.pair() end,
  ["over TCP"] = function() return connect "tcp://127.0.0.1:0" end,
  ["over TCP on IPv6"] = function() return connect "tcp://[::1]:0" end,
  ["over a Unix socket"] = connect_unix,
  ["over TLS"] = function()
    return connect("tls://127.0.0.1:0", { tls = { verify = "none" } }, { tls = "auto" })
  end,
}

--- Both ends of a TCP connection.
---@param options? moonwire.connect_options of the first
function streams.tcp(options)
  return connect("tcp://127.0.0.1:0", options)
end

return streams
