local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local peer = require "spec.system.peer"
local process = require "spec.support.process"
local task = require "moonwire.task"
local timer = require "moonwire.timer"
local vitals = require "spec.system.vitals"

local LIMIT <const> = 64

describe("a server whose descriptors are exhausted", function()
  local function serve()
    local server = moonwire.serve [[
      return function(conn)
        for line in conn:lines() do
          conn:write(line, "\n")
        end
      end]]
    local status, _, errors = process.run {
      "prlimit", "--pid", server.process:pid(), ("--nofile=%d:%d"):format(LIMIT, LIMIT),
    }
    assert.are.same({ 0, "" }, { status, errors })
    return server
  end

  local function connect_all(server, count)
    local conns = {}
    for i = 1, count do
      conns[i] = assert(net.connect(server.address, { read_timeout = 10 }))
      assert(conns[i]:write("hello ", i, "\n"))
    end
    return conns
  end

  local function close_all(conns)
    for _, conn in ipairs(conns) do
      conn:close()
    end
  end

  local function await_exhaustion(server)
    condition.wait_until(function()
      -- At least, because those that were inherited may have higher numbers.
      return vitals.descriptors(server.process:pid()) >= LIMIT
    end)
    return server:wait_for_log("accepting rests")
  end

  it("lets accepting rest, without effort and with one warning, and serves who is there", function()
    local server <close> = serve()
    local conns = connect_all(server, LIMIT + 20)
    local line = await_exhaustion(server)
    assert.matches("warn  accepting rests for a moment", line)
    local before, begun = vitals.processor(server.process:pid()), timer.now()
    while timer.now() < begun + 2 do
      assert(conns[1]:write("again\n"))
      assert(conns[1]:read_line())
      task.sleep(0.1)
    end
    local share = (vitals.processor(server.process:pid()) - before) / (timer.now() - begun)
    assert.is_true(share < 0.05, ("used %.1f %% of a processor"):format(100 * share))
    local _, warnings = server:log():gsub("accepting rests", "")
    assert.are.equal(1, warnings, server:log())
    close_all(conns)
  end)

  it("answers within half a second when descriptors are free again", function()
    local server <close> = serve()
    local conns = connect_all(server, LIMIT + 20)
    await_exhaustion(server)
    local last = conns[#conns]
    for i = 1, LIMIT do
      conns[i]:close()
    end
    local begun = timer.now()
    assert.are.equal("hello " .. #conns, last:read_line())
    assert.is_true(timer.now() - begun < 0.5, ("answered after %g s"):format(timer.now() - begun))
    assert.is_true(peer.echo(server.address) < 0.5)
    close_all(conns)
  end)

  it("warns again when it happens again", function()
    local server <close> = serve()
    for round = 1, 2 do
      local conns = connect_all(server, LIMIT)
      condition.wait_until(function()
        return select(2, server:log():gsub("accepting rests", "")) == round
      end)
      close_all(conns)
      peer.echo(server.address)
    end
  end)
end)
