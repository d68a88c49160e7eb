-- What a daemon needs of its own files after it has started: nothing.
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"

local SCRIPT <const> = [[
return function(conn)
  local json = require "moonwire.json"
  conn:write(json.encode { ok = true }, "\n")
end]]

local function greeting(d)
  local conn <close> = assert(net.connect(d:address "a"))
  return conn:read_line()
end

describe("a daemon", function()
  it("goes on, starts workers and reloads when its own Lua modules cannot be read any more", function()
    local place <close> = folder.new()
    local library = package.searchpath("moonwire.task", package.path):match "^(.*)/moonwire/task%.lua$"
    assert(os.execute(("mkdir %s/bin && cp %s %s/bin/moonwire && cp -r %s %s/lua"):format(
      place.path, moonwire.binary, place.path, library, place.path)))
    local d <close> = daemon.start {
      binary = place.path .. "/bin/moonwire", workers = 1, scripts = { ["a.lua"] = SCRIPT },
    }
    assert(os.execute(("rm -r %s/lua"):format(place.path)))
    assert.equal('{"ok":true}', greeting(d))
    os.execute("kill -9 " .. d:ask({ command = "status" }).workers[1].pid)
    assert.equal('{"ok":true}', greeting(d))
    local answer = d:reload()
    assert.is_true(answer.ok, answer.error)
    assert.equal('{"ok":true}', greeting(d))
  end)
end)
