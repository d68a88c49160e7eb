local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"

-- Runs spec files given as name → text; what the runner wrote, its last line, its status.
local function run(files, ...)
  local place <close> = folder.new()
  for name, text in pairs(files) do
    place:write(name, text)
  end
  local status, output, errors = process.run { moonwire.binary, "test", place.path, seconds = 25, ... }
  return {
    status = status, output = output, errors = errors,
    last_line = output:match("([^\n]*)\n$"),
    folder = place.path,
  }
end

local function case(body, name)
  return ('it("%s", function() %s end)\n'):format(name or "case", body)
end

local HEAD <const> = 'local net, task = require "moonwire.net", require "moonwire.task"\n'

describe("moonwire test", function()
  it("counts what passed in its last line", function()
    local result = run { ["a_spec.lua"] = case("assert.equal(1, 1)") .. case("assert.is_true(true)") }
    assert.equal("2 passed, 0 failed, 0 skipped\n", result.output)
    assert.equal(0, result.status)
  end)

  it("says of a failure where and why", function()
    local result = run { ["a_spec.lua"] = case("assert.equal(1, 2)", "adds up") .. case("") }
    assert.equal("1 passed, 1 failed, 0 skipped", result.last_line)
    assert.equal(1, result.status)
    assert.matches("failed: " .. result.folder .. "/a_spec.lua:1: adds up", result.output, 1, true)
    assert.matches("a_spec.lua:1: Expected objects to be equal.", result.output, 1, true)
  end)

  it("shows the traceback of an error", function()
    local text = 'local function deep()\n error("broken")\nend\n' .. case("local x = deep() return x")
    local result = run { ["a_spec.lua"] = text }
    assert.equal("0 passed, 1 failed, 0 skipped", result.last_line)
    assert.matches("a_spec.lua:2: broken\n  at\n[^\n]*a_spec.lua:2: in [^\n]*deep", result.output)
    assert.matches("deep[^\n]*\n[^\n]*a_spec.lua:4:", result.output)
  end)

  it("names what is skipped, with its reason", function()
    local text = 'pending("later")\n' .. case('pending("no network")', "fetches") .. case("")
    local result = run { ["a_spec.lua"] = text }
    assert.equal("1 passed, 0 failed, 2 skipped", result.last_line)
    assert.equal(0, result.status)
    assert.matches("skipped: later\n", result.output, 1, true)
    assert.matches("skipped: fetches %(.*no network%)", result.output)
  end)

  it("fails when no case passed", function()
    local result = run { ["a_spec.lua"] = 'pending("later")\n' }
    assert.equal("0 passed, 0 failed, 1 skipped", result.last_line)
    assert.equal(1, result.status)
  end)

  it("reports a syntax error and runs the other files", function()
    local result = run { ["a_spec.lua"] = "x = = 1\n", ["b_spec.lua"] = case("") }
    assert.equal("1 passed, 1 failed, 0 skipped", result.last_line)
    assert.equal(1, result.status)
    assert.matches("a_spec.lua:1: unexpected symbol near '='", result.output, 1, true)
  end)

  it("reports a file that raises and runs the others", function()
    local result = run { ["a_spec.lua"] = 'require "no.such.module"\n', ["b_spec.lua"] = case("") }
    assert.equal("1 passed, 1 failed, 0 skipped", result.last_line)
    assert.matches("module 'no.such.module' not found", result.output, 1, true)
  end)

  it("reports a path that does not exist", function()
    local status, output = process.run { moonwire.binary, "test", "/nonexistent/spec" }
    assert.equal(1, status)
    assert.matches("/nonexistent/spec", output, 1, true)
    assert.matches("\n0 passed, %d+ failed, 0 skipped\n$", output)
  end)

  it("takes files named _spec.lua only, in subfolders too", function()
    local result = run {
      ["deep/er/a_spec.lua"] = case(""),
      ["helper.lua"] = "error('not a spec')",
      ["a_spec.lua.orig"] = "error('not a spec either')",
    }
    assert.equal("1 passed, 0 failed, 0 skipped", result.last_line)
  end)

  it("runs the cases alone whose name --filter finds", function()
    local cases = case("", "reads") .. case("error('ran')", "writes")
    local text = 'describe("stream", function()\n' .. cases .. "end)\n"
    local result = run({ ["a_spec.lua"] = text }, "--filter", "stream reads")
    assert.equal("1 passed, 0 failed, 0 skipped", result.last_line)
  end)

  it("refuses an unknown option", function()
    local status, _, errors = process.run { moonwire.binary, "test", "--quick" }
    assert.equal(2, status)
    assert.matches("unknown option '--quick'", errors, 1, true)
    assert.matches("usage: moonwire test", errors, 1, true)
  end)

  it("gives each file its own globals and modules", function()
    local result = run {
      ["a_spec.lua"] = "_G.mark = true\npackage.loaded.mark = true\n" .. case("assert.is_true(_G.mark)"),
      ["b_spec.lua"] = case("assert.is_nil(_G.mark) assert.is_nil(package.loaded.mark)"),
    }
    assert.equal("2 passed, 0 failed, 0 skipped", result.last_line)
  end)
end)

