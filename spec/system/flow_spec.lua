local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local peer = require "spec.system.peer"
local vitals = require "spec.system.vitals"

local MIB <const> = 1024 * 1024
local GROWTH <const> = 4 * MIB -- what one peer may cost the process, whatever it does
local NEIGHBOUR_SECONDS <const> = 0.25 -- an echo is a thousand times faster: this is for a busy machine

-- Whoever says "echo" is a neighbour; what others are served with is in the script under test.
local function serve(other)
  return moonwire.serve(([[
    local log = require "moonwire.log"
    local function other(conn)
      %s
    end
    return {
      start = dofile "spec/fixtures/status.lua",
      options = { read_timeout = 1, write_timeout = 1 },
      connect = function(conn)
        if conn:peek(14) == "are you there?" then
          return conn:write(conn:read_line(), "\n")
        end
        other(conn)
      end,
    }]]):format(other))
end

local function assert_bounded(server, resident)
  if not vitals.is_sanitized(server.process:pid()) then
    local grown = vitals.resident(server.process:pid()) - resident
    assert.is_true(grown < GROWTH, ("grown by %d bytes"):format(grown))
  end
end

describe("a peer that never reads", function()
  it("costs no more than the high mark, disturbs nobody, and is ended by the write timeout", function()
    local server <close> = serve [[
      conn:read_line()
      local piece, most, left, ok, err, code = ("x"):rep(16384), 0, 6400, true, nil, nil
      while ok and left > 0 do
        ok, err, code = conn:write(piece)
        most = math.max(most, conn:counters().pending)
        left = left - 1
      end
      log.info("ended", { most = most, left = left, err = err, code = code })]]
    peer.echo(server.address)
    local baseline = vitals.status(server)
    local resident = vitals.resident(server.process:pid())
    local deaf <close> = peer.start("deaf", server.port, "send much please")
    local line
    local slowest = peer.slowest_echo_until(server.address, function()
      line = server:log():match("ended [^\n]+")
      return line
    end)
    assert.matches("code=timeout err=timeout", line)
    assert.is_true(tonumber(line:match("left=(%d+)")) > 0, line)
    assert.is_true(tonumber(line:match("most=(%d+)")) <= 65536 + 16384, line)
    assert.is_true(slowest < NEIGHBOUR_SECONDS, ("a neighbour waited %g s"):format(slowest))
    assert_bounded(server, resident)
    deaf:stop()
    vitals.await_baseline(server, baseline)
  end)

  it("gets 100 MB once it reads, while the server holds no more than the high mark of it", function()
    local server <close> = serve [[
      conn:configure { write_timeout = 20 }
      conn:read_line()
      local piece, most = ("x"):rep(16384), 0
      for _ = 1, 6400 do
        assert(conn:write(piece))
        most = math.max(most, conn:counters().pending)
      end
      log.info("written", { most = most })]]
    peer.echo(server.address)
    local resident = vitals.resident(server.process:pid())
    local late <close> = peer.start("deaf", server.port, "send much please")
    peer.await_output(late, "connected")
    late:signal "USR1"
    assert.are.equal("104857600", peer.await_output(late, "read (%d+)", 20))
    assert.is_true(tonumber(server:wait_for_log("written"):match("most=(%d+)")) <= 65536 + 16384)
    assert_bounded(server, resident)
  end)
end)

describe("a peer that sends without an end", function()
  it("is refused by the limit of a line, and costs no more than the input mark", function()
    local server <close> = serve [[
      for _ in conn:lines { max = 4096 } do
      end]]
    peer.echo(server.address)
    local baseline, resident = vitals.status(server), vitals.resident(server.process:pid())
    local endless <close> = peer.start("endless", server.port)
    peer.await_output(endless, "Error after %d+")
    assert.matches("info  too_large .-connection=127%.0%.0%.1:%d+", server:wait_for_log("too_large"))
    assert_bounded(server, resident)
    assert.is_true(peer.echo(server.address) < NEIGHBOUR_SECONDS)
    vitals.await_baseline(server, baseline)
  end)

  it("is not read further than the input mark by a handler that takes nothing", function()
    local server <close> = serve [[
      conn:configure { read_timeout = 20 }
      log.info("resting")
      require "moonwire.task".sleep(1.2)
      log.info("rested", { received = conn:counters().received })]]
    peer.echo(server.address)
    local resident = vitals.resident(server.process:pid())
    local endless <close> = peer.start("endless", server.port)
    server:wait_for_log("resting")
    local rested
    local slowest = peer.slowest_echo_until(server.address, function()
      rested = server:log():match("rested .-received=(%d+)")
      return rested
    end)
    assert.is_true(tonumber(rested) <= 2 * 65536, rested)
    assert.is_true(slowest < NEIGHBOUR_SECONDS, ("a neighbour waited %g s"):format(slowest))
    assert_bounded(server, resident)
    peer.await_output(endless, "Error after %d+")
  end)
end)

describe("a peer that sends slowly", function()
  it("has the read timeout for a whole line, not for each byte", function()
    local server <close> = serve [[
      local line, err = conn:read_line()
      log.info("read", { line = tostring(line), err = err, received = conn:counters().received })]]
    local slow <close> = peer.start("slow", server.port)
    local line = server:wait_for_log(" read ")
    assert.matches("err=timeout line=nil", line)
    assert.is_true(tonumber(line:match("received=(%d+)")) > 5, line)
    local seconds = tonumber(peer.await_output(slow, "closed after ([%d.]+)"))
    assert.is_true(seconds > 0.9 and seconds < 4, ("closed after %g s"):format(seconds))
  end)

  it("ends the handler that reads lines in a loop, with an entry that says so", function()
    local server <close> = serve [[
      for _ in conn:lines() do
      end]]
    local slow <close> = peer.start("slow", server.port)
    assert.matches(" info  timeout .-connection=127%.0%.0%.1:", server:wait_for_log("timeout"))
    peer.await_output(slow, "closed after")
    condition.wait_until(function() return slow:status() == 0 end)
  end)
end)
