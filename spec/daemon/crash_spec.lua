-- Workers that die or stand still, and a supervisor that is killed.
local condition = require "spec.support.condition"
local core = require "moonwire.core"
local daemon = require "spec.support.daemon"
local net = require "moonwire.net"
local task = require "moonwire.task"

local ECHO <const> = [[return function(conn) for line in conn:lines() do conn:write(line, "\n") end end]]

local function workers_of(d)
  return d:ask({ command = "status" }).workers
end

local function is_alive(pid)
  local file <close> = io.open(("/proc/%d/stat"):format(pid))
  local state = file and file:read("a"):match "%) (%a)"
  return state ~= nil and state ~= "Z"
end

local function exchange(address)
  local conn <close> = assert(net.connect(address, { read_timeout = 5 }))
  assert(conn:write "x\n")
  return conn:read_line()
end

describe("a worker that is killed", function()
  it("is back within 100 ms, and what was connecting is served", function()
    local d <close> = daemon.start { scripts = { ["echo.lua"] = ECHO }, workers = 1 }
    local address, pid = d:address "echo", workers_of(d)[1].pid
    local begun = core.now()
    os.execute("kill -9 " .. pid)
    assert.equal("x", exchange(address)) -- whatever comes waits in the socket, which stays
    local took = core.now() - begun
    assert.is_true(took < 0.4, ("%.3f s"):format(took)) -- 0.1 when nothing else runs here
    local worker = workers_of(d)[1]
    assert.equal(1, worker.restarts)
    assert.matches("signal 9", worker.last_exit)
    assert.not_equal(pid, worker.pid)
  end)

  it("comes back with the code of its generation, whatever lies on disk", function()
    local d <close> = daemon.start { scripts = { ["echo.lua"] = ECHO }, workers = 1 }
    d.folder:write("echo.lua", "this is no Lua")
    os.execute("kill -9 " .. workers_of(d)[1].pid)
    assert.equal("x", exchange(d:address "echo"))
  end)
end)

describe("a worker that stands still", function()
  it("is replaced, and the log has its Lua stack", function()
    local d <close> = daemon.start {
      workers = 1,
      scripts = { ["stuck.lua"] = [[
return function(conn)
  if conn:read_line() == "stand still" then
    os.execute("sleep 60") -- nothing can interrupt this
  end
  conn:write "x\n"
end]] },
      config = [[
stuck = 1.5
service "stuck" { script = "stuck.lua", listen = "tcp://127.0.0.1:0", processes = true }
]],
    }
    local conn <close> = assert(net.connect(d:address "stuck"))
    local pid = workers_of(d)[1].pid
    assert(conn:write "stand still\n")
    d:wait_for_log("stuck%.lua:3", 10)
    condition.wait_until(function() return not is_alive(pid) end, 10)
    assert.equal("x", exchange(d:address "stuck"))
  end)
end)

describe("a supervisor that is killed", function()
  it("leaves no worker", function()
    local d <close> = daemon.start { scripts = { ["echo.lua"] = ECHO } }
    local pids = {}
    for _, worker in ipairs(workers_of(d)) do
      pids[#pids + 1] = worker.pid
      assert.is_true(is_alive(worker.pid))
    end
    d.process:signal "kill"
    condition.wait_until(function() return not is_alive(pids[1]) and not is_alive(pids[2]) end)
  end)
end)

describe("SIGTERM", function()
  it("lets connections end within the drain time, and nobody new comes", function()
    local d <close> = daemon.start { scripts = { ["echo.lua"] = ECHO } }
    local conn <close> = assert(net.connect(d:address "echo"))
    assert(conn:write "a\n")
    assert.equal("a", conn:read_line())
    d.process:signal "term"
    condition.wait_until(function()
      local other, _, code = net.connect(d:address "echo")
      if other then other:close() end
      return code == "refused"
    end)
    assert(conn:write "b\n")
    assert.equal("b", conn:read_line())
    conn:close()
    assert.equal(0, d.process:wait(5))
  end)

  it("calls stop", function()
    local d <close> = daemon.start {
      workers = 1,
      scripts = { ["a.lua"] = [[
local log = require "moonwire.log"
return { connect = print, stop = function() log.info "good night" end }]] },
    }
    d.process:signal "term"
    assert.equal(0, d.process:wait(5))
    assert.matches("good night", d:log())
  end)

  it("ends all at once when it comes twice", function()
    local d <close> = daemon.start { scripts = { ["echo.lua"] = ECHO } }
    local conn <close> = assert(net.connect(d:address "echo"))
    assert(conn:write "a\n")
    assert.equal("a", conn:read_line())
    local begun = core.now()
    d.process:signal "term"
    task.sleep(0.1)
    d.process:signal "term"
    d.process:wait(5)
    assert.is_true(core.now() - begun < 1.5)
  end)
end)