describe("a case", function()
  it("may wait anywhere", function()
    local result = run { ["a_spec.lua"] = HEAD .. [[
      local order = {}
      local function wait(word)
        task.sleep(0.001)
        order[#order + 1] = word
      end
      describe("waits", function()
        setup(function() wait "setup" end)
        before_each(function() wait "before" end)
        after_each(function() wait "after" end)
        teardown(function() wait "teardown" end)
        it("a", function() finally(function() wait "finally" end) wait "case" end)
      end)
      it("has waited", function()
        assert.same({ "setup", "before", "case", "finally", "after", "teardown" }, order)
      end)]] }
    assert.equal("2 passed, 0 failed, 0 skipped", result.last_line)
  end)

  it("has the streams and tasks of its before_each", function()
    local result = run { ["a_spec.lua"] = HEAD .. [[
      local a, b
      before_each(function()
        a, b = net.pair()
        task.spawn(function() a:write("echo ", b and "there") end)
      end)
      it("reads", function() assert.equal("echo there", b:read(10)) end)]] }
    assert.equal("1 passed, 0 failed, 0 skipped", result.last_line)
  end)

  it("has what setup opened until the file ends", function()
    local result = run { ["a_spec.lua"] = HEAD .. [[
      describe("server", function()
        local listener
        setup(function()
          listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:write("hello") end)
        end)
        for i = 1, 2 do
          it("answers " .. i, function()
            assert.equal("hello", net.connect(listener:local_address()):read_all())
          end)
        end
      end)]] }
    assert.equal("2 passed, 0 failed, 0 skipped", result.last_line)
  end)

  it("closes what it opened", function()
    local result = run { ["a_spec.lua"] = HEAD .. case [[
      local listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:read(1) end)
      net.connect(listener:local_address())
      net.listen("tcp://127.0.0.1:0")
      net.pair()
      task.spawn(task.sleep, 100)
      task.sleep(0.01)]] }
    assert.equal("1 passed, 0 failed, 0 skipped", result.last_line)
  end)

  it("fails when before_each raises", function()
    local result = run { ["a_spec.lua"] = 'before_each(function() error("not ready") end)\n' .. case("") }
    assert.equal("0 passed, 1 failed, 0 skipped", result.last_line)
    assert.matches("a_spec.lua:1: not ready", result.output, 1, true)
  end)

  it("fails when finally or after_each raise", function()
    local after = 'after_each(function() error("not tidy") end)\n' .. case("", "b")
    local result = run {
      ["a_spec.lua"] = case('finally(function() error("not clean") end)')
        .. 'describe("b", function()\n' .. after .. "end)",
    }
    assert.equal("0 passed, 2 failed, 0 skipped", result.last_line)
    assert.matches("not clean", result.output, 1, true)
    assert.matches("not tidy", result.output, 1, true)
  end)

  it("is not run when setup raises, which counts as a failure", function()
    local text = 'setup(function() error("no server") end)\n' .. case('error("ran")')
    local result = run { ["a_spec.lua"] = text }
    assert.equal("0 passed, 1 failed, 0 skipped", result.last_line)
    assert.matches("no server", result.output, 1, true)
  end)
end)

