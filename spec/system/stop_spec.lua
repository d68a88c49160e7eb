local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local peer = require "spec.system.peer"
local process = require "spec.support.process"
local timer = require "moonwire.timer"

local STOP_SECONDS <const> = 2

-- Writes as much as the kernel takes and a bit more, says how much in the log, and waits.
local FILL <const> = [[
local log = require "moonwire.log"
local function fill(conn)
  local written = 0
  while conn:counters().pending == 0 do
    conn:write(("x"):rep(30000)) -- so large a piece goes to the kernel at once
    written = written + 30000
  end
  log.info("filled", { bytes = written, pending = conn:counters().pending })
end
]]

local function stop_in_time(server, signal)
  local begun = timer.now()
  server.process:signal(signal or "TERM")
  assert.are.equal(0, server.process:wait(STOP_SECONDS), server:log())
  return timer.now() - begun
end

describe("a server that is told to stop", function()
  local HOLD <const> = [[
    return function(conn)
      local ending <close> = setmetatable({}, { __close = function() conn:write("good bye\n") end })
      for line in conn:lines() do
        conn:write(line, "\n")
      end
    end]]

  local function open(server, count)
    local conns = {}
    for i = 1, count do
      conns[i] = assert(net.connect(server.address))
      assert(conns[i]:write("hello\n"))
      assert.are.equal("hello", conns[i]:read_line())
    end
    return conns
  end

  for _, signal in ipairs { "TERM", "INT" } do
    it("ends with status 0 and closes what is open, after SIG" .. signal, function()
      local server <close> = moonwire.serve(HOLD)
      local conns = open(server, 100)
      stop_in_time(server, signal)
      for _, conn in ipairs(conns) do
        assert.are.equal("good bye\n", conn:read_all())
        conn:close()
      end
      assert.are.equal("refused", select(3, net.connect(server.address)))
      assert.is_nil(server:log():find(" error ", 1, true), server:log())
    end)
  end

  it("ends although clients are silent, deaf or amidst a line", function()
    local server <close> = moonwire.serve [[
      return function(conn)
        local line = conn:read_line()
        while line == "download" and conn:write(("x"):rep(16384)) do
        end
        conn:read_line()
      end]]
    local silent <close> = assert(net.connect(server.address))
    local amidst <close> = assert(net.connect(server.address))
    assert(amidst:write("half a li"))
    local deaf <close> = peer.start("deaf", server.port, "download")
    peer.await_output(deaf, "connected")
    stop_in_time(server)
    assert.is_nil((silent:read(1)))
  end)

  it("calls the stop function of the service, which may wait and still be heard", function()
    local server <close> = moonwire.serve [[
      local task = require "moonwire.task"
      local conns = {}
      return {
        connect = function(conn)
          conns[#conns + 1] = conn
          conn:write("welcome\n")
          conn:read_line()
        end,
        stop = function()
          task.sleep(0.05)
          for _, conn in ipairs(conns) do
            conn:write("we close\n")
          end
        end,
      }]]
    local conn <close> = assert(net.connect(server.address))
    assert.are.equal("welcome", conn:read_line())
    stop_in_time(server)
    assert.are.equal("we close\n", conn:read_all())
  end)

  it("ends at once with the second signal", function()
    local server <close> = moonwire.serve [[
      return {
        connect = function() end,
        stop = function()
          require "moonwire.log".info("stopping")
          require "moonwire.task".sleep(60)
        end,
      }]]
    server.process:signal "TERM"
    server:wait_for_log("stopping")
    server.process:signal "TERM"
    assert.are.equal(128 + 15, server.process:wait(STOP_SECONDS))
  end)

  it("delivers what was queued to those who read", function()
    local server <close> = moonwire.serve(FILL .. [[
      return function(conn)
        fill(conn)
        conn:read_line()
      end]])
    local late <close> = peer.start("deaf", server.port)
    local pattern = "filled .-bytes=(%d+) pending=(%d+)"
    local bytes, pending = server:wait_for_log("filled"):match(pattern)
    assert.is_true(tonumber(pending) > 0)
    server.process:signal "TERM"
    condition.wait_until(function()
      local conn <close>, _, code = net.connect(server.address)
      return not conn and code == "refused"
    end)
    late:signal "USR1"
    assert.are.equal(bytes, peer.await_output(late, "read (%d+)"))
    assert.are.equal(0, server.process:wait(STOP_SECONDS))
  end)
end)

describe("a program that ends", function()
  it("delivers what it has queued first", function()
    local server <close> = peer.start("receive", 0)
    local port = peer.await_output(server, "listening (%d+)")
    local program <close> = process.start {
      moonwire.binary, "run", "-e", FILL .. [[
        local conn = require "moonwire.net".connect("tcp://127.0.0.1:" .. ...)
        fill(conn)]], "--", port,
    }
    local bytes = peer.await_output(program, "filled .-bytes=(%d+)")
    server:signal "USR1"
    assert.are.equal(bytes, peer.await_output(server, "read (%d+)"))
    assert.are.equal(0, program:wait())
  end)

  it("gives up soon on a peer that does not read, once it is told to stop", function()
    local server <close> = peer.start("receive", 0)
    local port = peer.await_output(server, "listening (%d+)")
    local program <close> = process.start {
      moonwire.binary, "run", "-e", FILL .. [[
        local conn = require "moonwire.net".connect("tcp://127.0.0.1:" .. ...)
        fill(conn)]], "--", port,
    }
    peer.await_output(program, "filled")
    assert.is_nil((program:wait(0.2)))
    program:signal "TERM"
    assert.are.equal(0, program:wait(STOP_SECONDS))
  end)
end)
