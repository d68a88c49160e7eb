local folder = require "spec.support.folder"
local lfs = require "lfs"
local net = require "moonwire.net"
local prompt = require "spec.repl.prompt"

local CTRL_A <const>, CTRL_C <const>, CTRL_D <const>, CTRL_R <const> = "\1", "\3", "\4", "\18"
local CTRL_U <const> = "\21"
local UP <const>, LEFT <const> = "\27[A", "\27[D"

describe("the prompt", function()
  it("shows what a line returns", function()
    local ann <close> = prompt.open()
    ann:enter "1 + 1"
    ann:enter "x = { 'a', b = 2 }"
    ann:enter "x, _"
    ann:enter "=x.b"
    ann:sees {
      "> 1 + 1", "2", "> x = { 'a', b = 2 }", "> x, _", '{ "a", b = 2 }  2', "> =x.b", "2", ">",
    }
  end)

  it("asks for more until a piece is whole", function()
    local ann <close> = prompt.open()
    ann:enter "for i = 1, 2 do"
    ann:enter "print(i)"
    ann:enter "end"
    ann:enter "2 *"
    ann:enter "21"
    ann:sees { "> for i = 1, 2 do", ">> print(i)", ">> end", "1", "2", "> 2 *", ">> 21", "42", ">" }
  end)

  it("tells of a mistake, and goes on", function()
    local ann <close> = prompt.open()
    ann:enter "local function inner() return nil + 1 end inner()"
    ann:enter "x ="
    ann:shows "\n>>$"
    ann:type(CTRL_C)
    ann:shows "%^C\n>$"
    ann:enter "1 1"
    ann:sees {
      "> local function inner() return nil + 1 end inner()",
      "input:1: attempt to perform arithmetic on a nil value",
      "        input:1: in local 'inner'",
      "        input:1: in main chunk",
      "> x =", ">> ^C", "> 1 1", "input:1: unexpected symbol near '1'", ">",
    }
  end)

  it("edits the line", function()
    local ann <close> = prompt.open()
    ann:type("12" .. LEFT .. "0" .. CTRL_A .. "'ä' .. \r")
    ann:shows '> \'ä\' %.%. 102\n"ä102"\n>$'
  end)

  it("edits lines that are longer than the terminal is wide", function()
    local ann <close> = prompt.open { columns = 20 }
    ann:type(("x"):rep(30) .. CTRL_A .. "#'" .. "\27[F" .. "'\r")
    ann:sees { "> #'" .. ("x"):rep(16), ("x"):rep(14) .. "'", "30", ">" }
  end)

  it("lets a line wait, and others with it", function()
    local ann <close> = prompt.open()
    ann:enter "task.spawn(function() task.sleep(0.01) print 'behind' end) task.sleep(0.3) print 'here'"
    ann:shows "\nbehind\nhere\n>$"
  end)

  it("keeps what a line has opened for the next", function()
    local listener <close> = assert(net.listen("tcp://127.0.0.1:0"))
    local ann <close> = prompt.open()
    ann:enter(("conn = net.connect('tcp://%s')"):format(listener:local_address()))
    local conn <close> = assert(listener:accept())
    ann:enter "conn:write('hello\\n')"
    assert.are.equal("hello", conn:read_line())
    conn:write "welcome\n"
    ann:enter "conn:read_line()"
    ann:shows '\n"welcome"\n>$'
    ann:enter "conn:read_line()"
    ann:shows "> conn:read_line%(%)$"
    ann:type(CTRL_C)
    ann:shows "%^C\ninterrupted\n>$"
    ann:enter "conn:write('still here\\n')"
    assert.are.equal("still here", conn:read_line())
  end)

  it("serves from a line on", function()
    local ann <close> = prompt.open()
    ann:enter "l = net.serve('tcp://127.0.0.1:0', function(c) c:write(c:read_line(), '\\n') end)"
    ann:enter "l:local_address()"
    ann:shows '\n"127.0.0.1:%d+"\n>$'
    local address = ann.terminal:output():match '"(127%.0%.0%.1:%d+)"'
    local conn <close> = assert(net.connect(address))
    conn:write "echo\n"
    assert.are.equal("echo", conn:read_line())
  end)

  it("shows what others print and log above the line that is typed", function()
    local ann <close> = prompt.open { columns = 60 }
    ann:enter "go = sync.event()"
    ann:enter "function out() go:wait() print 'one' log.warn 'two' io.write 'th' io.write 'ree\\n' end"
    ann:enter "task.spawn(out) return"
    ann:enter "timer.after(0.5, function() go:set() end) return"
    ann:shows "return\n>$"
    ann:type "a line that is still typed while something else is being printed"
    ann:shows "\none\n20%S+ warn  two service=repl task=%d+\nthree\n> a line that"
    ann:shows "\n> a line that is still typed while something else is being p\nrinted$"
  end)

  it("shows unfinished output behind the margin of the next prompt", function()
    local ann <close> = prompt.open()
    ann:enter "io.write 'abc'"
    ann:enter "io.stderr:write 'def'"
    ann:sees { "> io.write 'abc'", "abc", "> io.stderr:write 'def'", "def", ">" }
  end)

  it("ends a line that waits with Ctrl-C, and goes on", function()
    local ann <close> = prompt.open()
    ann:enter "task.sleep(1000)"
    ann:shows "sleep%(1000%)$"
    ann:type(CTRL_C)
    ann:shows "\ninterrupted\n>$"
    ann:enter "task.spawn(function() task.sleep(0.2) print 'alive' end):join()"
    ann:shows "\nalive\n>$"
  end)

  it("ends a line that computes without end, and one that catches what should end it, with Ctrl-C", function()
    local ann <close> = prompt.open()
    for _, line in ipairs { "while true do end", "while true do pcall(task.sleep, 1) end" } do
      ann:enter(line)
      ann:shows "\n> while true [^\n]+$"
      ann:type(CTRL_C)
      ann:shows "\ninterrupted\n>$"
    end
    ann:enter "6 * 7"
    ann:shows "\n42\n>$"
  end)

  it("gives up the line that is typed with Ctrl-C", function()
    local ann <close> = prompt.open()
    ann:type "x = 1 +"
    ann:shows "> x = 1 %+$"
    ann:type(CTRL_C)
    ann:shows "%^C\n>$"
    ann:enter "x"
    ann:sees { "> x = 1 +^C", "> x", "nil", ">" }
  end)

  it("completes names, fields and methods", function()
    local ann <close> = prompt.open()
    ann:enter "a_global = 1"
    ann:shows "\n>$"
    ann:type "local b = a_g\t"
    ann:shows "> local b = a_global$"
    ann:type(CTRL_U .. "whi\t")
    ann:shows "> while$"
    ann:type(CTRL_U .. "net.da\t")
    ann:shows "> net.datagram$"
    ann:type(CTRL_U .. "net.co\t\t")
    ann:shows "\nconnect +connect_datagram\n> net.connect$"
    ann:type(CTRL_U .. "a, b = net.pair()\r")
    ann:shows "pair%(%)\n>$"
    ann:type "a:read_u\t"
    ann:shows "\n> a:read_until$"
    ann:type(CTRL_U .. "nothing.at_all.\t")
    ann:shows "\n> nothing.at_all.$"
  end)

  it("remembers lines, also in the next session, for nobody else to read", function()
    local home <close> = folder.new()
    do
      local ann <close> = prompt.open { home = home.path }
      ann:enter "first = 'one'"
      ann:enter "if first then"
      ann:enter "print(first) end"
      ann:enter "print 'two'"
      ann:enter "print 'two'"
      ann:enter " secret = 1"
      ann:shows "secret = 1\n>$"
      ann:type(UP)
      ann:shows "\n> print 'two'$"
      ann:type(UP)
      ann:shows "\n> if first then\nprint%(first%) end$"
      ann:type(CTRL_C)
      ann:shows "%^C\n>$"
      ann:type(CTRL_D)
      assert.are.equal(0, (ann:ends()))
    end
    local path = home.path .. "/.local/state/moonwire/history"
    assert.are.equal("rw-------", lfs.attributes(path, "permissions"))
    assert.are.equal("first = 'one'\nif first then\\nprint(first) end\nprint 'two'\n",
      home:read ".local/state/moonwire/history")
    local ann <close> = prompt.open { home = home.path }
    ann:type(UP)
    ann:shows "> print 'two'$"
    ann:type(CTRL_U .. CTRL_R .. "one")
    ann:shows "one'"
    ann:type "\r"
    ann:shows "one'\n"
    ann:enter "first"
    ann:shows '\n"one"\n>$'
  end)

  it("runs without a history where none can be", function()
    local ann <close> = prompt.open { home = "/dev/null" }
    ann:enter "1"
    ann:sees { "> 1", "1", ">" }
  end)

  it("runs the code of the command line first", function()
    local ann <close> = prompt.open { arguments = "-e 'x = 20 return x'" }
    ann:enter "x + 1"
    ann:sees { "> x + 1", "21", ">" }
  end)

  it("follows the size of its terminal", function()
    local ann <close> = prompt.open { columns = 80 }
    ann:signal "WINCH"
    ann:enter "task.sleep(0.1) return require 'moonwire.core'.editor.columns()"
    ann:shows "\n40\n>$"
  end)
end)

