--- A DNS server on loopback, for specs: dnsmasq, which answers for the domain `test` and the addresses
--- 127.0.0.0/8. It refuses to look anything else up.
---
---     local server <close> = name_server.start { "--host-record=www.test,127.0.0.1" }
---     dns.configure { servers = { server.address } }
local condition = require "spec.support.condition"
local net = require "moonwire.net"
local process = require "spec.support.process"

local name_server = {}

---@class spec.name_server
---@field address string "127.0.0.1:40123"
---@field process spec.process
local Server = {}
Server.__index = Server

-- Below the ports that the kernel gives to clients: of those one may be taken, or
-- rest after use, for TCP only.
local function free_port()
  for _ = 1, 1000 do
    local port = math.random(10000, 29999)
    local socket <close> = net.datagram("udp://127.0.0.1:" .. port)
    local listener <close> = net.listen("tcp://127.0.0.1:" .. port)
    if socket and listener then
      return port
    end
  end
  error "no free port"
end

--- Starts it and waits until it answers.
---@param records string[] options of dnsmasq
---@return spec.name_server
function name_server.start(records)
  local port = free_port()
  local command = {
    "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--pid-file=", "--no-resolv", "--no-hosts",
    "--bind-interfaces", "--listen-address=127.0.0.1", "--port=" .. port, "--local=/test/127.in-addr.arpa/",
  }
  table.move(records, 1, #records, #command + 1, command)
  local self = setmetatable({ address = "127.0.0.1:" .. port, process = process.start(command) }, Server)
  condition.wait_until(function()
    return self.process:errors():find("started", 1, true)
  end, 5, function()
    return "dnsmasq does not start: " .. self.process:errors()
  end)
  return self
end

--- Ends it.
function Server:stop()
  self.process:stop()
end

Server.__close = Server.stop

return name_server
