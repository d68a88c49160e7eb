local daemon = require "spec.control.daemon"
local json = require "moonwire.json"

describe("moonwire status", function()
  it("tells of the daemon, its workers, and its services over all workers", function()
    local fake <close> = daemon.open { status = daemon.status() }
    local status, output, errors = fake:run "status"
    assert.are.equal("", errors)
    assert.are.equal([[
moonwire 0.1.0, pid 4711, up 3h12m, running
config      /etc/moonwire/moonwire.lua
generation  7; reloads: 5 done, 1 failed
last fault  echo.lua:3: unexpected symbol near '?'

WORKER   PID  STATE        UP  RESTARTS  MEMORY   CPU  LAST EXIT
     1  4712  running   3h12m         0     12M  3.2s  -
     2  4799  running     42s         2     999  0.0s  signal 11
     3  4800  starting   0.2s         0       -     -  -

]] .. "SERVICE  GENERATION  STATE       AGE  CONNECTIONS  ACCEPTED  RATE  REFUSED  ERRORS  TASKS  MEMORY"
  .. "  RECEIVED  SENT  LISTENERS\n"
  .. "chat              7  serving   3m10s            1      1001   1.5       10       1      2    2.0M"
  .. "      1.5K  4.0G  tcp://127.0.0.1:7000\n"
  .. "echo              7  serving   3m10s           30      2030   3.0       20       2     32    4.0M"
  .. "      2.9K  8.0G  tcp://127.0.0.1:7000\n"
  .. "echo              6  draining  3m10s            3      1003   1.5       10       1      4    2.0M"
  .. "      1.5K  4.0G  tcp://127.0.0.1:7000\n", output)
    assert.are.equal(0, status)
    assert.are.same({ { command = "status" } }, fake.requests)
  end)

  it("prints the answer as it is with --json", function()
    local fake <close> = daemon.open { status = daemon.status() }
    local status, output = fake:run("status", "--json")
    assert.are.equal(0, status)
    assert.are.equal(1, select(2, output:gsub("\n", "")))
    local expected = daemon.status()
    expected.ok = nil
    assert.are.equal(json.encode(expected, { sorted = true }) .. "\n", output)
  end)

  it("shows nothing that moves the cursor", function()
    local answer = daemon.status()
    answer.workers[1].report.services[1].name = "\27[2Ja\r\nb\194\155c"
    answer.reloads.last_error = "\27]0;title\7"
    local fake <close> = daemon.open { status = answer }
    local _, output = fake:run "status"
    assert.is_not_nil(output:find("\n?[2Ja??b?c ", 1, true))
    assert.is_nil(output:find "[\0-\9\11-\31\127]")
    assert.is_nil(output:find "\194\155")
  end)

  it("shows a daemon that has nothing yet", function()
    local fake <close> = daemon.open {
      status = {
        ok = true, version = "0.1.0", pid = 1, uptime = 0, config = "/x", generation = 0, state = "starting",
      },
    }
    local status, output = fake:run "status"
    assert.are.equal(0, status)
    assert.matches("^moonwire 0.1.0, pid 1, up 0.0s, starting\n", output)
  end)
end)
