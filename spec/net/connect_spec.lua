local condition = require "spec.support.condition"
local core = require "moonwire.core"
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local process = require "spec.support.process"
local streams = require "spec.support.streams"
local task = require "moonwire.task"

local address_of = streams.address_of

local function hello(conn)
  conn:write("hello")
end

-- An address whose connections are never taken: its queue is full.
local function unanswering()
  local listener = net.listen("tcp://127.0.0.1:0", { backlog = 1 })
  local address = address_of(listener)
  local conn, err
  repeat
    conn, err = net.connect(address, { timeout = 0.1 })
  until not conn
  assert.equal("timeout", err)
  return address
end

-- A port that nobody listens on.
local function free_port()
  local listener <close> = net.listen("tcp://127.0.0.1:0")
  return listener:local_address():match("%d+$")
end

describe("net.connect", function()
  it("reaches servers of all kinds", function()
    local place <close> = folder.new()
    for _, address in ipairs {
      "tcp://127.0.0.1:0", "tcp://[::1]:0", "unix://" .. place.path .. "/x.sock",
      ("unix://@moonwire-spec-%d"):format(math.random(1 << 40)),
    } do
      local listener = net.serve(address, hello)
      local conn = assert(net.connect(address_of(listener)))
      assert.equal("hello", conn:read_all())
    end
  end)

  it("takes an address without a scheme as tcp", function()
    local listener = net.serve("127.0.0.1:0", hello)
    assert.equal("hello", net.connect(listener:local_address()):read_all())
  end)

  it("reaches a server by the name localhost, whichever family it listens on", function()
    for _, address in ipairs { "tcp://127.0.0.1:0", "tcp://[::]:0" } do
      local listener = net.serve(address, hello)
      local port = listener:local_address():match("%d+$")
      assert.equal("hello", assert(net.connect("tcp://localhost:" .. port)):read_all())
    end
  end)

  it("reaches a foreign server", function()
    local port = free_port()
    local address = ("TCP-LISTEN:%s,bind=127.0.0.1,reuseaddr"):format(port)
    local server <close> = process.start { "socat", address, "EXEC:cat" }
    local conn = condition.wait_until(function() return (net.connect("tcp://127.0.0.1:" .. port)) end)
    conn:write("through cat\n")
    assert.equal("through cat", conn:read_line())
    conn:shutdown_write()
    assert.equal("", conn:read_all())
    assert.equal(0, server:wait())
  end)

  it("gives a stream of the running task", function()
    local listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:read_all() end)
    local conn
    task.spawn(function() conn = net.connect(address_of(listener)) end):join()
    assert.is_false(conn:is_open())
  end)

  it("sets the options for streams", function()
    local listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:read_all() end)
    local conn = net.connect(address_of(listener), { read_timeout = 0.01 })
    assert.equal("timeout", select(3, conn:read(1)))
  end)

  it("connects many times at once", function()
    local listener = net.serve("tcp://127.0.0.1:0", hello)
    local address, good = address_of(listener), 0
    local group <close> = task.group()
    for _ = 1, 200 do
      group:spawn(function()
        local conn <close> = assert(net.connect(address))
        if conn:read_all() == "hello" then
          good = good + 1
        end
      end)
    end
    assert.is_true(group:wait())
    assert.equal(200, good)
  end)
end)

describe("a connection that fails", function()
  local function fails(code, message, ...)
    local conn, err, given = net.connect(...)
    assert.is_nil(conn)
    assert.equal(code, given)
    assert.equal(message, err)
  end

  it("says operation, peer and reason when it is refused", function()
    local port = free_port()
    fails("refused", ("connect 127.0.0.1:%s: connection refused"):format(port), "tcp://127.0.0.1:" .. port)
    fails("refused", ("connect [::1]:%s: connection refused"):format(port), "tcp://[::1]:" .. port)
    fails("refused", "connect unix://@no-such-name: connection refused", "unix://@no-such-name")
  end)

  it("says that a path is not there", function()
    fails("not_found", "connect unix:///no/such.sock: no such file or directory", "unix:///no/such.sock")
  end)

  it("says denied for a path without permission, unless one may do anything", function()
    local place <close> = folder.new()
    local path = place:write("plain", "")
    local conn, _, code = net.connect("unix://" .. path)
    assert.is_nil(conn)
    assert.is_true(code == "refused" or code == "denied", code)
  end)

  it("says that a name does not exist", function()
    local conn, err, code = net.connect("tcp://no-such-name.invalid:80", { timeout = 5 })
    assert.is_nil(conn)
    assert.matches("no-such-name.invalid", err == "timeout" and "no-such-name.invalid" or err, 1, true)
    assert.is_true(code == "not_found" or code == "unavailable" or code == "timeout", code)
  end)

  it("says timeout past the time limit", function()
    local address, start = unanswering(), core.now()
    assert.same({ n = 3, nil, "timeout", "timeout" }, table.pack(net.connect(address, { timeout = 0.05 })))
    assert.is_true(core.now() - start >= 0.05 and core.now() - start < 5)
  end)

  it("says timeout past the deadline of a scope", function()
    local address = unanswering()
    assert.equal("timeout", select(2, task.with_timeout(0.05, net.connect, address, { timeout = 20 })))
  end)

  it("leaves nothing behind", function()
    local port, before = free_port(), core.usage()
    for _ = 1, 20 do
      net.connect("tcp://127.0.0.1:" .. port)
    end
    assert.same(before, core.usage())
  end)

  it("may be cancelled midway and leaves nothing behind", function()
    local address, before = unanswering(), core.usage()
    for _ = 1, 5 do
      local child = task.spawn(net.connect, address, { timeout = 20 })
      condition.wait_until(function() return child:waits_for() == "connect" end)
      child:cancel()
      assert.equal("cancelled", select(3, child:join()))
    end
    assert.same(before, core.usage())
  end)

  it("may be cancelled while the name is looked up", function()
    local child = task.spawn(net.connect, "tcp://slow-name.invalid:80", { timeout = 20 })
    task.yield()
    child:cancel()
    assert.equal("cancelled", select(3, child:join()))
  end)
end)