describe("a leak fails the case", function()
  local function leaks(body)
    local result = run { ["a_spec.lua"] = HEAD .. case(body, "leaks") .. case("", "is fine") }
    assert.equal("1 passed, 1 failed, 0 skipped", result.last_line)
    assert.equal(1, result.status)
    return result.output:match("left alive: ([^\n]+)")
  end

  it("of a descriptor", function()
    assert.matches("^1 descriptors %(%d+ → /dev/null%)$", leaks '_G.file = io.open("/dev/null")')
  end)

  it("of a stream", function()
    assert.equal("1 streams", leaks "_G.kept = net.pair():keep()")
  end)

  it("of a listener", function()
    local left = leaks 'net.serve("tcp://127.0.0.1:0", print):keep()'
    assert.matches("^1 descriptors %(%d+ → socket:", left)
  end)

  it("of a task and its timer", function()
    assert.equal("1 tasks, 1 timers", leaks [[
      local listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:close() task.sleep(100) end):keep()
      net.connect(listener:local_address()):read_all()
      listener:close()]])
  end)

  it("but not what closes by itself soon", function()
    local result = run { ["a_spec.lua"] = HEAD .. case [[
      local listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:close() task.sleep(0.2) end):keep()
      net.connect(listener:local_address()):read_all()
      listener:close()]] }
    assert.equal("1 passed, 0 failed, 0 skipped", result.last_line)
  end)

  it("of a file, when it is no case's", function()
    local result = run { ["a_spec.lua"] = HEAD .. [[
      setup(function() net.serve("tcp://127.0.0.1:0", print):keep() end)
    ]] .. case("") }
    assert.equal("1 passed, 1 failed, 0 skipped", result.last_line)
    assert.matches("a_spec.lua: the file\n    left alive: 1 descriptors", result.output, 1, true)
  end)
end)

describe("a hanging case", function()
  local DEADLINE <const> = 'require("moonwire.test").deadline(0.1)\n'

  it("fails with the place where it hangs", function()
    local cases = case("local a = net.pair()\n a:read(1)") .. case("")
    local result = run { ["a_spec.lua"] = HEAD .. DEADLINE .. cases }
    assert.equal("1 passed, 1 failed, 0 skipped", result.last_line)
    assert.matches("a_spec.lua:4: took longer than 0.1 s; it waited for 'read'", result.output, 1, true)
  end)

  it("blames its own line for a wait in the library", function()
    local result = run { ["a_spec.lua"] = HEAD .. DEADLINE .. case("\n task.sleep(10)") .. case("") }
    assert.matches("a_spec.lua:4: took longer than 0.1 s; it waited for 'sleep'", result.output, 1, true)
  end)

  it("fails when it swallows the cancellation", function()
    local cases = case("pcall(task.sleep, 10)") .. case("")
    local result = run { ["a_spec.lua"] = HEAD .. DEADLINE .. cases }
    assert.equal("1 passed, 1 failed, 0 skipped", result.last_line)
    assert.matches("took longer than 0.1 s; it waited for 'sleep'", result.output, 1, true)
  end)

  it("has no further failures from what cleans up", function()
    local result = run { ["a_spec.lua"] = HEAD .. DEADLINE .. 'after_each(function() task.sleep(0) end)\n'
      .. case("finally(function() task.sleep(0) end) task.sleep(10)") }
    local _, count = result.output:gsub("took longer", "")
    assert.equal(1, count)
    assert.not_matches("cancelled", result.output, 1, true)
  end)

  it("may be a setup: the file's cases are not run then", function()
    local result = run {
      ["a_spec.lua"] = HEAD .. DEADLINE .. 'setup(function()\n task.sleep(10) end)\n' .. case("error('ran')"),
      ["b_spec.lua"] = case(""),
    }
    assert.equal("1 passed, 1 failed, 0 skipped", result.last_line)
    assert.matches("a_spec.lua:4: took longer than 0.1 s; it waited for 'sleep'", result.output, 1, true)
  end)

  it("has 30 seconds in the next file again", function()
    local result = run {
      ["a_spec.lua"] = DEADLINE .. case(""), ["b_spec.lua"] = HEAD .. case("task.sleep(0.3)"),
    }
    assert.equal("2 passed, 0 failed, 0 skipped", result.last_line)
  end)
end)

describe("an interrupted run", function()
  it("ends at once and with status 1", function()
    local place <close> = folder.new()
    place:write("a_spec.lua", HEAD .. case('io.stdout:write("started\\n") io.stdout:flush() task.sleep(100)'))
    local running <close> = process.start { moonwire.binary, "test", place.path }
    require "spec.support.condition".wait_until(function()
      return running:output():find("started", 1, true)
    end)
    running:signal "TERM"
    assert.equal(1, running:wait(5))
  end)
end)
