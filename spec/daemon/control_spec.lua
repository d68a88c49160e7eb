-- The control socket of a daemon in use: who is heard, and that nobody is in another's way.
local core = require "moonwire.core"
local daemon = require "spec.support.daemon"
local json = require "moonwire.json"
local lfs = require "lfs"
local net = require "moonwire.net"
local process = require "spec.support.process"

local ECHO <const> = [[return function(conn) for line in conn:lines() do conn:write(line, "\n") end end]]

describe("the control socket of a daemon", function()
  local d, path

  setup(function()
    d = daemon.start { scripts = { ["echo.lua"] = ECHO } }
    path = d.folder.path .. "/control.sock"
  end)
  teardown(function() d:stop() end)

  local function connect(seconds)
    return assert(net.connect("unix://" .. path, { read_timeout = seconds or 10 }))
  end

  it("answers the next command while 200 clients are idle", function()
    local idle = {}
    for i = 1, 200 do
      idle[i] = connect()
      if i % 2 == 0 then
        assert(idle[i]:write '{"command":') -- and no more
        assert(idle[i]:flush())
      end
    end
    local begun = core.now()
    for _ = 1, 5 do
      assert.is_true(d:ask({ command = "status" }).ok)
    end
    assert.is_true(core.now() - begun < 1)
    assert.equal(0, (d:run("status")))
    assert.is_true(d:reload().ok)
    for i = 1, 200 do
      assert.is_true(idle[i]:is_open())
      idle[i]:close()
    end
  end)

  it("stays open to commands when more clients come than there is room for", function()
    local idle = {}
    for i = 1, 300 do
      idle[i] = connect()
    end
    for _ = 1, 3 do
      assert.is_true(d:ask({ command = "status" }).ok)
    end
    for i = 1, 300 do
      idle[i]:close()
    end
  end)

  it("refuses a request that is too long, and only that client", function()
    local conn <close> = connect()
    local other <close> = connect()
    conn:write(('{"command":"status","x":"%s"}'):format(("x"):rep(70000)), "\n")
    local answer = json.decode(conn:read_line())
    assert.is_false(answer.ok)
    assert.equal("too_large", answer.code)
    assert.matches("64 KiB", answer.error)
    assert.is_nil((conn:read_line()))
    assert(other:write '{"command":"status"}\n')
    assert.is_true(json.decode(other:read_line(1024 * 1024)).ok)
  end)

  it("says what is wrong with a request, and hears the next", function()
    local conn <close> = connect()
    for _, case in ipairs {
      { "nonsense", "invalid" }, { "[]", "invalid" }, { "{}", "invalid" },
      { '{"command":"dance"}', "unknown" }, { '{"command":"kill"}', "invalid" },
      { '{"command":"log","level":"loud"}', "invalid" },
      { '{"command":"eval","service":"nobody","code":"1"}', "not_found" },
      { '{"command":"status","worker":9}', "not_found" },
    } do
      assert(conn:write(case[1], "\n"))
      local answer = json.decode(conn:read_line())
      assert.is_false(answer.ok)
      assert.equal(case[2], answer.code, case[1])
    end
    assert(conn:write '{"command":"status"}\n{"command":"log","level":"info"}\n')
    assert.equal(2, #json.decode(conn:read_line(1024 * 1024)).workers)
    assert.same({ ok = true }, json.decode(conn:read_line()))
  end)

  it("is for its owner alone: another user can neither connect nor be heard", function()
    local owner = lfs.attributes("/proc/self", "uid")
    assert.equal("rw-------", lfs.attributes(path, "permissions"))
    if owner ~= 0 then
      return pending "needs root to become another user"
    end
    local function ask()
      local _, output, errors = process.run {
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
        "socat", "-u", "UNIX-CONNECT:" .. path, "-", -- it need not even ask
      }
      return output .. errors
    end
    assert.matches("Permission denied", ask())
    assert.equal(0, (process.run { "chmod", "666", path }))
    local answer = ask()
    assert.equal(0, (process.run { "chmod", "600", path }))
    assert.matches('"code":"denied"', answer)
    d:wait_for_log "turned away user 65534"
    assert.equal("running", d:ask({ command = "status" }).state)
  end)
end)
