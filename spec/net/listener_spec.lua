local core = require "moonwire.core"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local streams = require "spec.support.streams"
local task = require "moonwire.task"

local address_of = streams.address_of

local function failure(word)
  return { n = 3, nil, word, word }
end

local function hello(conn)
  conn:write("hello")
end

local function port_of(listener)
  return listener:local_address():match(":(%d+)$")
end

describe("net.listen", function()
  it("takes connections one by one", function()
    local listener = assert(net.listen("tcp://127.0.0.1:0"))
    local clients = {}
    for i = 1, 3 do
      clients[i] = assert(net.connect(address_of(listener)))
    end
    for _, client in ipairs(clients) do
      local conn = assert(listener:accept(5))
      assert.equal(client:local_address(), conn:peer_address())
      conn:write("hello")
      conn:close()
      assert.equal("hello", client:read_all())
    end
  end)

  it("accept waits for a connection, at most so long", function()
    local listener = net.listen("tcp://127.0.0.1:0")
    assert.same(failure "timeout", table.pack(listener:accept(0.01)))
    assert.same(failure "timeout", table.pack(listener:accept(0)))
    assert.equal("timeout", select(2, task.with_timeout(0.01, listener.accept, listener)))
    local acceptor = task.spawn(function() return (listener:accept()):keep() end)
    task.yield()
    local client = net.connect(address_of(listener))
    local conn = acceptor:join()
    assert.equal(client:local_address(), conn:peer_address())
    conn:close()
  end)

  it("keeps a connection that came while nobody accepted", function()
    local listener = net.listen("tcp://127.0.0.1:0")
    local client = net.connect(address_of(listener))
    client:write("early")
    local acceptor = task.spawn(listener.accept, listener)
    task.yield()
    acceptor:cancel()
    acceptor:join()
    local conn = assert(listener:accept(5))
    assert.equal("early", conn:read(5))
  end)

  it("has one acceptor at a time", function()
    local listener = net.listen("tcp://127.0.0.1:0")
    task.spawn(listener.accept, listener)
    task.yield()
    assert.same(failure "busy", table.pack(listener:accept(1)))
  end)

  it("gives its connections to the task that accepts", function()
    local listener = net.listen("tcp://127.0.0.1:0")
    local client = net.connect(address_of(listener))
    local conn
    task.spawn(function() conn = listener:accept(5) end):join()
    assert.is_false(conn:is_open())
    assert.equal("", client:read_all())
  end)

  it("gives its connections the options for streams", function()
    local listener = net.listen("tcp://127.0.0.1:0", { read_timeout = 0.01 })
    net.connect(address_of(listener))
    local conn = listener:accept(5)
    assert.same(failure "timeout", table.pack(conn:read(1)))
  end)
end)

describe("close", function()
  it("wakes the acceptor with closed, and may be called again", function()
    local listener = net.listen("tcp://127.0.0.1:0")
    local acceptor = task.spawn(listener.accept, listener)
    task.yield()
    listener:close()
    listener:close()
    assert.same(failure "closed", table.pack(acceptor:join()))
    assert.same(failure "closed", table.pack(listener:accept()))
    assert.same(failure "closed", table.pack(listener:local_address()))
    assert.is_false(listener:is_open())
    assert.equal("moonwire.listener: closed", tostring(listener))
  end)

  it("refuses new connections and leaves those that are open", function()
    local listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:write(conn:read_line()) end)
    local address = address_of(listener)
    local conn = net.connect(address)
    task.sleep(0.005)
    listener:close()
    assert.equal("refused", select(3, net.connect(address)))
    conn:write("still here\n")
    assert.equal("still here", conn:read_all())
  end)

  it("lets the same address be listened on at once, also with connections open", function()
    local listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:read_line() end)
    local address = address_of(listener)
    local conn = net.connect(address)
    conn:write("x")
    task.sleep(0.005)
    for _ = 1, 3 do
      listener:close()
      listener = assert(net.serve(address, hello))
      assert.equal("hello", net.connect(address):read_all())
    end
  end)

  it("comes with the block and with the task", function()
    local inner
    do
      local listener <close> = net.listen("tcp://127.0.0.1:0")
      inner = listener
    end
    assert.is_false(inner:is_open())
    task.spawn(function() inner = net.serve("tcp://127.0.0.1:0", hello) end):join()
    assert.is_false(inner:is_open())
  end)
end)

