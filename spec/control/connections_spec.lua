local daemon = require "spec.control.daemon"
local json = require "moonwire.json"

-- The first column, without its title.
local function ids(output)
  local found = {}
  for id in output:gmatch "\n(%d[%d.]+) " do
    found[#found + 1] = id
  end
  return table.concat(found, " ")
end

describe("moonwire connections", function()
  it("lists those of all workers", function()
    local fake <close> = daemon.open { connections = daemon.connections() }
    local status, output, errors = fake:run "connections"
    assert.are.equal("", errors)
    assert.are.equal("ID     SERVICE  GENERATION  PEER             LOCAL            AGE  IDLE  RECEIVED"
      .. "  SENT  PENDING  WAITS  SINCE\n"
      .. "1.7.1  echo              7  10.0.0.12:4000   10.0.0.1:7000    12s  0.5s       100"
      .. "   200        0  read    0.2s\n", output:match "^.-\n.-\n")
    assert.are.equal("1.7.1 1.7.2 1.7.3 2.7.1", ids(output))
    assert.are.equal(0, status)
    assert.are.same({ command = "connections" }, fake.requests[1])
  end)

  it("asks for what is wanted only", function()
    local fake <close> = daemon.open { connections = daemon.connections() }
    fake:run("connections", "--service", "echo", "--peer=10.0.0.0/8", "--limit", "2", "--locals")
    assert.are.same({
      command = "connections", service = "echo", peer = "10.0.0.0/8", limit = 2, stack = true, locals = true,
    }, fake.requests[1])
    fake:run("connections", "--stack")
    assert.are.same({ command = "connections", stack = true }, fake.requests[2])
  end)

  it("sorts, the largest first, and cuts what is sorted", function()
    local fake <close> = daemon.open { connections = daemon.connections() }
    for key, expected in pairs {
      age = "1.7.2 2.7.1 1.7.1 1.7.3", received = "1.7.3 1.7.1 1.7.2 2.7.1",
      sent = "1.7.3 1.7.1 1.7.2 2.7.1", pending = "1.7.1 1.7.2 1.7.3 2.7.1",
    } do
      local _, output = fake:run("connections", "--sort", key)
      assert.are.equal(expected, ids(output))
    end
    local _, output = fake:run("connections", "--sort", "age", "--limit", "2")
    assert.are.equal("1.7.2 2.7.1", ids(output))
    assert.are.same({ command = "connections" }, fake.requests[#fake.requests])
    _, output = fake:run("connections", "--limit", "3")
    assert.are.equal("1.7.1 1.7.2 1.7.3", ids(output))
  end)

  it("shows the stack below its line", function()
    local answer = daemon.connections()
    answer.workers[1].report.connections[1].stack =
      "echo.lua:3: in function <echo.lua:2>\n\tline = \"a\27\"\n"
    local fake <close> = daemon.open { connections = answer }
    local _, output = fake:run("connections", "--stack")
    local before, after = output:match(
      "\n(1%.7%.1)[^\n]+\n    echo%.lua:3: in function <echo%.lua:2>\n      line = \"a%?\"\n(1%.7%.2)")
    assert.are.same({ "1.7.1", "1.7.2" }, { before, after })
  end)

  it("prints the answer as it is with --json", function()
    local fake <close> = daemon.open { connections = daemon.connections() }
    local status, output = fake:run("connections", "--json", "--limit", "1")
    assert.are.equal(0, status)
    assert.are.same(daemon.connections().workers, json.decode(output).workers)
    assert.are.equal(1, fake.requests[1].limit)
  end)

  it("tells of a worker that gives no answer, and shows the others", function()
    local answer = daemon.connections()
    answer.workers[2].report = json.null
    local fake <close> = daemon.open { connections = answer }
    local status, output, errors = fake:run "connections"
    assert.are.equal("1.7.1 1.7.2 1.7.3", ids(output))
    assert.are.equal("moonwire: worker 2 gives no answer\n", errors)
    assert.are.equal(1, status)
  end)

  it("fails when no worker runs", function()
    local fake <close> = daemon.open { connections = { ok = true, workers = json.array {} } }
    local status, output, errors = fake:run "connections"
    assert.are.same({ 1, "moonwire: no worker runs\n" }, { status, errors })
    assert.matches("^ID +SERVICE [^\n]+\n$", output)
  end)

  it("copes with ten thousand", function()
    local answer = daemon.connections()
    local list = answer.workers[1].report.connections
    for i = 4, 10000 do
      list[i] = list[1 + i % 3]
    end
    local fake <close> = daemon.open { connections = answer }
    local status, output = fake:run "connections"
    assert.are.equal(0, status)
    assert.are.equal(10002, select(2, output:gsub("\n", "")))
  end)
end)

describe("moonwire kill", function()
  it("tells how many it has killed", function()
    local fake <close> = daemon.open { kill = { ok = true, killed = 3 } }
    for i, case in ipairs {
      { { "1.7.1" }, { command = "kill", id = "1.7.1" } },
      { { "--service", "echo" }, { command = "kill", service = "echo" } },
      { { "--peer", "10.0.0.0/8" }, { command = "kill", peer = "10.0.0.0/8" } },
    } do
      local status, output, errors = fake:run("kill", table.unpack(case[1]))
      assert.are.same({ 0, "killed 3\n", "" }, { status, output, errors })
      assert.are.same(case[2], fake.requests[i])
    end
  end)

  it("fails when there is nothing to kill", function()
    local fake <close> = daemon.open { kill = { ok = true, killed = 0 } }
    assert.are.same({ 1, "killed 0\n", "moonwire: no such connection\n" }, { fake:run("kill", "1.7.1") })
    assert.are.same({ 1, '{"killed":0}\n', "moonwire: no such connection\n" },
      { fake:run("kill", "1.7.1", "--json") })
  end)

  it("does nothing without being told what", function()
    local fake <close> = daemon.open {}
    for _, words in ipairs { {}, { "1", "--service", "echo" }, { "--service", "a", "--peer", "::1" } } do
      local status, _, errors = fake:run("kill", table.unpack(words))
      assert.are.equal(2, status)
      assert.are.equal("moonwire: kill takes either an ID or --service or --peer\n"
        .. "Try 'moonwire kill --help'.\n", errors)
    end
    assert.are.same({}, fake.requests)
  end)
end)
