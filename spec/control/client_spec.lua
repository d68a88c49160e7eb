-- What goes wrong between a command and a daemon, and what the command line may be.
local client = require "moonwire.control.client"
local daemon = require "spec.control.daemon"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local task = require "moonwire.task"

local OK <const> = { ok = true }

local function run(...)
  return process.run { moonwire.binary, ... }
end

describe("a control command", function()
  it("tells where no daemon is, and what to do", function()
    local place <close> = folder.new()
    local path = place.path .. "/none.sock"
    assert.are.same({
      3, "", ("moonwire: no daemon at control socket %s (no such file or directory); start one with "
        .. "'moonwire start', or tell where it is with --control PATH or -c FILE\n"):format(path),
    }, { run("drain", "--control", path) })
    place:write("none.sock", "")
    local status, _, errors = run("status", "--control", path)
    assert.are.equal(3, status)
    assert.matches("%(connection refused%)", errors)
  end)

  it("takes a path from where it runs", function()
    local fake <close> = daemon.open { drain = OK }
    local command = ("cd %s && exec %s drain --control control.sock"):format(fake.folder.path,
      moonwire.binary:find "^/" and moonwire.binary or os.getenv "PWD" .. "/" .. moonwire.binary)
    assert.are.same({ 0, "", "" }, { process.run { "sh", "-c", command } })
  end)

  it("refuses a path that no socket can have", function()
    local path = "/" .. ("x"):rep(200)
    assert.are.same({
      2, "", ("moonwire: control socket '%s': no path that a socket can have\n"):format(path),
    }, { run("drain", "--control", path) })
  end)

  it("ends with 4 when it may not", function()
    local fake <close> = daemon.open {
      drain = { ok = false, error = "uid 1000 may not use the control socket", code = "denied" },
    }
    assert.are.same({ 4, "", "moonwire: uid 1000 may not use the control socket\n" }, { fake:run "drain" })
    assert(os.execute("chmod 000 " .. fake.path))
    -- Root may use every socket, unless it has given that up.
    local status, _, errors = process.run { "sh", "-c", ([[
      [ "$(id -u)" -ne 0 ] || without="setpriv --bounding-set=-dac_override,-dac_read_search"
      exec $without %s drain --control %s]]):format(moonwire.binary, fake.path) }
    assert.are.equal(("moonwire: control socket %s: permission denied; it is for root and the daemon's "
      .. "own user\n"):format(fake.path), errors)
    assert.are.equal(4, status)
  end)

  it("ends with 1 when the daemon refuses", function()
    local fake <close> = daemon.open {
      drain = { ok = false, error = "no service 'ehco'", code = "not_found" }, stop = { ok = false },
    }
    assert.are.same({ 1, "", "moonwire: no service 'ehco'\n" }, { fake:run("drain", "ehco") })
    assert.are.same({ 1, "", "moonwire: the daemon tells no reason\n" }, { fake:run "stop" })
  end)

  it("takes nothing for an answer that is none", function()
    local answer
    local fake <close> = daemon.open { drain = function() return answer end }
    for _, case in ipairs {
      { "HTTP/1.1 400 Bad Request\r\n", "does not answer as one does: decode JSON at line 1, column 1" },
      { "{\"ok\":1}\n", "does not answer as one does: a JSON object with 'ok' expected" },
      { "[]\n", "does not answer as one does: a JSON object with 'ok' expected" },
      { "true\n", "does not answer as one does: a JSON object with 'ok' expected" },
      { "\n", "does not answer as one does: " },
    } do
      answer = case[1]
      local status, output, errors = fake:run "drain"
      assert.are.same({ 3, "" }, { status, output })
      local expected = ("moonwire: the daemon at control socket %s %s"):format(fake.path, case[2])
      assert.are.equal(expected, errors:sub(1, #expected))
    end
  end)

  it("tells when the daemon ends the conversation", function()
    local fake <close> = daemon.open {
      drain = function(_, conn)
        conn:write '{"ok":true'
        conn:close()
      end,
      stop = function(_, conn)
        conn:abort()
      end,
    }
    for _, command in ipairs { "drain", "stop" } do
      local status, output, errors = fake:run(command)
      assert.are.same({ 3, "", ("moonwire: the daemon at control socket %s has ended the conversation "
        .. "without an answer\n"):format(fake.path) }, { status, output, errors })
    end
  end)

  it("waits so long and no longer", function()
    local fake <close> = daemon.open {}
    assert.are.same({
      nil, ("the daemon at control socket %s does not answer within 0.05 s"):format(fake.path), "unreachable",
    }, { client.ask(fake.path, { { command = "drain" } }, 0.05) })
    local slow <close> = daemon.open {
      drain = function()
        task.sleep(0.02)
        return OK
      end,
    }
    assert.are.same({ OK }, (client.ask(slow.path, { { command = "drain" } }, 5)))
  end)

  it("reads so much and no more", function()
    local fake <close> = daemon.open { metrics = { ok = true, text = ("x"):rep(100000) } }
    assert.is_not_nil(client.ask(fake.path, { { command = "metrics" } }, 5, 200000))
    local answers, message, kind = client.ask(fake.path, { { command = "metrics" } }, 5, 90000)
    assert.are.same({ nil, "unreachable" }, { answers, kind })
    assert.matches("answers with more than is read$", message)
  end)

  it("has room for the answer of a large daemon", function()
    local text = ("x"):rep(20 * 1024 * 1024)
    local fake <close> = daemon.open { metrics = { ok = true, text = text } }
    local status, output = fake:run "metrics"
    assert.are.equal(0, status)
    assert.is_true(output == text)
  end)

  it("does not fail silently when it cannot write", function()
    local fake <close> = daemon.open { metrics = { ok = true, text = ("x"):rep(1024 * 1024) } }
    local function into(target)
      return process.run { "sh", "-c", ("{ %s metrics --control %s; echo $? >&2; } %s"):format(
        moonwire.binary, fake.path, target) }
    end
    local _, _, errors = into "> /dev/full"
    assert.are.equal("moonwire: standard output: No space left on device\n1\n", errors)
    _, _, errors = into "| true"
    assert.are.equal("1\n", errors)
  end)

  it("ends with a failure when it is interrupted", function()
    local fake <close> = daemon.open {}
    local child <close> = process.start { moonwire.binary, "reload", "--control", fake.path }
    require "spec.support.condition".wait_until(function() return fake.requests[1] end)
    child:signal "INT"
    assert.are.equal(1, child:wait())
  end)
end)

describe("the control socket", function()
  local function daemon_at(path)
    return assert(net.serve("unix://" .. path, function(conn)
      conn:read_line()
      conn:write '{"ok":true}\n'
    end))
  end

  it("is named by the option, or else the config, or else the environment", function()
    local place <close> = folder.new()
    local here, nowhere = place.path .. "/here.sock", place.path .. "/nowhere.sock"
    local config = place:write("conf.lua", ('workers = 1\ncontrol = "%s"\n'):format(here)
      .. 'service "echo" { listen = "tcp://127.0.0.1:7000", script = "echo.lua" }\n')
    place:write("echo.lua", "return function() end\n")
    local listener <close> = daemon_at(here)
    assert.are.equal(here, listener:local_address():match "^unix://(.*)$")
    local function with(environment, ...)
      return (process.run { moonwire.binary, "drain", env = { MOONWIRE_CONTROL = environment }, ... })
    end
    assert.are.equal(0, with(nowhere, "--control", here))
    assert.are.equal(0, with(nowhere, "-c", config))
    assert.are.equal(0, with(nowhere, "-c" .. config))
    assert.are.equal(0, with(nowhere, "--config=" .. config))
    assert.are.equal(0, with(here))
    assert.are.equal(3, with(nowhere))
    assert.are.equal(3, with(here, "--control", nowhere))
  end)

  it("is not looked for in a config that cannot be read", function()
    local place <close> = folder.new()
    local status, output, errors = run("drain", "-c", place.path .. "/none.lua")
    assert.are.same({ 1, "" }, { status, output })
    assert.matches("^moonwire: .*none%.lua", errors)
    local broken = place:write("broken.lua", "control = = 1\n")
    status, output, errors = run("drain", "-c", broken)
    assert.are.same({ 1, "" }, { status, output })
    assert.matches("^moonwire: .*broken%.lua:1: ", errors)
  end)
end)

describe("the command line", function()
  local function refused(message, command, ...)
    assert.are.same({ 2, "", ("moonwire: %s\nTry 'moonwire %s --help'.\n"):format(message, command) },
      { run(command, ...) })
  end

  it("is refused as getopt_long does", function()
    refused("unrecognized option '--jsno'", "status", "--jsno")
    refused("option '--json' doesn't allow an argument", "status", "--json=1")
    refused("option '--control' requires an argument", "status", "--control")
    refused("option requires an argument -- 'c'", "status", "-c")
    refused("invalid option -- 'x'", "status", "-x")
    refused("invalid option -- 'x'", "status", "-hx")
    refused("option '--s' is ambiguous; possibilities: '--service' '--sort' '--stack'", "connections", "--s")
    refused("--sort: age, idle, received, sent, pending or since expected, got 'name'", "connections",
      "--sort", "name")
    refused("--limit: a whole number above zero expected, got '0'", "connections", "--limit", "0")
    refused("--sort is for the table: --json gives what the daemon says", "connections",
      "--json", "--sort=age")
    refused("status: one argument too many: 'all'", "status", "all")
    refused("eval: an argument is missing, as in: eval SERVICE CODE [options]", "eval", "echo")
    refused("either --control or -c, not both", "stop", "--control", "/x", "-c", "/y")
  end)

  it("takes options cut short, behind operands, and operands behind --", function()
    local fake <close> = daemon.open { connections = daemon.connections(), drain = OK }
    assert.are.equal(0, (fake:run("connections", "--serv", "echo")))
    assert.are.equal("echo", fake.requests[1].service)
    assert.are.equal(0, (fake:run("drain", "echo", "--undo")))
    assert.are.same({ command = "drain", service = "echo", undo = true }, fake.requests[2])
    assert.are.equal(0, (fake:run("drain", "--", "--undo")))
    assert.are.same({ command = "drain", service = "--undo" }, fake.requests[3])
  end)

  it("has help for every command", function()
    local _, overview = run "--help"
    local count = 0
    for name in overview:gmatch "\n  (%l+) +[^\n]+" do
      count = count + 1
      local status, help, errors = run(name, "--help")
      assert.are.same({ 0, "" }, { status, errors })
      assert.matches("^usage: moonwire " .. name, help)
      assert.matches("\n  %-h, %-%-help +this text\n", help)
      assert.is_nil(help:find(("[^\n]"):rep(121)))
    end
    assert.is_true(count > 12)
  end)

  it("knows what is no command", function()
    assert.are.same({ 2, "", "moonwire: unknown command 'sttaus'\nTry 'moonwire --help'.\n" },
      { run "sttaus" })
  end)
end)