describe("net.serve", function()
  it("runs the handler as a task for every connection", function()
    local ids = {}
    local listener = net.serve("tcp://127.0.0.1:0", function(conn)
      ids[tostring(task.current())] = true
      conn:write(conn:read_line(), "\n")
    end)
    local clients = {}
    for i = 1, 10 do
      clients[i] = net.connect(address_of(listener))
    end
    for i = 10, 1, -1 do
      clients[i]:write("number ", i, "\n")
      assert.equal("number " .. i, clients[i]:read_line())
    end
    local count = 0
    for _ in pairs(ids) do
      count = count + 1
    end
    assert.equal(10, count)
  end)

  it("closes the connection when the handler returns, after what it wrote has left", function()
    local data = ("x"):rep(300000)
    local listener = net.serve("tcp://127.0.0.1:0", function(conn)
      conn:configure { high_mark = 1000000 }
      conn:write(data)
    end)
    assert.is_true(net.connect(address_of(listener)):read_all() == data)
  end)

  it("closes the connection when the handler fails, and serves the others", function()
    local listener = net.serve("tcp://127.0.0.1:0", function(conn)
      if conn:read_line() == "fail" then
        error(core.fault("refused", "such is the test"))
      end
      conn:write("fine")
    end)
    local good, bad = net.connect(address_of(listener)), net.connect(address_of(listener))
    bad:write("fail\n")
    assert.equal("", bad:read_all())
    good:write("go on\n")
    assert.equal("fine", good:read_all())
    local late = net.connect(address_of(listener))
    late:write("go on\n")
    assert.equal("fine", late:read_all())
  end)

  it("cannot be accepted from", function()
    local listener = net.serve("tcp://127.0.0.1:0", hello)
    assert.has_error(function() listener:accept() end)
  end)

  it("gives its connections the options for streams", function()
    local listener = net.serve("tcp://127.0.0.1:0", function(conn)
      conn:write(select(3, conn:read(1)))
    end, { read_timeout = 0.01 })
    assert.equal("timeout", net.connect(address_of(listener)):read_all())
  end)

  it("with defer starts the handler when the peer has spoken", function()
    local started = 0
    local listener = net.serve("tcp://127.0.0.1:0", function(conn)
      started = started + 1
      conn:write(conn:read_line(), "\n")
    end, { defer = true })
    local silent, spoken = net.connect(address_of(listener)), net.connect(address_of(listener))
    spoken:write("hello\n")
    assert.equal("hello", spoken:read_line())
    assert.equal(1, started)
    silent:write("late\n")
    assert.equal("late", silent:read_line())
    assert.equal(2, started)
  end)

  it("with defer closes who stays silent or goes away", function()
    local listener = net.serve("tcp://127.0.0.1:0", hello, { defer = true, read_timeout = 0.05 })
    local silent = net.connect(address_of(listener))
    assert.equal("", silent:read_all())
    local gone = net.connect(address_of(listener))
    gone:shutdown_write()
    assert.equal("", gone:read_all())
  end)

  it("defer is for net.serve alone", function()
    assert.error_matches(function() net.listen("tcp://127.0.0.1:0", { defer = true }) end, "defer")
  end)
end)

describe("keep", function()
  it("lets a listener outlive its task, with the tasks of its connections", function()
    local listener
    task.spawn(function()
      listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:write(conn:read_line()) end):keep()
    end):join()
    assert.is_true(listener:is_open())
    local conn = net.connect(address_of(listener))
    conn:write("kept\n")
    assert.equal("kept", conn:read_all())
    listener:close()
  end)

  it("works for listeners that accept", function()
    local listener
    task.spawn(function() listener = net.listen("tcp://127.0.0.1:0"):keep() end):join()
    net.connect(address_of(listener))
    assert.is_truthy(listener:accept(5))
    listener:close()
    assert.equal(listener, listener:keep())
  end)
end)

describe("IPv4 and IPv6", function()
  it("each have listeners of their own", function()
    for _, address in ipairs { "tcp://127.0.0.1:0", "tcp://[::1]:0", "127.0.0.1:0", "[::1]:0" } do
      local listener = assert(net.serve(address, hello))
      assert.equal("hello", net.connect(address_of(listener)):read_all())
    end
  end)

  it("both reach a listener on [::], as IPv4 and IPv6 addresses", function()
    local peer
    local listener = net.serve("tcp://[::]:0", function(conn)
      peer = conn:peer_address()
    end)
    net.connect("tcp://127.0.0.1:" .. port_of(listener)):read_all()
    assert.matches("^127.0.0.1:%d+$", (peer:gsub("^%[::ffff:(.-)%]", "%1")))
    net.connect("tcp://[::1]:" .. port_of(listener)):read_all()
    assert.matches("^%[::1%]:%d+$", peer)
  end)

  it("do not share a listener with v6_only", function()
    local listener = net.serve("tcp://[::]:0", hello, { v6_only = true })
    assert.equal("refused", select(3, net.connect("tcp://127.0.0.1:" .. port_of(listener))))
    assert.equal("hello", net.connect("tcp://[::1]:" .. port_of(listener)):read_all())
    assert.is_truthy(net.listen("tcp://0.0.0.0:" .. port_of(listener)))
  end)
end)

