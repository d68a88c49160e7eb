local condition = require "spec.support.condition"
local dns = require "moonwire.dns"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local task = require "moonwire.task"

local FAMILIES <const> = { v4 = "127.0.0.1", v6 = "[::1]" }

local function bind(host, options)
  return assert(net.datagram(("udp://%s:0"):format(host or "127.0.0.1"), options))
end

local function connect(server, options)
  return assert(net.connect("udp://" .. server:local_address(), options))
end

-- Says everything back in capitals, until the socket is closed.
local function answer_in_capitals(socket)
  return task.spawn(function()
    for data, peer in socket:datagrams() do
      assert(socket:send(data:upper(), peer))
    end
    return "ended"
  end)
end

local function port_of(address)
  return address:match ":(%d+)$"
end

describe("a datagram socket", function()
  for family, host in pairs(FAMILIES) do
    it("hears and answers over " .. family, function()
      local server = bind(host)
      answer_in_capitals(server)
      local client = connect(server)
      for _, text in ipairs { "one", "two" } do
        assert.is_true(client:send(text))
        local data, peer = client:receive()
        assert.are.equal(text:upper(), data)
        assert.are.equal(server:local_address(), peer)
      end
      assert.matches("^" .. host:gsub("%p", "%%%0") .. ":%d+$", server:local_address())
    end)
  end

  it("keeps the borders of datagrams, empty and largest ones", function()
    local server = bind()
    local client = connect(server)
    for _, size in ipairs { 0, 1, 1400, 65507 } do
      assert.is_true(client:send(("x"):rep(size)))
      assert.are.equal(size, #server:receive(5))
    end
    assert.are.same({ n = 3, nil, "too_large", "too_large" }, table.pack(client:send(("x"):rep(65508))))
  end)

  it("leaves what comes while nobody receives in the kernel, in order", function()
    local server = bind()
    local client = connect(server)
    for i = 1, 100 do
      client:send(tostring(i))
    end
    for i = 1, 100 do
      assert.are.equal(tostring(i), (server:receive(5)))
    end
    assert.are.same({ received = 100, received_bytes = 192, sent = 0, sent_bytes = 0 }, server:counters())
    assert.are.equal(100, client:counters().sent)
  end)

  it("hands over what comes in one burst, one datagram a time", function()
    local server = bind()
    local client, seen = connect(server), {}
    local receiving = task.spawn(function()
      while #seen < 80 do
        seen[#seen + 1] = server:receive(5)
        if #seen % 7 == 0 then
          task.yield()
        end
      end
    end)
    task.yield()
    for i = 1, 80 do
      client:send(tostring(i))
    end
    receiving:join()
    for i = 1, 80 do
      assert.are.equal(tostring(i), seen[i])
    end
  end)

  it("tells its addresses and state", function()
    local server = bind()
    local client = connect(server, { local_address = "127.0.0.2:0" })
    assert.are.equal("moonwire.datagram: " .. server:local_address() .. " open", tostring(server))
    assert.is_nil(server:peer_address())
    assert.are.equal(server:local_address(), client:peer_address())
    assert.matches("^127%.0%.0%.2:%d+$", client:local_address())
    client:send("x")
    assert.are.equal(client:local_address(), select(2, server:receive(5)))
    assert.is_true(server:is_open())
    server:close()
    server:close()
    assert.is_false(server:is_open())
    assert.are.equal("moonwire.datagram: closed", tostring(server))
    for _, call in ipairs { server.local_address, server.counters, server.receive } do
      assert.are.same({ n = 3, nil, "closed", "closed" }, table.pack(call(server)))
    end
    assert.are.same({ n = 3, nil, "closed", "closed" }, table.pack(server:send("x", "127.0.0.1:9")))
  end)

  it("shares a port only when told so", function()
    local first = bind("127.0.0.1", { reuse_port = true })
    local address = "udp://" .. first:local_address()
    assert.is_truthy(net.datagram(address, { reuse_port = true }))
    local socket, message, code = net.datagram(address)
    assert.is_nil(socket)
    assert.are.equal("in_use", code)
    assert.matches("^bind 127%.0%.0%.1:%d+: ", message)
  end)

  it("closes at the end of a block and with its task, unless it is kept", function()
    local inner
    do
      local socket <close> = bind()
      inner = socket
    end
    assert.is_false(inner:is_open())
    local owned, kept = task.spawn(function() return bind(), bind():keep() end):join()
    assert.is_false(owned:is_open())
    assert.is_true(kept:is_open())
    kept:close()
  end)
end)

describe("datagram receive", function()
  it("times out, and loses nothing by that", function()
    local server = bind("127.0.0.1", { read_timeout = 0.01 })
    local client = connect(server, { read_timeout = 0.02 })
    assert.are.same({ n = 3, nil, "timeout", "timeout" }, table.pack(server:receive()))
    assert.are.same({ n = 3, nil, "timeout", "timeout" }, table.pack(server:receive(0)))
    assert.are.same({ n = 3, nil, "timeout", "timeout" }, table.pack(client:receive()))
    client:send("late")
    assert.are.equal("late", (server:receive(5)))
  end)

  it("is for one task at a time", function()
    local server = bind()
    local client = connect(server)
    local first = task.spawn(server.receive, server)
    task.yield()
    assert.are.equal("receive", first:waits_for())
    assert.are.same({ n = 3, nil, "busy", "busy" }, table.pack(server:receive()))
    client:send("x")
    assert.are.equal("x", (first:join()))
    client:send("y")
    assert.are.equal("y", (server:receive(5)))
  end)

  it("is left by cancel and by a deadline, and can be called again", function()
    local server = bind()
    local receiving = task.spawn(server.receive, server)
    task.yield()
    receiving:cancel()
    assert.are.equal("cancelled", select(3, receiving:join()))
    assert.are.equal("timeout", select(3, task.with_timeout(0.01, server.receive, server)))
    connect(server):send("x")
    assert.are.equal("x", (server:receive(5)))
  end)

  it("ends when the socket is closed", function()
    local server = bind()
    local receiving = task.spawn(server.receive, server)
    local looping = answer_in_capitals(bind())
    task.yield()
    server:close()
    assert.are.same({ n = 3, nil, "closed", "closed" }, table.pack(receiving:join()))
    looping:cancel()
  end)

  it("learns that the fixed peer does not listen", function()
    local server = bind()
    local client = connect(server)
    server:close()
    client:send("x")
    local data, message, code = client:receive(5)
    assert.is_nil(data)
    assert.are.equal("refused", code)
    assert.are.equal("receive " .. client:peer_address() .. ": connection refused", message)
  end)
end)

describe("datagram datagrams", function()
  it("ends when the socket is closed", function()
    local server = bind()
    local looping = answer_in_capitals(server)
    local client = connect(server)
    client:send("x")
    assert.are.equal("X", (client:receive()))
    server:close()
    assert.are.equal("ended", looping:join())
  end)

  it("ends when the body of the loop closes the socket amidst a burst", function()
    local server = bind()
    local client, seen = connect(server), 0
    for _ = 1, 10 do
      client:send("x")
    end
    for _ in server:datagrams() do
      seen = seen + 1
      if seen == 3 then
        server:close()
      end
    end
    assert.are.equal(3, seen)
  end)

  it("raises a fault", function()
    local server = bind()
    local client = connect(server, { read_timeout = 0.01 })
    local ok, fault = pcall(function()
      for _ in client:datagrams() do
        error("nothing can have come")
      end
    end)
    assert.is_false(ok)
    assert.are.equal("timeout", fault.code)
    server:close()
    client:send("x")
    ok, fault = pcall(client:datagrams(), client)
    assert.is_false(ok)
    assert.are.equal("refused", fault.code)
  end)
end)

describe("datagram send", function()
  it("needs a numeric peer where none is fixed, and says so at the caller's line", function()
    local socket = bind()
    for peer, problem in pairs {
      ["localhost:53"] = "a numeric address expected",
      ["127.0.0.1"] = "'127%.0%.0%.1' is no address: the port is missing",
      [":53"] = "a numeric address expected",
    } do
      local ok, message = pcall(function() socket:send("x", peer) end)
      assert.is_false(ok)
      assert.matches("^%S*datagram_spec%.lua:%d+: bad argument #2 to 'send' %(" .. problem, message)
    end
    local ok, message = pcall(function() socket:send("x") end)
    assert.is_false(ok)
    assert.matches("this socket has no fixed peer; name one", message, 1, true)
  end)

  it("tells what the network answered", function()
    local server = bind()
    local client = connect(server)
    server:close()
    client:send("x")
    condition.wait_until(function()
      return select(3, client:send("x")) == "refused" or select(3, client:receive(0)) == "refused"
    end)
    assert.are.equal("invalid", select(3, bind():send("x", "[::1]:9")))
  end)

  -- Datagrams over loopback never fill a buffer, those over a Unix socket do. Python keeps the other end, and
  -- takes what is sent as soon as the script asks for it.
  it("waits while the kernel takes no more, as long as it may, and goes on when there is room", function()
    local place <close> = folder.new()
    local script = place:write("sender.lua", [[
      local net = require "moonwire.net"
      local task = require "moonwire.task"
      local first = assert(net.datagram("fd://" .. ..., { write_timeout = 0.05 }))
      local second = assert(net.datagram("fd://" .. select(2, ...)))
      local data = ("x"):rep(1000)
      local filling = task.spawn(function()
        while true do
          local ok, _, code = first:send(data)
          if not ok then
            return code
          end
        end
      end)
      while filling:waits_for() ~= "send" do
        task.yield()
      end
      print("another", select(3, first:send(data)))
      print("filling", filling:join())
      local blocked = task.spawn(second.send, second, data)
      task.yield()
      print("blocked", blocked:waits_for())
      io.stdout:write("take it\n"):flush()
      print("blocked", blocked:join())
    ]])
    local status, _, errors = process.run { "python3", "-c", [[
import socket, subprocess, sys, threading
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
again = theirs.dup()
ends = (theirs.fileno(), again.fileno())
command = [sys.argv[1], "run", sys.argv[2], "--", str(ends[0]), str(ends[1])]
child = subprocess.Popen(command, pass_fds=ends, stdout=subprocess.PIPE)
def take():
    while True:
        ours.recv(2000)
child.stdout.readline()
threading.Thread(target=take, daemon=True).start()
sys.exit(child.wait())
]], moonwire.binary, script }
    assert.are.equal("another\tbusy\nfilling\ttimeout\nblocked\tsend\nblocked\ttrue\n", errors)
    assert.are.equal(0, status)
  end)
end)

describe("net.datagram", function()
  it("adopts a descriptor that is bound", function()
    local place <close> = folder.new()
    local script = place:write("adopt.lua", [[
      local net = require "moonwire.net"
      local socket = assert(net.datagram("fd://" .. ...))
      print("bound", socket:local_address())
      for data, peer in socket:datagrams() do
        socket:send(data:upper(), peer)
      end
    ]])
    local server <close> = process.start { "python3", "-c", [[
import os, socket, sys
bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
bound.bind(("127.0.0.1", 0))
bound.set_inheritable(True)
os.execv(sys.argv[1], [sys.argv[1], "run", sys.argv[2], "--", str(bound.fileno())])
]], moonwire.binary, script }
    local address = condition.wait_until(function() return server:errors():match "bound\t(%S+)" end)
    local client = assert(net.connect("udp://" .. address))
    client:send("adopted")
    assert.are.equal("ADOPTED", (client:receive()))
  end)

  it("refuses what is no datagram socket", function()
    assert.are.same({ nil, "bind fd://2: socket operation on non-socket" },
      { (net.datagram "fd://2"), (select(2, net.datagram "fd://2"):lower()) })
    for address, problem in pairs {
      ["tcp://127.0.0.1:0"] = "a datagram socket needs an address such as udp://127.0.0.1:53",
      ["udp://127.0.0.1"] = "the port is missing",
    } do
      local ok, message = pcall(function() net.datagram(address) end)
      assert.is_false(ok)
      assert.matches(problem, message, 1, true)
      assert.matches("^%S*datagram_spec%.lua:%d+: ", message)
    end
    local socket, message, code = net.datagram "udp://localhost:0"
    assert.is_nil(socket)
    assert.are.equal("invalid", code)
    assert.matches("numeric", message)
    local ok
    ok, message = pcall(net.datagram, "udp://127.0.0.1:0", { timeout = 1 })
    assert.is_false(ok)
    assert.matches("unknown option 'timeout'", message, 1, true)
  end)
end)

describe("net.connect to a udp address", function()
  local silent

  before_each(function()
    silent = bind()
  end)

  after_each(function()
    dns.configure {}
  end)

  it("looks the name up", function()
    local server = bind()
    answer_in_capitals(server)
    local client = assert(net.connect("udp://localhost:" .. port_of(server:local_address()), {
      local_address = "127.0.0.1:0",
    }))
    client:send("by name")
    assert.are.equal("BY NAME", (client:receive()))
  end)

  it("gives up on the name after the timeout, by a deadline and by cancel", function()
    dns.configure { servers = { silent:local_address() } }
    local results = table.pack(net.connect("udp://nowhere.test:9", { timeout = 0.02 }))
    assert.are.same({ n = 3, nil, "timeout", "timeout" }, results)
    results = table.pack(task.with_timeout(0.02, net.connect, "udp://nowhere.test:9"))
    assert.are.same({ n = 3, nil, "timeout", "timeout" }, results)
    local connecting = task.spawn(net.connect, "udp://nowhere.test:9")
    task.yield()
    assert.are.equal("connect", connecting:waits_for())
    connecting:cancel()
    assert.are.equal("cancelled", select(3, connecting:join()))
  end)

  it("refuses addresses and options that make no sense", function()
    for address, options in pairs {
      ["udp://:9"] = {},
      ["udp://*:9"] = {},
      ["udp://127.0.0.1:9"] = { local_address = "localhost:0" },
      ["udp://127.0.0.2:9"] = { reuse_port = true },
    } do
      assert.is_false((pcall(net.connect, address, options)), address)
    end
    local socket, _, code = net.connect("udp://127.0.0.1:9", { local_address = "[::1]:0" })
    assert.is_nil(socket)
    assert.are.equal("invalid", code)
  end)
end)

describe("a datagram socket and foreign programs", function()
  it("answers nc", function()
    for family, host in pairs(FAMILIES) do
      local server = bind(host)
      answer_in_capitals(server)
      local bare = host:gsub("[%[%]]", "")
      local _, output = process.run {
        "nc", family == "v4" and "-4" or "-6", "-u", "-w", "1", bare, port_of(server:local_address()),
        input = "hello from nc",
      }
      assert.are.equal("HELLO FROM NC", output)
      server:close()
    end
  end)

  it("asks socat", function()
    for family, host in pairs(FAMILIES) do
      local probe = bind(host)
      local port = port_of(probe:local_address())
      probe:close()
      local kind = family == "v4" and "UDP4" or "UDP6"
      local server <close> = process.start {
        "socat", ("%s-RECVFROM:%s,bind=%s,fork"):format(kind, port, host), "SYSTEM:tr a-z A-Z",
      }
      local client = assert(net.connect(("udp://%s:%s"):format(host, port), { read_timeout = 0.2 }))
      local data = condition.wait_until(function()
        client:send("hello")
        return (client:receive())
      end, 10, function() return "socat does not answer: " .. server:errors() end)
      assert.are.equal("HELLO", data)
    end
  end)
end)

describe("a service for datagrams", function()
  it("runs a task for each, which may wait", function()
    local server <close> = moonwire.serve {
      listen = { "udp://127.0.0.1:0" },
      code = [[
        local task = require "moonwire.task"
        return {
          datagram = function(socket, data, peer, ctx)
            if data == "slow" then
              task.sleep(0.2)
            elseif data == "broken" then
              error("broken on purpose")
            end
            socket:send(data .. " " .. ctx.name, peer)
          end,
        }
      ]],
    }
    local client = assert(net.connect(("udp://127.0.0.1:%d"):format(server.port)))
    for _, data in ipairs { "slow", "broken", "quick" } do
      client:send(data)
    end
    assert.are.equal("quick script", (client:receive()))
    assert.are.equal("slow script", (client:receive()))
    assert.is_truthy(server:wait_for_log "broken on purpose")
    server.process:signal("TERM")
    assert.are.equal(0, server.process:wait())
  end)

  it("needs a script that takes datagrams", function()
    local place <close> = folder.new()
    local script = place:write("script.lua", "return function(conn) end")
    local status, _, errors = process.run { moonwire.binary, "run", script, "--listen", "udp://127.0.0.1:0" }
    assert.are.equal(1, status)
    assert.matches("the script has no 'datagram' function", errors, 1, true)
  end)
end)