describe("option local_address", function()
  it("is where the connection comes from", function()
    local listener = net.listen("tcp://127.0.0.1:0")
    local conn = assert(net.connect(address_of(listener), { local_address = "127.0.0.2:0" }))
    assert.matches("^127.0.0.2:%d+$", conn:local_address())
    assert.equal(conn:local_address(), listener:accept(5):peer_address())
  end)

  it("may have a port", function()
    local listener, port = net.listen("tcp://127.0.0.1:0"), free_port()
    local conn = assert(net.connect(address_of(listener), { local_address = "127.0.0.1:" .. port }))
    assert.equal("127.0.0.1:" .. port, conn:local_address())
  end)

  it("chooses the family of a name", function()
    local listener = net.serve("tcp://[::]:0", hello)
    local address = "tcp://localhost:" .. listener:local_address():match("%d+$")
    local conn = assert(net.connect(address, { local_address = "127.0.0.3:0" }))
    assert.matches("^127.0.0.3:", conn:local_address())
  end)

  it("that is another machine's is unavailable", function()
    local listener = net.listen("tcp://127.0.0.1:0")
    local conn, err, code = net.connect(address_of(listener), { local_address = "192.0.2.1:0" })
    assert.is_nil(conn)
    assert.equal("unavailable", code)
    assert.matches("192.0.2.1", err, 1, true)
  end)

  it("of another family is invalid", function()
    local conn, err, code = net.connect("tcp://[::1]:1", { local_address = "127.0.0.1:0" })
    assert.is_nil(conn)
    assert.equal("invalid", code)
    assert.matches("connect [::1]:1: the local address is of another family", err, 1, true)
  end)

  it("that is a name or nonsense raises", function()
    for _, address in ipairs { "localhost:0", "nonsense", "", 5 } do
      assert.has_error(function() net.connect("tcp://127.0.0.1:1", { local_address = address }) end)
    end
  end)
end)

describe("an adopted descriptor", function()
  it("that is no connection is refused", function()
    local file <close> = assert(io.open("/dev/null"))
    assert.is_truthy(file)
    assert.is_nil((net.connect("fd://999")))
    for descriptor = 3, 9 do
      local target = require "lfs".symlinkattributes("/proc/self/fd/" .. descriptor, "target")
      if target == "/dev/null" then
        local conn, err = net.connect("fd://" .. descriptor)
        assert.is_nil(conn)
        assert.matches("connect fd://" .. descriptor, err, 1, true)
      end
    end
    assert.is_truthy(file:seek("set"))
  end)
end)

describe("misuse of net.connect", function()
  it("raises", function()
    for _, address in ipairs { "", "nonsense", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "http://x:80" } do
      assert.error_matches(function() net.connect(address) end, "is no address: ")
    end
    for _, options in ipairs {
      { timeout = -1 }, { timeout = "soon" }, { attempt_delay = -1 }, { nodelay = 1 }, { retries = 3 },
      "fast",
    } do
      assert.has_error(function() net.connect("tcp://127.0.0.1:1", options) end)
    end
    assert.has_error(function() net.connect() end)
  end)

  it("in a module that is being required names the remedy", function()
    package.preload["spec.connects"] = function() net.connect("tcp://127.0.0.1:1") end
    finally(function() package.preload["spec.connects"] = nil end)
    assert.error_matches(function() require "spec.connects" end, "cannot wait here")
  end)
end)