describe("an address that cannot be listened on", function()
  it("in use says so, with the address", function()
    local listener = net.listen("tcp://127.0.0.1:0")
    local address = listener:local_address()
    local second, err, code = net.listen("tcp://" .. address)
    assert.is_nil(second)
    assert.equal("in_use", code)
    assert.equal(("listen %s: address already in use"):format(address), err:lower())
  end)

  it("of another machine is unavailable", function()
    local listener, err, code = net.listen("tcp://192.0.2.1:0")
    assert.is_nil(listener)
    assert.equal("unavailable", code)
    assert.matches("listen 192.0.2.1:0: ", err, 1, true)
  end)

  it("raises when it is none, and says how one looks", function()
    for _, address in ipairs {
      "127.0.0.1", "tcp://127.0.0.1:x", "tcp://127.0.0.1:70000", "tcp://127.0.0.1", "unix://", "",
      "http://x:80",
    } do
      assert.error_matches(function() net.listen(address) end, "is no address: ")
    end
    assert.error_matches(function() net.listen("udp://127.0.0.1:0") end, "net.datagram")
    assert.has_error(function() net.listen() end)
    assert.has_error(function() net.serve("tcp://127.0.0.1:0") end)
  end)

  it("by name says that a number is needed", function()
    local called, listener, err = pcall(net.listen, "tcp://localhost:0")
    assert.matches("numeric", called and err or listener)
  end)
end)

describe("options of listeners", function()
  it("reuse_port lets several listen on one port", function()
    local first = assert(net.serve("tcp://127.0.0.1:0", hello, { reuse_port = true }))
    local address = address_of(first)
    assert(net.serve(address, hello, { reuse_port = true }))
    assert.equal("in_use", select(3, net.listen(address)))
    for _ = 1, 8 do
      assert.equal("hello", net.connect(address):read_all())
    end
  end)

  it("backlog limits how many connections wait", function()
    local listener = net.listen("tcp://127.0.0.1:0", { backlog = 1 })
    local code
    for _ = 1, 10 do
      local conn
      conn, _, code = net.connect(address_of(listener), { timeout = 0.1 })
      if not conn then
        break
      end
    end
    assert.equal("timeout", code)
  end)

  it("raise when they are unknown or wrong", function()
    for _, options in ipairs {
      { backlog = 0 }, { backlog = "many" }, { reuse_port = 1 }, { mode = 512 }, { mode = -1 }, { port = 1 },
      { nodelay = "yes" }, { read_timeout = "soon" },
    } do
      assert.has_error(function() net.listen("tcp://127.0.0.1:0", options) end)
    end
  end)

  it("keepalive makes the kernel probe idle connections", function()
    -- Whether the kernel's keepalive timer (2) runs for the connection of this listener.
    local function is_probed(options)
      local listener = net.listen("tcp://127.0.0.1:0", options)
      net.connect(address_of(listener))
      listener:accept(5)
      local file <close> = assert(io.open("/proc/net/tcp"))
      local ends = (":%04X"):format(port_of(listener))
      local timer = file:read("a"):match(ends .. " %x+:%x+ 01 %x+:%x+ (%x%x):")
      return timer == "02"
    end
    assert.is_true(is_probed { keepalive = true })
    assert.is_false(is_probed {})
  end)
end)

