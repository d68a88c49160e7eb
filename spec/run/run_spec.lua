local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"

local function run(...)
  local status, output, errors = process.run { moonwire.binary, ... }
  return status, output, errors
end

local ECHO <const> = [[return function(conn) for line in conn:lines() do conn:write(line, "\n") end end]]

describe("the command line", function()
  it("prints help, on standard output when asked for it", function()
    local status, output = run "--help"
    assert.are.equal(0, status)
    assert.is_truthy(output:find("\n  run  ", 1, true))
    status, output = run("run", "--help")
    assert.are.equal(0, status)
    assert.is_truthy(output:find("--listen ADDRESS", 1, true))
  end)

  it("prints its version and those of what it is made of", function()
    local status, output = run "--version"
    assert.are.equal(0, status)
    for _, pattern in ipairs { "^moonwire %d", "\nLua 5%.4", "\nlibev 4", "\nOpenSSL %d", "\nc%-ares %d" } do
      assert.is_truthy(output:find(pattern), pattern)
    end
  end)

  it("refuses what it does not know, and says where help is", function()
    for _, words in ipairs {
      { "walk" }, { "run" }, { "run", "--loud", "x.lua" }, { "run", "a.lua", "b.lua" },
      { "run", "a.lua", "-e", "b" }, { "run", "--log-level", "loud", "a.lua" },
      { "run", "--log-format", "xml", "a.lua" },
    } do
      local status, output, errors = run(table.unpack(words))
      assert.are.equal(2, status, table.concat(words, " "))
      assert.are.equal("", output)
      assert.matches("\nTry 'moonwire [%l ]*%-%-help'", errors)
    end
  end)

  it("runs code that is given on it, in a task that may wait", function()
    local status, output = run("run", "-e", [[
      require "moonwire.task".sleep(0.01)
      io.write(..., " ", select("#", ...), "\n")]], "--", "one", "--two", "3")
    assert.are.equal(0, status)
    assert.are.equal("one 3\n", output)
  end)

  it("fills ctx.config from --set, with dots for nested tables", function()
    local server <close> = moonwire.serve {
      code = [[return function(conn, ctx)
        local c = ctx.config
        conn:write(math.type(c.limits.size), " ", c.limits.size, " ", math.type(c.limits.rate), " ")
        conn:write(tostring(c.on), " ", c.name, " ", c.equation, " ", ctx.name, " ")
        conn:write(ctx.generation, " ", ctx.worker)
      end]],
      options = {
        "--set", "limits.size=8", "-s", "limits.rate=0.5", "--set", "on=true", "--set", "name=a b", "--set",
        "equation=a=b",
      },
    }
    local conn <close> = assert(net.connect(server.address))
    assert.are.equal("integer 8 float true a b a=b script 1 1", conn:read_all())
  end)

  it("makes lists of settings whose names are numbers", function()
    local server <close> = moonwire.serve {
      code = [[return function(conn, ctx) conn:write(table.concat(ctx.config.names, ",")) end]],
      options = { "--set", "names.1=a", "--set", "names.2=b" },
    }
    local conn <close> = assert(net.connect(server.address))
    assert.are.equal("a,b", conn:read_all())
  end)

  it("refuses a setting without a key or value", function()
    for _, setting in ipairs { "nothing", "=1" } do
      local status, _, errors = run("run", "-e", "return print", "--set", setting)
      assert.are.equal(1, status)
      assert.is_truthy(errors:find("--set " .. setting, 1, true), errors)
    end
  end)

  it("serves several addresses of all kinds at once", function()
    local place <close> = folder.new()
    local path = place.path .. "/echo.sock"
    local name = ("moonwire-spec-%d"):format(math.random(1 << 40))
    local server <close> = moonwire.serve {
      code = ECHO,
      listen = { "tcp://127.0.0.1:0", "tcp://[::1]:0", "unix://" .. path, "unix://@" .. name },
    }
    assert.are.equal(4, #server.addresses)
    for _, address in ipairs(server.addresses) do
      local conn <close> = assert(net.connect(address))
      conn:write "hello\n"
      assert.are.equal("hello", conn:read_line(), address)
    end
    server:stop()
    assert.is_nil(io.open(path))
  end)

  it("listens on a descriptor that its parent opened", function()
    local place <close> = folder.new()
    local script = place:write("echo.lua", ECHO)
    local program = place:write("parent.py", [[
import os, socket, sys
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
os.set_inheritable(server.fileno(), True)
os.execvp(sys.argv[1], [sys.argv[1], "run", sys.argv[2], "--listen", "fd://%d" % server.fileno()])
]])
    local parent <close> = process.start { "python3", program, moonwire.binary, script }
    local wait_until = require "spec.support.condition".wait_until
    local port = wait_until(function() return parent:errors():match "address=127%.0%.0%.1:(%d+)" end)
    local conn <close> = assert(net.connect("tcp://127.0.0.1:" .. port))
    conn:write "adopted\n"
    assert.are.equal("adopted", conn:read_line())
    local status, _, errors = run("run", script, "--listen", "fd://99")
    assert.are.equal(1, status)
    assert.is_truthy(errors:find("listen fd://99", 1, true), errors)
  end)

  it("takes datagrams of a descriptor that its parent opened, as inetd's wait has it", function()
    local place <close> = folder.new()
    local script = place:write("echo.lua", [[
      return { datagram = function(socket, data, peer) socket:send(data, peer) end }]])
    local program = place:write("parent.py", [[
import os, socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
os.dup2(server.fileno(), 0)
os.execv(sys.argv[1], [sys.argv[1], "run", sys.argv[2], "--listen", "fd://0"])
]])
    local parent <close> = process.start { "python3", program, moonwire.binary, script }
    local wait_until = require "spec.support.condition".wait_until
    local port = wait_until(function() return parent:errors():match "address=127%.0%.0%.1:(%d+)" end)
    local socket <close> = assert(net.connect("udp://127.0.0.1:" .. port))
    socket:send "hello"
    assert.equal("hello", (socket:receive(30)))
  end)

  it("serves one connection on pipes with --stdio", function()
    local status, _, output = moonwire.run { code = ECHO, options = { "--stdio" }, input = "one\ntwo\n" }
    assert.are.equal(0, status)
    assert.are.equal("one\ntwo\n", output)
  end)

  it("serves one connection on a socket with --stdio, as inetd hands it over", function()
    local place <close> = folder.new()
    local script, path = place:write("echo.lua", ECHO), place.path .. "/inetd.sock"
    local inetd <close> = process.start {
      "socat", "UNIX-LISTEN:" .. path, ("EXEC:%s run %s --stdio"):format(moonwire.binary, script),
    }
    local conn
    require "spec.support.condition".wait_until(function()
      conn = net.connect("unix://" .. path)
      return conn
    end)
    conn:write "hello\n"
    assert.are.equal("hello", conn:read_line())
    conn:shutdown_write()
    assert.are.equal("", conn:read_all())
    assert.are.equal(0, inetd:wait())
  end)

  it("keeps print off a connection that is standard output", function()
    local status, errors, output = moonwire.run {
      code = [[return function(conn) print("aside", 1) conn:write("answer\n") end]],
      options = { "--stdio" },
    }
    assert.are.equal(0, status)
    assert.are.equal("answer\n", output)
    assert.is_truthy(errors:find("aside\t1\n", 1, true))
  end)
end)

describe("a script that cannot run", function()
  local function fails(code, ...)
    local status, errors, _, script = moonwire.run { code = code }
    assert.are.equal(1, status)
    for _, text in ipairs { ... } do
      assert.is_truthy(errors:find((text:gsub("FILE", script)), 1, true), errors)
    end
  end

  it("has its syntax error named with file and line", function()
    fails("local x =\n\nreturn x", "FILE:3: unexpected symbol near 'return'")
  end)

  it("has its missing module named with file and line", function()
    fails("\nrequire 'no.such.module'", "FILE:2:", "module 'no.such.module' not found")
  end)

  it("has a fault of its main chunk named with file, line and traceback", function()
    fails("local function f() local t; t.x = 1 end\nf()", "FILE:1: attempt to index a nil value",
      "\n\tFILE:2: in main chunk")
  end)

  it("has a fault of its start function named", function()
    fails("return { start = function() error('no disk') end }", "FILE:1: no disk")
  end)

  it("has an unknown field of its service named", function()
    fails("return { conect = function() end }", "unknown field 'conect'")
    fails("return { connect = 1 }", "'connect' of the service must be a function, not a number")
    fails("return 1", "a function, a table of them or nothing, not a number")
  end)

  it("is told when it is bytecode", function()
    local place <close> = folder.new()
    local binary = place:write("binary.lua", "\27Lua")
    local status, _, errors = run("run", binary)
    assert.are.equal(1, status)
    assert.is_truthy(errors:find("attempt to load a binary chunk", 1, true), errors)
  end)

  it("is told that it has no handler for an address", function()
    for _, case in ipairs {
      { "local x = 1", "tcp://127.0.0.1:0", "returned no handler" },
      { "return { start = print }", "tcp://127.0.0.1:0", "the script has no 'connect' function" },
      { "return print", "udp://127.0.0.1:0", "the script has no 'datagram' function" },
      { "return print", "tcp://example.com:80", "numeric address" },
      { "return print", "http://127.0.0.1:80", "--listen http://127.0.0.1:80" },
    } do
      local status, _, errors = run("run", "-e", case[1], "--listen", case[2])
      assert.are.equal(1, status)
      assert.is_truthy(errors:find(case[3], 1, true), errors)
    end
  end)

  it("is told that an address is in use", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local address = listener:local_address()
    local status, _, errors = run("run", "-e", "return print", "--listen", "tcp://" .. address)
    assert.are.equal(1, status)
    assert.is_truthy(errors:find("listen " .. address .. ": ", 1, true), errors)
    assert.is_truthy(errors:lower():find("in use", 1, true), errors)
  end)

  it("may not assign an undeclared global, and is told the remedy", function()
    fails("\ncount = 1", "FILE:2:", "'count'", "declare it local")
  end)

  it("may require installed modules that make globals", function()
    local status, errors = moonwire.run [[
      print(require "lfs".currentdir())
      assert(_G.lfs)]]
    assert.are.equal(0, status, errors)
  end)

  it("may not wait while a module of its own is being required, and is told so", function()
    local place <close> = folder.new()
    place:write("waits.lua", "require 'moonwire.task'.sleep(0.1)")
    local script = place:write("main.lua", "require 'waits'")
    local status, _, errors = run("run", script)
    assert.are.equal(1, status)
    assert.is_truthy(errors:find("waits.lua:1: cannot wait here", 1, true), errors)
  end)
end)

describe("the end of a service", function()
  local STOPS <const> = [[
    local task = require "moonwire.task"
    return {
      connect = function(conn) conn:write("hello\n") task.sleep(100) end,
      stop = function(ctx) task.sleep(0.05) print("stopped", ctx.name) end,
    }]]

  for _, signal in ipairs { "TERM", "INT" } do
    it("comes with SIG" .. signal .. ": stop is called, connections close, the status is 0", function()
      local server <close> = moonwire.serve(STOPS)
      local conn <close> = assert(net.connect(server.address))
      assert.are.equal("hello", conn:read_line())
      server.process:signal(signal)
      assert.are.equal(0, server.process:wait(5))
      assert.is_truthy(server:log():find("stopped\tscript", 1, true))
      assert.are.equal("eof", select(3, conn:read_line()))
    end)
  end

  it("comes at once with the second signal", function()
    local server <close> = moonwire.serve [[
      return {
        connect = print,
        stop = function() print "stopping" require "moonwire.task".sleep(100) end,
      }]]
    server.process:signal "TERM"
    server:wait_for_log "^stopping"
    server.process:signal "TERM"
    assert.are.equal(128 + 15, server.process:wait(2))
  end)

  it("comes with an error when no task can ever run again", function()
    local status, errors = moonwire.run 'require "moonwire.sync".event():wait()'
    assert.are.equal(1, status)
    assert.is_truthy(errors:find("every task waits for another", 1, true), errors)
  end)

  it("ends what was kept for the service, too", function()
    local server <close> = moonwire.serve [[
      local net, task = require "moonwire.net", require "moonwire.task"
      local kept
      return {
        start = function()
          task.spawn(function()
            kept = assert(net.serve("tcp://127.0.0.1:0", function(conn)
              conn:write("hi\n")
              task.sleep(100)
            end)):keep()
          end):join()
        end,
        connect = function(conn) conn:write(kept:local_address(), "\n") end,
      }]]
    local first <close> = assert(net.connect(server.address))
    local second <close> = assert(net.connect("tcp://" .. first:read_line()))
    assert.are.equal("hi", second:read_line())
    server.process:signal "TERM"
    assert.are.equal(0, server.process:wait(5))
  end)

  it("comes by itself when a program has nothing left to do", function()
    local status, errors = moonwire.run [[
      local net, task = require "moonwire.net", require "moonwire.task"
      local listener
      listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:write("x") listener:close() end)
      task.spawn(function()
        print((net.connect("tcp://" .. listener:local_address()):read_all()))
      end)]]
    assert.are.equal(0, status)
    assert.is_truthy(errors:find("x\n", 1, true))
  end)
end)
