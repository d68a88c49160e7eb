-- reload, drain, stop, log, metrics and eval.
local daemon = require "spec.control.daemon"
local json = require "moonwire.json"

describe("moonwire reload", function()
  local DONE <const> = { ok = true, generation = 8, moved = 120, kept = 3, ended = 1, seconds = 0.0341 }

  it("tells what became of the connections", function()
    local fake <close> = daemon.open { reload = DONE }
    local status, output, errors = fake:run "reload"
    assert.are.same({ 0, "generation 8 in 0.034 s; connections: 120 moved, 3 kept, 1 ended\n", "" },
      { status, output, errors })
    assert.are.equal('{"command":"reload"}', fake.lines[1])
  end)

  it("reloads one service, or as a canary", function()
    local fake <close> = daemon.open { reload = DONE }
    fake:run("reload", "echo", "--canary", "5%", "--for", "1m30s", "--factor", "1.5")
    assert.are.same({ command = "reload", service = "echo", canary = 0.05, seconds = 90, factor = 1.5 },
      fake.requests[1])
    fake:run("reload", "--canary=0.25", "--for=200ms")
    assert.are.same({ command = "reload", canary = 0.25, seconds = 0.2 }, fake.requests[2])
  end)

  it("fails with the daemon's reason", function()
    local fake <close> = daemon.open {
      reload = { ok = false, error = "echo.lua:3: unexpected symbol near '?'", code = "invalid" },
    }
    local expected = { 1, "", "moonwire: echo.lua:3: unexpected symbol near '?'\n" }
    assert.are.same(expected, { fake:run "reload" })
    assert.are.same(expected, { fake:run("reload", "--json") })
  end)

  it("prints the answer with --json", function()
    local fake <close> = daemon.open { reload = DONE }
    local _, output = fake:run("reload", "--json")
    assert.are.equal('{"ended":1,"generation":8,"kept":3,"moved":120,"seconds":0.0341}\n', output)
  end)

  it("refuses what makes no canary", function()
    local fake <close> = daemon.open {}
    for _, case in ipairs {
      { { "--canary", "5%" }, "--canary takes --for: how long to look at it" },
      { { "--for", "5s" }, "--for is for --canary" },
      { { "--factor", "2" }, "--factor is for --canary" },
      { { "--canary", "0%", "--for", "5s" }, "--canary: a share such as 5% or 0.05 expected, got '0%'" },
      { { "--canary", "5", "--for", "5s" }, "--canary: a share such as 5% or 0.05 expected, got '5'" },
      { { "--canary", "5%", "--for", "soon" },
        "--for: a duration such as 60s, 1m30s or 200ms expected, got 'soon'" },
      { { "--canary", "5%", "--for", "0" }, "--for: a duration above zero, such as 60s expected, got '0'" },
      { { "--canary", "5%", "--for", "1s", "--factor", "-1" },
        "--factor: a number above zero expected, got '-1'" },
    } do
      local status, output, errors = fake:run("reload", table.unpack(case[1]))
      assert.are.same({ 2, "", ("moonwire: %s\nTry 'moonwire reload --help'.\n"):format(case[2]) },
        { status, output, errors })
    end
    assert.are.same({}, fake.requests)
  end)
end)

describe("moonwire", function()
  it("says nothing when drain, stop and log have done what they should", function()
    local fake <close> = daemon.open { drain = { ok = true }, stop = { ok = true }, log = { ok = true } }
    for i, case in ipairs {
      { { "drain" }, { command = "drain" } },
      { { "drain", "echo" }, { command = "drain", service = "echo" } },
      { { "drain", "--undo" }, { command = "drain", undo = true } },
      { { "stop" }, { command = "stop" } },
      { { "stop", "--now" }, { command = "stop", now = true } },
      { { "log", "debug" }, { command = "log", level = "debug" } },
    } do
      assert.are.same({ 0, "", "" }, { fake:run(table.unpack(case[1])) })
      assert.are.same(case[2], fake.requests[i])
    end
  end)

  it("log refuses what is no level", function()
    local fake <close> = daemon.open {}
    assert.are.same({
      2, "", "moonwire: log: debug, info, warn or error expected, got 'loud'\nTry 'moonwire log --help'.\n",
    }, { fake:run("log", "loud") })
  end)

  it("metrics prints the text as it is", function()
    local fake <close> = daemon.open { metrics = { ok = true, text = "# TYPE a counter\na 1\n" } }
    assert.are.same({ 0, "# TYPE a counter\na 1\n", "" }, { fake:run "metrics" })
  end)
end)

describe("moonwire eval", function()
  local function answer(...)
    local workers = {}
    for i, report in ipairs { ... } do
      workers[i] = { worker = i, report = report }
    end
    return { ok = true, workers = workers }
  end

  it("prints what the one worker says", function()
    local fake <close> = daemon.open { eval = answer { result = "{ 1, 2 }" } }
    assert.are.same({ 0, "{ 1, 2 }\n", "" }, { fake:run("eval", "echo", "return {1, 2}", "--worker", "1") })
    assert.are.same({ command = "eval", service = "echo", code = "return {1, 2}", worker = 1 },
      fake.requests[1])
  end)

  it("takes code that begins with a dash behind two", function()
    local fake <close> = daemon.open { eval = answer { result = "" } }
    assert.are.same({ 0, "", "" }, { fake:run("eval", "echo", "--", "-- nothing") })
    assert.are.equal("-- nothing", fake.requests[1].code)
  end)

  it("says which worker it is when there are several, and fails when one does", function()
    local fake <close> = daemon.open {
      eval = answer({ result = "1" }, { error = "input:1: no" }, json.null),
    }
    assert.are.same({
      1, "worker 1: 1\n", "moonwire: worker 2: input:1: no\nmoonwire: worker 3: no answer\n",
    }, { fake:run("eval", "echo", "no()") })
  end)

  it("fails when no worker runs", function()
    local fake <close> = daemon.open { eval = { ok = true, workers = {} } }
    assert.are.same({ 1, "", "moonwire: no worker runs\n" }, { fake:run("eval", "echo", "1") })
  end)

  it("sends no more than a daemon reads", function()
    local fake <close> = daemon.open {}
    local status, _, errors = fake:run("eval", "echo", ("x"):rep(70000))
    assert.are.equal(2, status)
    assert.matches("^moonwire: a request of 70%d+ bytes: a daemon reads 65536 at most\n$", errors)
  end)
end)
