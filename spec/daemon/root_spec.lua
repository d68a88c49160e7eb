-- Started as root, and no user named: scripts would have the rights of root, so none is even loaded.
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"

local REMEDY <const> = 'started as root: say user = "moonwire" in the config, or another account that is not root; '
  .. "scripts do not run as root"

-- The folder of a config and a script that leaves a mark when it is loaded; nobody may write there, root may.
local function write(place, head)
  place:write("mark.lua", ('io.open("%s/mark", "w"):close() return print'):format(place.path))
  return place:write("moonwire.lua", ('%scontrol = "%s/control.sock"\nservice "mark" { script = "mark.lua", '
    .. 'listen = "tcp://127.0.0.1:0" }\n'):format(head, place.path))
end

local function is_root(place)
  return lfs.attributes(place.path, "uid") == 0
end

describe("a daemon that root starts", function()
  it("ends when its config names no user, or root, before it has loaded a script", function()
    local place <close> = folder.new()
    if not is_root(place) then
      return pending "needs root"
    end
    for head, fault in pairs {
      [""] = REMEDY, ['user = "root" '] = 'user "root" is root: name another one; scripts do not run as root',
    } do
      local config = write(place, head)
      local status, _, errors = process.run { moonwire.binary, "start", "-c", config }
      assert.are.equal(1, status)
      assert.is_not_nil(errors:find("cannot start: " .. config .. ": " .. fault, 1, true), errors)
      assert.is_nil(place:read "mark")
    end
  end)

  it("refuses a reload to such a config, and goes on", function()
    local echo <close> = daemon.start { scripts = { ["echo.lua"] = "return print" } }
    if not is_root(echo.folder) then
      return pending "needs root"
    end
    write(echo.folder, "workers = 2\n")
    local answer = echo:reload()
    assert.is_false(answer.ok)
    assert.is_not_nil(answer.error:find(REMEDY, 1, true), answer.error)
    assert.is_nil(echo.folder:read "mark")
    assert.are.equal(2, #echo:services "echo")
  end)
end)
