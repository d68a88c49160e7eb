-- What an operator sees of a daemon and does with it, with the commands that are there for it.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local json = require "moonwire.json"
local net = require "moonwire.net"

local ECHO <const> = [[
local greeting = "hello"
local function serve(conn)
  local count = 0
  while true do
    local line = conn:read_line()
    if not line then return end
    if line == "fail" then error("as you wish") end
    count = count + 1
    conn:write(line, "\n")
  end
end
return { connect = serve, greet = nil }
]]

local function enter(d, line)
  local conn = assert(net.connect(d:address "echo"))
  assert(conn:write(line or "a", "\n"))
  conn:read_line()
  return conn
end

local function sum(entries, field)
  local total = 0
  for _, entry in ipairs(entries) do
    total = total + entry[field]
  end
  return total
end

describe("an operator", function()
  local d

  setup(function() d = daemon.start { scripts = { ["echo.lua"] = ECHO } } end)
  teardown(function() d:stop() end)

  it("sees services, workers, connections and errors", function()
    local one <close> = enter(d)
    local two <close> = enter(d)
    local failing <close> = enter(d, "fail")
    condition.wait_until(function() return sum(d:services "echo", "errors") == 1 end)
    local entries = d:services "echo"
    assert.equal(2, sum(entries, "connections"))
    assert.equal(3, sum(entries, "accepted"))
    condition.wait_until(function() return sum(d:services "echo", "rate") > 0 end)
    local status, output = d:run("status")
    assert.equal(0, status)
    assert.matches("echo", output)
    status, output = d:run("status", "--json")
    assert.equal(0, status)
    assert.equal(2, #json.decode(output).workers)
    assert.is_true(one:is_open() and two:is_open() and failing:is_open())
  end)

  it("sees where a connection waits, with its locals", function()
    local conn <close> = enter(d)
    local status, output = d:run("connections", "--locals", "--stack")
    assert.equal(0, status)
    assert.matches("read", output)
    assert.matches("echo%.lua:5", output)
    assert.matches("count = 1", output)
    assert.is_true(conn:is_open())
  end)

  it("ends one connection and no other", function()
    local one <close> = enter(d)
    local two <close> = enter(d)
    local peer = select(1, one:local_address())
    local status, output = d:run("connections", "--json")
    assert.equal(0, status)
    local id
    for _, worker in ipairs(json.decode(output).workers) do
      for _, entry in ipairs(worker.report.connections) do
        id = entry.peer == peer and entry.id or id
      end
    end
    status = d:run("kill", id)
    assert.equal(0, status)
    assert.is_nil((one:read_line()))
    assert(two:write "b\n")
    assert.equal("b", two:read_line())
  end)

  it("names peers by address or network, and means no other", function()
    local function enter_from(address)
      local conn = assert(net.connect(d:address "echo", { local_address = address .. ":0" }))
      assert(conn:write "a\n")
      conn:read_line()
      return conn
    end
    local one <close> = enter_from "127.0.0.2"
    local longer <close> = enter_from "127.0.0.22"
    local beside <close> = enter_from "127.0.0.3"
    local _, output = d:run("connections", "--peer", "127.0.0.2/31")
    assert.matches("127%.0%.0%.2:", output)
    assert.matches("127%.0%.0%.3:", output)
    assert.is_nil(output:find "127.0.0.22:")
    assert.equal(0, (d:run("kill", "--peer", "127.0.0.2")))
    assert.is_nil((one:read_line()))
    for _, conn in ipairs { longer, beside } do
      assert(conn:write "b\n")
      assert.equal("b", conn:read_line())
    end
    assert.equal(0, (d:run("kill", "--peer", (beside:local_address()))))
    assert.is_nil((beside:read_line()))
    local status, _, errors = d:run("kill", "--peer", "127.0.0")
    assert.equal(1, status)
    assert.matches("'peer' must be an address", errors)
  end)

  it("runs code in a service", function()
    local status, output = d:run("eval", "echo", "ctx.name .. ' ' .. ctx.worker", "--worker", "2")
    assert.equal(0, status)
    assert.matches("echo 2", output)
    local errors
    status, output, errors = d:run("eval", "echo", "error 'oh'")
    assert.equal(1, status)
    assert.matches("oh", output .. errors)
  end)

  it("drains, and takes that back", function()
    local conn <close> = enter(d)
    assert.equal(0, (d:run("drain", "echo")))
    assert(conn:write "still here\n")
    assert.equal("still here", conn:read_line())
    condition.wait_until(function() return d:services("echo")[1].state == "draining" end)
    assert.equal(0, (d:run("drain", "echo", "--undo")))
    local other <close> = enter(d)
    assert.is_true(other:is_open())
  end)

  it("changes the level of the log everywhere", function()
    assert.equal(0, (d:run("log", "debug")))
    assert.equal(0, (d:run("log", "info")))
    assert.not_equal(0, (d:run("log", "loud")))
  end)

  it("reads the metrics", function()
    local conn <close> = enter(d)
    local status, output = d:run("metrics")
    assert.equal(0, status)
    assert.matches("# TYPE", output)
    local before = tonumber(output:match 'moonwire_connections_accepted_total{service="echo"} (%d+)')
    local other <close> = enter(d)
    status, output = d:run("metrics")
    assert.equal(0, status)
    local after = tonumber(output:match 'moonwire_connections_accepted_total{service="echo"} (%d+)')
    assert.equal(before + 1, after) -- at once, not some seconds later
    assert.is_true(other:is_open())
    assert.is_true(conn:is_open())
  end)

  it("learns why a reload failed, and by the exit status", function()
    d.folder:write("echo.lua", "return 1 +")
    local status, _, errors = d:run("reload")
    assert.equal(1, status)
    assert.matches("echo%.lua:1", errors)
    d.folder:write("echo.lua", ECHO)
    assert.equal(0, (d:run("reload")))
  end)

  it("stops it", function()
    local other <close> = daemon.start { scripts = { ["echo.lua"] = ECHO } }
    assert.equal(0, (other:run("stop")))
    assert.equal(0, other.process:wait(5))
  end)
end)
