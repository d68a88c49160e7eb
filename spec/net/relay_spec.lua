local condition = require "spec.support.condition"
local core = require "moonwire.core"
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local process = require "spec.support.process"
local task = require "moonwire.task"

local TIMEOUT <const> = { n = 3, nil, "timeout", "timeout" }
local CLOSED <const> = { n = 3, nil, "closed", "closed" }
local BUSY <const> = { n = 3, nil, "busy", "busy" }

-- The two ends of a connection over loopback.
local function connection(options)
  local listener <close> = assert(net.listen("tcp://127.0.0.1:0", options))
  local connecting = task.spawn(function()
    return assert(net.connect("tcp://" .. listener:local_address(), options)):keep()
  end)
  local accepted = assert(listener:accept(5))
  return connecting:join(), accepted
end

-- client ⇄ front = relay = back ⇄ server
local function chain(options)
  local client, front = connection()
  local back, server = connection()
  local relaying = task.spawn(net.relay, front, back, options)
  task.yield()
  assert.are.equal("relay", relaying:waits_for())
  return { client = client, front = front, back = back, server = server, relaying = relaying }
end

local function close(links)
  for _, name in ipairs { "client", "front", "back", "server" } do
    links[name]:close()
  end
end

-- Writes to a server that does not read until nothing moves any more; the task that goes on writing.
local function fill(links)
  local filling = task.spawn(function()
    while true do
      links.client:write(("x"):rep(65536))
    end
  end)
  local last = 0
  condition.wait_until(function()
    local sent = links.back:counters().sent
    local still = sent > 0 and sent == last and filling:waits_for() == "write"
    last = sent
    task.sleep(0.03)
    return still
  end)
  return filling
end