describe("the end of the prompt", function()
  local ENDS <const> = {
    { "Ctrl-D", function(ann) ann:type(CTRL_D) end, 0 },
    { "Ctrl-D in a piece that is not whole", function(ann)
      ann:enter "for"
      ann:shows "\n>>$"
      ann:type(CTRL_D)
      ann:shows "<name> expected near <eof>\n>$"
      ann:type(CTRL_D)
    end, 0 },
    { "os.exit", function(ann) ann:enter "os.exit(3)" end, 3 },
    { "SIGTERM while a line is typed", function(ann)
      ann:type "half a li"
      ann:shows "half a li$"
      ann:signal "TERM"
    end, 0 },
    { "SIGTERM while a line runs", function(ann)
      ann:enter "task.sleep(1000)"
      ann:shows "sleep%(1000%)$"
      ann:signal "TERM"
    end, 0 },
    { "SIGQUIT", function(ann) ann:signal "QUIT" end, -3 },
    { "SIGABRT while a line is typed", function(ann)
      ann:type "half a li"
      ann:shows "half a li$"
      ann:signal "ABRT"
    end, -6 },
  }
  for _, case in ipairs(ENDS) do
    it("gives the terminal back as it was: " .. case[1], function()
      local ann <close> = prompt.open()
      case[2](ann)
      local status, modes = ann:ends()
      assert.are.equal(case[3], status)
      assert.are.equal("as before", modes)
    end)
  end

  it("gives the terminal back while it is stopped, and takes it again", function()
    local ann <close> = prompt.open()
    ann:type "1 + "
    ann:shows "> 1 %+$"
    ann:signal "TSTP"
    ann:hides "> 1 %+$"
    ann:signal "CONT"
    ann:shows "> 1 %+$"
    ann:type "1\r"
    ann:sees { "> 1 + 1", "2", ">" }
    ann:type(CTRL_D)
    assert.are.equal("as before", select(2, ann:ends()))
  end)
end)
