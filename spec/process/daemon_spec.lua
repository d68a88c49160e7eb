-- Children of a process that ends, and what they write in its log.
local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "moonwire.process"
local task = require "moonwire.task"

local function is_alive(id)
  local file <close> = io.open(("/proc/%s/stat"):format(id))
  local state = file and file:read("a"):match("^%d+ %b() (%a)")
  return state ~= nil and state ~= "Z" and state ~= "X"
end

local function await_end(id)
  condition.wait_until(function()
    return not is_alive(id)
  end, 10, "process " .. id .. " goes on")
end

-- A server with a child that ends when asked to, and one that does not.
local SERVER <const> = [[
  local process = require "moonwire.process"
  local children = {}
  local function start(...)
    local child = assert(process.spawn { ... }):keep()
    children[#children + 1] = child
    return child
  end
  local gentle = start("sh", "-c", "trap 'echo bye >&2; exit 0' TERM; echo; while :; do sleep 0.05; done")
  local stubborn = start("sh", "-c", "trap '' TERM; echo; while :; do sleep 0.05; done")
  gentle.stdout:read_line()
  stubborn.stdout:read_line()
  return function(conn)
    conn:write(gentle:id(), "\n", stubborn:id(), "\n")
  end]]

local function ids_of(server)
  local conn <close> = assert(net.connect(server.address))
  return conn:read_line(), conn:read_line()
end

describe("the children of a process", function()
  it("end with it, asked first, then killed", function()
    local server <close> = moonwire.serve(SERVER)
    local gentle, stubborn = ids_of(server)
    assert.are.equal(0, server:stop())
    await_end(gentle)
    await_end(stubborn)
    assert.matches("info  bye program=sh process=" .. gentle, server:log())
  end)

  it("end with it even when it is killed and can end nobody", function()
    local server <close> = moonwire.serve(SERVER)
    local gentle, stubborn = ids_of(server)
    server.process:signal("KILL")
    await_end(gentle)
    await_end(stubborn)
  end)

  it("have a status also when our parent ignores the end of children", function()
    local code = [[io.stdout:write((require("moonwire.process").spawn { "sh", "-c", "exit 6" }):wait())]]
    local command = [[trap '' CHLD; exec "$0" run -e "$1"]]
    local result = assert(process.run { "sh", "-c", command, moonwire.binary, code })
    assert.are.equal("6", result.output)
  end)

  it("do not hold up the end of a program", function()
    local status = moonwire.run [[
      local stubborn = "trap '' TERM; echo; while :; do sleep 0.05; done"
      local child = require("moonwire.process").spawn { "sh", "-c", stubborn, kill_after = 0.05 }
      child.stdout:read_line()]]
    assert.are.equal(0, status)
  end)
end)

describe("the log", function()
  local function log_of(command)
    local _, log = moonwire.run(([[
      local child = require("moonwire.process").spawn { "sh", "-c", %q }
      child:wait()
      require("moonwire.task").sleep(0.05)]]):format(command))
    local lines = {}
    for line in log:gmatch("[^\n]+") do
      lines[#lines + 1] = line:match("Z (.*)$"):gsub("process=%d+", "process=N")
    end
    return lines
  end

  it("has a line that a child writes to its errors as an entry", function()
    assert.are.same({ "info  one program=sh process=N", "info  two program=sh process=N" },
      log_of "echo one >&2; echo two >&2")
  end)

  it("has a line without an end, and none for an empty one", function()
    assert.are.same({ "info  one program=sh process=N", "info  last program=sh process=N" },
      log_of [[printf 'one\r\n\n\nlast' >&2]])
  end)

  it("has no control bytes, and a long line in parts", function()
    local lines = log_of [[printf 'a\033[31mb\n' >&2; head -c 10000 /dev/zero | tr '\0' x >&2]]
    assert.are.equal(4, #lines)
    assert.are.equal([[info  a\x1b[31mb program=sh process=N]], lines[1])
    assert.matches("^info  x+ program=sh", lines[4])
  end)

  it("has output too when that is asked for", function()
    local server <close> = moonwire.serve [[
      local process = require "moonwire.process"
      return function(conn)
        process.spawn({ "/bin/sh", "-c", "echo to the log", stdout = "log" }):wait()
        conn:write("done")
      end]]
    local conn <close> = assert(net.connect(server.address))
    assert.are.equal("done", conn:read_all())
    assert.matches("info  to the log program=sh process=%d+", server:wait_for_log("to the log"))
  end)

  it("goes on when a child floods it", function()
    local server <close> = moonwire.serve [[
      local process = require "moonwire.process"
      process.spawn({ "sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i >&2; done" }):keep()
      return function(conn) conn:write("here") end]]
    server:wait_for_log "line 1000 "
    for _ = 1, 3 do
      local conn <close> = assert(net.connect(server.address))
      assert.are.equal("here", conn:read_all())
      task.yield()
    end
  end)
end)
