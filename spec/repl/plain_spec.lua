local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local terminal = require "spec.examples.terminal"

local function repl(input, ...)
  return process.run { moonwire.binary, "repl", input = input, ... }
end

describe("moonwire repl without a terminal", function()
  it("runs lines and shows what they return, and nothing else", function()
    local status, output, errors = repl "return 1+1\n'a' .. 'b', nil\nx = 5\n\n-- remark\nx * 2"
    assert.are.equal(0, status)
    assert.are.equal('2\n"ab"\tnil\n10\n', output)
    assert.are.equal("", errors)
  end)

  it("takes pieces of several lines", function()
    local _, output = repl "for i = 1, 2 do\n  print(i)\nend\ntext = [[one\ntwo]]\n#text\n"
    assert.are.equal("1\n2\n7\n", output)
  end)

  it("ends with the first error, and tells of it on standard error", function()
    for _, case in ipairs {
      { "print 'one'\nerror 'no'\nprint 'two'", "moonwire: input:1: no\n" },
      { "print 'one'\nprint 'two", "moonwire: input:1: unfinished string near <eof>\n" },
      { "print 'one'\nif true then", "moonwire: input:1: 'end' expected near <eof>\n" },
      { "print 'one'\nerror({})", "moonwire: (error object is a table value)\n" },
      { "print 'one'\nerror(nil)", "moonwire: (error object is a nil value)\n" },
      { "print 'one'\nerror(require 'moonwire.core'.fault('full', 'no room'))",
        "moonwire: no room\n" },
      { "print 'one'\nerror(setmetatable({}, { __tostring = function() return 'told' end }))",
        "moonwire: told\n" },
    } do
      local status, output, errors = repl(case[1])
      assert.are.equal(1, status, case[1])
      assert.are.equal("one\n", output)
      assert.are.equal(case[2], errors)
    end
  end)

  it("begins a traceback in what was typed", function()
    local _, _, errors = repl "function f() error 'no' end\nf() return"
    assert.are.equal("moonwire: input:1: no\n\tinput:1: in global 'f'\n\tinput:1: in main chunk\n", errors)
  end)

  it("survives an overflow of the stack", function()
    local _, _, errors = repl "function f() return 1 + f() end\nf()"
    assert.is_truthy(("\n" .. errors):find("\nmoonwire: input:1: stack overflow"), errors)
  end)

  it("waits, and ends with what it has started", function()
    local status, output = repl "t = task.spawn(function() task.sleep(0.01) print 'behind' end)\nt:join()\n"
    assert.are.equal(0, status)
    assert.are.equal("behind\n", output)
    local began = require "moonwire.core".now()
    repl "task.spawn(task.sleep, 1000)\nnet.serve('tcp://127.0.0.1:0', print)"
    assert.is_true(require "moonwire.core".now() - began < 10)
  end)

  it("runs each line as it comes", function()
    local program <close> = terminal.open(moonwire.binary .. " repl")
    program:type "timer.after(0.01, function() print 'behind' io.stdout:flush() end) return"
    program:sees "behind"
    program:type "6 * 7"
    program:sees "42"
    program:type "os.exit(7)"
    assert.are.equal(7, program:wait())
  end)

  it("ends with SIGINT and SIGTERM", function()
    for signal, expected in pairs { INT = 130, TERM = 0 } do
      local program <close> = terminal.open(moonwire.binary .. " repl")
      program:type "print 'there' io.stdout:flush() task.sleep(1000)"
      program:sees "there"
      program.process:signal(signal)
      assert.are.equal(expected, program:wait())
    end
  end)

  it("runs the code of -e first", function()
    local status, output = repl("x + 1", "-e", "x = 1 print 'first'")
    assert.are.equal(0, status)
    assert.are.equal("first\n2\n", output)
    status, output = repl("print 'never'", "-e", "nothing()")
    assert.are.equal(1, status)
    assert.are.equal("", output)
  end)

  it("reads files and nothing at all", function()
    local place <close> = require "spec.support.folder".new()
    for path, expected in pairs { ["/dev/null"] = "", [place:write("input", "6 * 7\n")] = "42\n" } do
      local status, output = process.run { "sh", "-c", ("%s repl <%s"):format(moonwire.binary, path) }
      assert.are.equal(0, status)
      assert.are.equal(expected, output)
    end
  end)

  it("has a history at a terminal only", function()
    local folder = require "spec.support.folder"
    local home <close> = folder.new()
    local env = { HOME = home.path, XDG_STATE_HOME = home.path }
    process.run { moonwire.binary, "repl", input = "1", env = env }
    for name in require "lfs".dir(home.path) do
      assert.is_truthy(name == "." or name == "..", name)
    end
  end)

  it("refuses a line without an end", function()
    local status, _, errors = repl(("x"):rep(1024 * 1024 + 5000))
    assert.are.equal(1, status)
    assert.is_truthy(errors:find("a line of more than 1048576 bytes", 1, true), errors)
  end)

  it("refuses what it does not know", function()
    for _, words in ipairs { { "script.lua" }, { "--listen", "tcp://[::1]:0" }, { "--log-level", "loud" } } do
      local status, _, errors = repl("", table.unpack(words))
      assert.are.equal(2, status)
      assert.matches("Try 'moonwire repl %-%-help'", errors)
    end
  end)

  it("logs to where it is told", function()
    local program <close> = terminal.open(moonwire.binary .. " repl --log-format json --log-level debug")
    program:type "log.debug('said', { by = 'me' })"
    condition.wait_until(function()
      return program.process:errors():find('"message":"said","service":"repl"', 1, true)
    end)
  end)
end)
