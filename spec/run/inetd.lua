--- A super-server of one connection, for specs: `inetd.py` beside this file.
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"

local inetd = {}

---@class spec.inetd
---@field address string where the one connection is awaited
---@field process spec.process
local Inetd = {}
Inetd.__index = Inetd

---@class spec.inetd_options
---@field code? string of the script
---@field script? string or its path
---@field options? string[] of `moonwire run`; default --stdio
---@field how? string as inetd.py says; default "inetd"
---@field family? string "v4" (default) or "v6"
---@field log? string path of the log; default none, as inetd has it

--- Waits for a connection, for which it starts the script.
---@param options spec.inetd_options
---@return spec.inetd
function inetd.start(options)
  local place = folder.new()
  local script = options.script or place:write("script.lua", options.code)
  local words = { "python3", "spec/run/inetd.py", options.how or "inetd", options.family or "v4",
    moonwire.binary, "run", script, "--log-level", "debug" }
  table.move(options.log and { "--log-file", options.log } or {}, 1, 2, #words + 1, words)
  table.move(options.options or { "--stdio" }, 1, #(options.options or { 1 }), #words + 1, words)
  local self = setmetatable({ folder = place, process = process.start(words) }, Inetd)
  condition.wait_until(function()
    self.address = self.process:output():match "^(%S+)\n"
    return self.address
  end, 30)
  return self
end

--- The connection.
---@return moonwire.stream
function Inetd:connect()
  return assert(net.connect(self.address))
end

--- What the script's process has ended with, once it has.
---@return integer
function Inetd:status()
  assert(self.process:wait(30) == 0, "inetd.py has not ended well")
  return math.tointeger(tonumber(self.process:output():match "status (%-?%d+)"))
end

function Inetd:stop()
  self.process:stop()
  self.folder:remove()
end

Inetd.__close = Inetd.stop

return inetd
