-- Started as root: scripts must not have the rights of root, whatever the config says.
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"

-- A config and a script that tells who runs it; the folder is open to root alone.
local function write(place, head)
  place:write("who.lua", [[
    local who = io.open("/proc/self/status"):read("a"):match "Uid:%s+(%d+)"
    return function(conn) conn:write(who, "\n") end]])
  os.execute(("chmod 700 %s"):format(place.path))
  return place:write("moonwire.lua", ('%s control = "%s/control.sock"\n'):format(head, place.path)
    .. 'service "who" { script = "who.lua", listen = "tcp://127.0.0.1:0" }\n')
end

local function is_root(place)
  return lfs.attributes(place.path, "uid") == 0
end

describe("a daemon that root starts", function()
  it("has workers of another account when the config names none, and warns", function()
    local place <close> = folder.new()
    if not is_root(place) then
      return pending "needs root"
    end
    local daemon <close> = process.start { moonwire.binary, "start", "-c", write(place, "workers = 1") }
    local address = condition.wait_until(function()
      return daemon:errors():find "ready" and daemon:errors():match "address=(%S+)"
    end, 10, function() return daemon:errors() end)
    local conn <close> = assert(net.connect("tcp://" .. address))
    assert.matches("^[1-9]%d*$", (conn:read_line()))
    assert.matches("warn .*started by root, and the config names no user: scripts run as %l", daemon:errors())
  end)

  it("does not start when the config names root", function()
    local place <close> = folder.new()
    if not is_root(place) then
      return pending "needs root"
    end
    local status, _, errors = process.run { moonwire.binary, "start", "-c", write(place, 'user = "root"') }
    assert.are.equal(1, status)
    assert.matches('user "root" is root: name another one; scripts do not run as root', errors)
  end)
end)