describe("a Unix path", function()
  local place, path

  before_each(function()
    place = folder.new()
    path = place.path .. "/x.sock"
  end)

  after_each(function()
    place:remove()
  end)

  it("is served, and removed at the end", function()
    local listener = assert(net.serve("unix://" .. path, hello))
    assert.equal("unix://" .. path, listener:local_address())
    assert.equal("socket", lfs.attributes(path, "mode"))
    assert.equal("hello", net.connect("unix://" .. path):read_all())
    listener:close()
    assert.is_nil(lfs.attributes(path))
  end)

  it("has the mode bits that were asked for", function()
    net.listen("unix://" .. path, { mode = tonumber("600", 8) })
    assert.equal("rw-------", lfs.attributes(path, "permissions"))
    net.listen("unix://" .. path .. "2", { mode = tonumber("666", 8) })
    assert.equal("rw-rw-rw-", lfs.attributes(path .. "2", "permissions"))
  end)

  it("that a dead process left behind is taken over", function()
    local left = [[import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()]]
    assert.equal(0, (process.run { "python3", "-c", left, path }))
    assert.equal("socket", lfs.attributes(path, "mode"))
    assert(net.serve("unix://" .. path, hello))
    assert.equal("hello", net.connect("unix://" .. path):read_all())
  end)

  it("that somebody listens on is in use", function()
    local first = net.serve("unix://" .. path, hello)
    local second, err, code = net.listen("unix://" .. path)
    assert.is_nil(second)
    assert.equal("in_use", code)
    assert.matches(path, err, 1, true)
    assert.is_true(first:is_open())
    assert.equal("hello", net.connect("unix://" .. path):read_all())
  end)

  it("that is a file of another kind is left alone", function()
    place:write("x.sock", "precious")
    local listener, _, code = net.listen("unix://" .. path)
    assert.is_nil(listener)
    assert.equal("in_use", code)
    assert.equal("precious", place:read("x.sock"))
  end)

  it("in a folder that does not exist says so", function()
    local listener, err, code = net.listen("unix://" .. place.path .. "/no/x.sock")
    assert.is_nil(listener)
    assert.is_string(code)
    assert.matches("listen unix://" .. place.path .. "/no/x.sock: no such file or directory", err, 1, true)
  end)

  it("that is too long is refused", function()
    assert.has_error(function() net.listen("unix:///tmp/" .. ("x"):rep(200)) end)
  end)

  it("is reached by socat", function()
    net.serve("unix://" .. path, function(conn) conn:write("got ", conn:read_line(), "\n") end)
    local _, output = process.run { "socat", "-", "UNIX-CONNECT:" .. path, input = "it\n" }
    assert.equal("got it\n", output)
  end)
end)

describe("an abstract Unix name", function()
  it("is served without a file", function()
    local name = ("unix://@moonwire-spec-%d"):format(math.random(1 << 40))
    local listener = assert(net.serve(name, hello))
    assert.equal(name, listener:local_address())
    assert.equal("hello", net.connect(name):read_all())
    assert.equal("in_use", select(3, net.listen(name)))
    listener:close()
    assert.equal("refused", select(3, net.connect(name)))
  end)
end)

describe("an adopted descriptor", function()
  it("is listened on by fd://, whatever its kind", function()
    local place <close> = folder.new()
    local script = place:write("hello.lua", 'return function(conn) conn:write("hello") end')
    local parent = [[
import os, socket, sys
if sys.argv[1] == "unix":
    server = socket.socket(socket.AF_UNIX)
    server.bind(sys.argv[2])
else:
    server = socket.socket(socket.AF_INET6)
    server.bind(("::1", 0))
server.listen()
os.dup2(server.fileno(), 7, True)
os.execvp(sys.argv[3], [sys.argv[3], "run", sys.argv[4], "--listen", "fd://7"])]]
    for _, kind in ipairs { "unix", "tcp" } do
      local path = place.path .. "/x.sock"
      local server <close> = process.start { "python3", "-c", parent, kind, path, moonwire.binary, script }
      local address = require "spec.support.condition".wait_until(function()
        return server:errors():match("listening .-address=(%S+)")
      end, 30, function() return server:errors() end)
      assert.equal("hello", assert(net.connect(kind == "unix" and "unix://" .. path or address)):read_all())
    end
  end)

  it("that is none, or no listening socket, is refused", function()
    local listener, err, code = net.listen("fd://999")
    assert.is_nil(listener)
    assert.equal("closed", code)
    assert.matches("listen fd://999: ", err, 1, true)
    local file <close> = assert(io.open("/dev/null"))
    assert.is_truthy(file)
    local descriptor
    for name in lfs.dir("/proc/self/fd") do
      if lfs.symlinkattributes("/proc/self/fd/" .. name, "target") == "/dev/null" and tonumber(name) > 2 then
        descriptor = name
      end
    end
    assert.is_nil((net.listen("fd://" .. descriptor)))
    assert.is_truthy(file:seek("set"))
  end)
end)

describe("a listener", function()
  it("is printable", function()
    local listener = net.listen("tcp://127.0.0.1:0")
    assert.equal(("moonwire.listener: %s open"):format(listener:local_address()), tostring(listener))
  end)

  it("takes hundreds of connections at once", function()
    local listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:write(conn:read_line(), "\n") end)
    local address, group = address_of(listener), task.group()
    local good = 0
    for i = 1, 300 do
      group:spawn(function()
        local conn = assert(net.connect(address))
        conn:write(i, "\n")
        if conn:read_line() == tostring(i) then
          good = good + 1
        end
      end)
    end
    assert.is_true(group:wait())
    assert.equal(300, good)
    group:close()
  end)
end)
