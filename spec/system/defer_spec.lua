local condition = require "spec.support.condition"
local core = require "moonwire.core"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local peer = require "spec.system.peer"
local process = require "spec.support.process"
local timer = require "moonwire.timer"
local vitals = require "spec.system.vitals"

local SILENCE_SECONDS <const> = 0.4

local SCRIPT <const> = [[
local log = require "moonwire.log"
return {
  start = dofile "spec/fixtures/status.lua",
  options = { defer = true, read_timeout = 0.4 },
  connect = function(conn)
    log.info("begun")
    for line in conn:lines() do
      conn:write(line, "\n")
    end
  end,
}]]

describe("a server that defers", function()
  local function begun(server)
    return select(2, server:log():gsub(" begun ", ""))
  end

  it("has no task for a connection that says nothing, until it speaks", function()
    local server <close> = moonwire.serve(SCRIPT:gsub("0%.4", "10"))
    local baseline = vitals.status(server)
    local conns = {}
    for i = 1, 50 do
      conns[i] = assert(net.connect(server.address))
    end
    condition.wait_until(function()
      return vitals.status(server).streams == baseline.streams + 50
    end)
    assert.are.equal(baseline.tasks, vitals.status(server).tasks)
    assert.are.equal(0, begun(server))
    for i = 1, 10 do
      assert(conns[i]:write("hello ", i, "\n"))
      assert.are.equal("hello " .. i, conns[i]:read_line())
    end
    assert.are.equal(baseline.tasks + 10, vitals.status(server).tasks)
    assert.are.equal(10, begun(server))
    for _, conn in ipairs(conns) do
      conn:close()
    end
    vitals.await_baseline(server, baseline)
    assert.are.equal(10, begun(server))
  end)

  it("gives the handler the first bytes, also when the end of data follows at once", function()
    local server <close> = moonwire.serve(SCRIPT)
    for _, text in ipairs { "one\n", "one\ntwo\nthree\n", ("x"):rep(60000) .. "\n" } do
      assert.are.same({ 0, text, "" }, {
        process.run { "nc", "-N", "127.0.0.1", server.port, input = text },
      })
    end
    assert.are.equal(3, begun(server))
  end)

  it("closes a silent connection after the read timeout, without a word", function()
    local server <close> = moonwire.serve(SCRIPT)
    local baseline = vitals.status(server)
    local connected = timer.now()
    local conn <close> = assert(net.connect(server.address))
    assert.are.equal("eof", select(3, conn:read(1)))
    local seconds = timer.now() - connected
    assert.is_true(seconds > SILENCE_SECONDS - 0.05 and seconds < SILENCE_SECONDS + 1, seconds)
    vitals.await_baseline(server, baseline)
    assert.are.equal(0, begun(server))
    assert.is_nil(server:log():match("\n[^\n]+\n[^\n]+"), server:log())
  end)

  it("lets the read timeout of the handler begin when it begins", function()
    local server <close> = moonwire.serve(SCRIPT)
    local conn <close> = assert(net.connect(server.address))
    for i = 1, 8 do
      local due = timer.now() + SILENCE_SECONDS / 4
      condition.wait_until(function() return timer.now() >= due end)
      assert(conn:write(i, "\n"))
      assert.are.equal(tostring(i), conn:read_line())
    end
  end)

  it("takes the end without a byte, and a reset, as a connection that was none", function()
    local server <close> = moonwire.serve(SCRIPT)
    local baseline = vitals.status(server)
    local ended <close> = assert(net.connect(server.address))
    assert(ended:shutdown_write())
    assert.are.equal("eof", select(3, ended:read(1)))
    for _ = 1, 20 do
      assert(net.connect(server.address)):abort()
    end
    assert.are.equal(0, (process.run { "nc", "-N", "127.0.0.1", server.port }))
    vitals.await_baseline(server, baseline)
    assert.are.equal(0, begun(server))
    assert.is_nil(server:log():match("\n[^\n]+\n[^\n]+"), server:log())
  end)

  it("closes those that wait when it is told to stop", function()
    local server <close> = moonwire.serve(SCRIPT:gsub("0%.4", "10"))
    local conns = {}
    for i = 1, 20 do
      conns[i] = assert(net.connect(server.address))
    end
    peer.echo(server.address)
    server.process:signal "TERM"
    assert.are.equal(0, server.process:wait(2))
    for _, conn in ipairs(conns) do
      assert.are.equal("eof", select(3, conn:read(1)))
      conn:close()
    end
  end)
end)

describe("a deferring listener at run time", function()
  it("closes those that wait with it, and lets those who spoke go on", function()
    local streams = core.usage().streams
    local function echo(conn)
      for line in conn:lines() do
        conn:write(line, "\n")
      end
    end
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", echo, { defer = true }))
    local talker <close> = assert(net.connect(listener:local_address()))
    local silent <close> = assert(net.connect(listener:local_address()))
    assert(talker:write("one\n"))
    assert.are.equal("one", talker:read_line())
    condition.wait_until(function() return core.usage().streams == streams + 4 end)
    listener:close()
    assert.are.equal("eof", select(3, silent:read(1)))
    assert(talker:write("two\n"))
    assert.are.equal("two", talker:read_line())
  end)

  it("raises for listeners whose connections are accepted one by one", function()
    local ok, message = pcall(function() return net.listen("tcp://127.0.0.1:0", { defer = true }) end)
    assert.is_false(ok)
    assert.matches("defer_spec%.lua:%d+: bad argument #2 to 'listen' %(option 'defer' is for", message)
  end)
end)