local function write_file(place, name, megabytes)
  local block = {}
  for i = 1, 4096 do
    block[i] = string.pack("<I8", math.random(0)):rep(32)
  end
  block = table.concat(block)
  local path = place:write(name, "")
  local file <close> = assert(io.open(path, "wb"))
  for i = 1, megabytes do
    file:write(i, block:sub(#tostring(i) + 1))
  end
  return path, megabytes * #block
end

describe("net.relay", function()
  it("passes 50 MB on unchanged between foreign programs", function()
    local place <close> = folder.new()
    local path, size = write_file(place, "sent", 50)
    local target = place.path .. "/received"
    local front_listener = assert(net.listen "tcp://127.0.0.1:0")
    local back_listener = assert(net.listen "tcp://127.0.0.1:0")
    local sender <close> = process.start {
      "socat", "-u", "OPEN:" .. path, "TCP:" .. front_listener:local_address(),
    }
    local receiver <close> = process.start {
      "socat", "-u", "TCP:" .. back_listener:local_address(), "CREATE:" .. target,
    }
    local front, back = assert(front_listener:accept(5)), assert(back_listener:accept(5))
    assert.are.same({ size, 0 }, { net.relay(front, back) })
    front:close()
    back:close()
    assert.are.equal(0, sender:wait())
    assert.are.equal(0, receiver:wait())
    assert.are.equal(0, (process.run { "cmp", path, target }))
  end)

  it("serves nc, which talks and listens", function()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local port = listener:local_address():match "%d+$"
    local server = task.spawn(function()
      local conn = assert(listener:accept(5))
      local line = conn:read_line()
      conn:write("you said ", line, "\n")
      conn:read_all()
      conn:flush()
      conn:close()
    end)
    local front_listener = assert(net.listen "tcp://127.0.0.1:0")
    local client <close> = process.start {
      "nc", "-N", "127.0.0.1", front_listener:local_address():match "%d+$", input = "hello\n",
    }
    local front = assert(front_listener:accept(5))
    local back = assert(net.connect("tcp://127.0.0.1:" .. port))
    assert.are.same({ 6, 15 }, { net.relay(front, back) })
    server:join()
    front:close()
    back:close()
    assert.are.equal(0, client:wait())
    assert.are.equal("you said hello\n", client:output())
  end)

  it("passes much on both ways at once", function()
    local links = chain()
    local size <const> = 5 * 1024 * 1024
    local results = {}
    for sender, receiver in pairs { client = links.server, server = links.client } do
      local data = sender:sub(1, 1):rep(size)
      task.spawn(function()
        assert(links[sender]:write(data:sub(1, size // 2)))
        assert(links[sender]:write(data:sub(size // 2 + 1)))
        assert(links[sender]:shutdown_write())
      end)
      results[sender] = task.spawn(function() return receiver:read_all(2 * size) == data end)
    end
    assert.is_true(results.client:join())
    assert.is_true(results.server:join())
    assert.are.same({ size, size }, { links.relaying:join() })
    close(links)
  end)

  it("passes the end of data on and leaves the other direction open", function()
    for _, sides in ipairs { { "client", "server" }, { "server", "client" } } do
      local links = chain()
      local first, second = links[sides[1]], links[sides[2]]
      first:write("question")
      first:shutdown_write()
      assert.are.equal("question", second:read_all())
      assert.are.equal("relay", links.relaying:waits_for())
      second:write("a longer answer")
      second:shutdown_write()
      assert.are.equal("a longer answer", first:read_all())
      local there, back = links.relaying:join()
      assert.are.same(sides[1] == "client" and { 8, 15 } or { 15, 8 }, { there, back })
      close(links)
    end
  end)

  it("relays between a socket and memory", function()
    local client, front = connection()
    local near, far = net.pair()
    local relaying = task.spawn(net.relay, front, far)
    local data = ("0123456789abcdef"):rep(64 * 1024)
    task.spawn(function()
      client:write(data)
      client:shutdown_write()
    end)
    assert.are.equal(data, near:read_all(2 * #data))
    near:write("got it")
    near:shutdown_write()
    assert.are.equal("got it", client:read_all())
    assert.are.same({ #data, 6 }, { relaying:join() })
    for _, stream in ipairs { client, front, near, far } do
      stream:close()
    end
  end)

  it("begins with what is unread and what is queued", function()
    local client, front = connection()
    local back, server = connection()
    client:write("unread")
    assert.are.equal("unread", front:peek(6))
    front:write("queued ")
    local relaying = task.spawn(net.relay, front, back)
    assert.are.equal("unread", server:read(6))
    server:write("answer")
    assert.are.equal("queued answer", client:read(13))
    client:close()
    server:close()
    assert.are.same({ 6, 6 }, { relaying:join() })
    front:close()
    back:close()
  end)

  it("holds little in memory when nobody takes it", function()
    local links = chain()
    local filling = fill(links)
    assert.is_true(links.back:counters().pending <= 128 * 1024)
    filling:cancel()
    close(links)
    assert.are.same(CLOSED, table.pack(links.relaying:join()))
  end)

  it("gives the streams back when it is cancelled, and loses nothing", function()
    local links = chain()
    links.client:write("one ")
    assert.are.equal("one ", links.server:read(4))
    links.relaying:cancel()
    assert.are.equal("cancelled", select(3, links.relaying:join()))
    links.client:write("two")
    assert.are.equal("two", links.front:read(3))
    links.back:write("three")
    assert.are.equal("three", links.server:read(5))
    assert.is_truthy(links.front:configure { input_mark = 1000 })
    local again = task.spawn(net.relay, links.front, links.back)
    links.client:write("four")
    assert.are.equal("four", links.server:read(4))
    again:cancel()
    again:join()
    close(links)
  end)

  it("is left by a deadline", function()
    local client, front = connection()
    local back, server = connection()
    assert.are.same(TIMEOUT, table.pack(task.with_timeout(0.02, net.relay, front, back)))
    client:write("after")
    assert.are.equal("after", front:read(5))
    for _, stream in ipairs { client, front, back, server } do
      stream:close()
    end
  end)

  it("ends when nothing moves for so long, and not before", function()
    local links = chain { idle = 0.1 }
    local started = core.now()
    for _ = 1, 8 do
      task.sleep(0.03)
      links.client:write("x")
      assert.are.equal("x", links.server:read(1))
    end
    assert.are.equal("relay", links.relaying:waits_for())
    assert.are.same(TIMEOUT, table.pack(links.relaying:join()))
    assert.is_true(core.now() - started >= 0.34)
    assert.is_true(links.front:is_open() and links.back:is_open())
    close(links)
  end)

  it("ends when a peer resets its connection", function()
    for _, side in ipairs { "client", "server" } do
      local links = chain()
      links[side]:write("x")
      assert.are.equal("x", links[side == "client" and "server" or "client"]:read(1))
      links[side]:abort()
      assert.are.same({ n = 3, nil, "reset", "reset" }, table.pack(links.relaying:join()))
      close(links)
    end
  end)

  it("ends when another task closes a stream", function()
    for _, side in ipairs { "front", "back" } do
      for _, act in ipairs { "close", "abort" } do
        local links = chain()
        links.client:write("x")
        assert.are.equal("x", links.server:read(1))
        links[side][act](links[side])
        assert.are.same(CLOSED, table.pack(links.relaying:join()))
        close(links)
      end
    end
  end)

  it("ends when the task that owns a stream ends", function()
    local client, front = connection()
    local back
    local owner = task.spawn(function()
      local server <close>, owned = connection()
      back = owned
      server:read(1)
    end)
    condition.wait_until(function() return owner:waits_for() == "read" end)
    local relaying = task.spawn(net.relay, front, back)
    task.yield()
    owner:cancel()
    assert.are.same(CLOSED, table.pack(relaying:join()))
    client:close()
    front:close()
  end)

  it("has both streams to itself", function()
    local links = chain()
    for _, side in ipairs { "front", "back" } do
      local stream = links[side]
      for _, call in ipairs { "read_some", "read_line", "read_all", "flush", "shutdown_write" } do
        assert.are.same(BUSY, table.pack(stream[call](stream)))
      end
      assert.are.same(BUSY, table.pack(stream:write("x")))
      assert.are.same(BUSY, table.pack(stream:try_write("x")))
      assert.are.same(BUSY, table.pack(stream:send_file("/etc/passwd")))
      assert.are.same(BUSY, table.pack(stream:configure { input_mark = 1 }))
    end
    assert.are.same(BUSY, table.pack(net.relay(links.front, links.server)))
    assert.are.same(BUSY, table.pack(net.relay(links.server, links.back)))
    close(links)
  end)

  it("leaves what it holds to nobody else", function()
    local links = chain()
    local filling = fill(links)
    assert.are.same(BUSY, table.pack(links.front:read_some()))
    assert.are.same(BUSY, table.pack(links.front:peek(1)))
    filling:cancel()
    close(links)
    links.relaying:join()
  end)

  it("does not begin while a stream is being read", function()
    local client, front = connection()
    local near, far = net.pair()
    local reading = task.spawn(front.read, front, 1)
    task.yield()
    assert.are.same(BUSY, table.pack(net.relay(front, far)))
    client:write("x")
    assert.are.equal("x", reading:join())
    for _, stream in ipairs { client, front, near, far } do
      stream:close()
    end
    assert.are.same(CLOSED, table.pack(net.relay(front, far)))
  end)

  it("of two that are each other's peers goes round and holds up nobody", function()
    local near, far = net.pair()
    near:write "round"
    local relaying = task.spawn(net.relay, near, far)
    task.sleep(0.02)
    assert.are.equal("waiting", relaying:status())
    relaying:cancel()
    relaying:join()
    near:close()
    far:close()
  end)

  it("refuses what makes no sense", function()
    local near, far = net.pair()
    for problem, call in pairs {
      ["two different streams expected"] = function() net.relay(near, near) end,
      ["moonwire.stream expected, got table"] = function() net.relay(near, {}) end,
      ["unknown option 'timeout' (known: idle)"] = function() net.relay(near, far, { timeout = 1 }) end,
      ["option 'idle': seconds above 0"] = function() net.relay(near, far, { idle = 0 }) end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.matches(problem, message, 1, true)
      assert.matches("^%S*relay_spec%.lua:%d+: ", message)
    end
  end)
end)
