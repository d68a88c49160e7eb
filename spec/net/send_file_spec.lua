local core = require "moonwire.core"
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local process = require "spec.support.process"
local task = require "moonwire.task"

local MEGABYTE <const> = 1024 * 1024
local TIMEOUT <const> = { n = 3, nil, "timeout", "timeout" }
local CLOSED <const> = { n = 3, nil, "closed", "closed" }
local BUSY <const> = { n = 3, nil, "busy", "busy" }

local function accept_from(listener, connect)
  local connecting = task.spawn(function() return assert(connect()):keep() end)
  local accepted = assert(listener:accept(5))
  return connecting:join(), accepted
end

-- client, server: the two ends of a connection.
local ENDS <const> = {
  tcp = function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    return accept_from(listener, function() return net.connect("tcp://" .. listener:local_address()) end)
  end,
  unix = function()
    local address = ("unix://@moonwire-send-file-%d"):format(math.random(1 << 40))
    local listener <close> = assert(net.listen(address))
    return accept_from(listener, function() return net.connect(address) end)
  end,
  memory = net.pair,
}

-- So many bytes, in which no 4 KiB are like others.
local function content_of(size)
  local pieces = {}
  for i = 1, size // 4096 do
    pieces[i] = string.pack("<I8", i * 0x9e3779b97f4a7c15):rep(512)
  end
  return table.concat(pieces)
end

describe("stream send_file", function()
  local place

  before_each(function()
    place = folder.new()
  end)

  after_each(function()
    place:remove()
  end)

  for kind, ends in pairs(ENDS) do
    it("sends 10 MB unchanged over " .. kind, function()
      local client, server = ends()
      local content = content_of(10 * MEGABYTE)
      local path = place:write("file", content)
      local sending = task.spawn(function()
        local sent = assert(server:send_file(path))
        server:close()
        return sent
      end)
      assert.is_true(client:read_all(20 * MEGABYTE) == content)
      assert.are.equal(#content, sending:join())
      client:close()
    end)

    it("sends parts of a file, in order with what is written, over " .. kind, function()
      local client, server = ends()
      local path = place:write("file", "0123456789")
      local parts = {
        { expected = "0123456789" },
        { offset = 3, expected = "3456789" },
        { offset = 3, length = 4, expected = "3456" },
        { length = 2, expected = "01" },
        { length = 0, expected = "" },
        { offset = 8, length = 100, expected = "89" },
        { offset = 10, expected = "" },
        { offset = 1 << 40, expected = "" },
      }
      for _, part in ipairs(parts) do
        server:write("<")
        assert.are.equal(#part.expected, server:send_file(path, part.offset, part.length))
        server:write(">")
        assert.are.equal("<" .. part.expected .. ">", client:read(#part.expected + 2))
      end
      assert.are.equal(0, server:counters().pending)
      client:close()
      server:close()
    end)
  end

  it("sends to a foreign program", function()
    local content = content_of(10 * MEGABYTE)
    local path = place:write("file", content)
    local target = place.path .. "/received"
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local receiver <close> = process.start {
      "socat", "-u", "TCP:" .. listener:local_address(), "CREATE:" .. target,
    }
    local conn = assert(listener:accept(5))
    assert.are.equal(#content, conn:send_file(path))
    conn:close()
    assert.are.equal(0, receiver:wait())
    assert.are.equal(0, (process.run { "cmp", path, target }))
  end)

  it("waits for a slow reader, whom the write timeout does not concern", function()
    local client, server = ENDS.tcp()
    local content = content_of(16 * MEGABYTE)
    local path = place:write("file", content)
    server:configure { write_timeout = 0.15 }
    client:configure { input_mark = 1000 }
    local sending = task.spawn(server.send_file, server, path)
    task.yield()
    assert.are.equal("send_file", sending:waits_for())
    local started = core.now()
    for i = 0, 15 do
      task.sleep(0.03)
      assert.is_true(client:read(MEGABYTE) == content:sub(i * MEGABYTE + 1, (i + 1) * MEGABYTE))
    end
    assert.is_true(core.now() - started > 0.4)
    assert.are.equal(#content, sending:join())
    client:close()
    server:close()
  end)

  it("times out when nothing moves", function()
    for _, kind in ipairs { "tcp", "memory" } do
      local client, server = ENDS[kind]()
      local path = place:write("file", content_of(16 * MEGABYTE))
      server:configure { write_timeout = 0.05 }
      client:configure { input_mark = 1000 }
      local started = core.now()
      assert.are.same(TIMEOUT, table.pack(server:send_file(path)))
      assert.is_true(core.now() - started >= 0.05)
      assert.is_true(server:counters().sent > 0)
      assert.is_true(server:is_open())
      client:close()
      server:abort()
    end
  end)

  it("ends when the client leaves midway", function()
    local client, server = ENDS.tcp()
    local path = place:write("file", content_of(16 * MEGABYTE))
    local sending = task.spawn(server.send_file, server, path)
    assert.are.equal(1000, #client:read(1000))
    client:abort()
    assert.are.same({ n = 3, nil, "reset", "reset" }, table.pack(sending:join()))
    server:close()
  end)

  it("ends when another task closes the stream", function()
    for _, kind in ipairs { "tcp", "memory" } do
      for _, act in ipairs { "close", "abort" } do
        local client, server = ENDS[kind]()
        local sending = task.spawn(server.send_file, server, place:write("file", content_of(16 * MEGABYTE)))
        assert.are.equal(1000, #client:read(1000))
        server[act](server)
        assert.are.same(CLOSED, table.pack(sending:join()))
        assert.are.same(CLOSED, table.pack(server:send_file "/etc/passwd"))
        client:abort()
      end
    end
  end)

  it("is left by cancel and by a deadline", function()
    local client, server = ENDS.tcp()
    local path = place:write("file", content_of(16 * MEGABYTE))
    local sending = task.spawn(server.send_file, server, path)
    task.yield()
    sending:cancel()
    assert.are.equal("cancelled", select(3, sending:join()))
    assert.are.same(TIMEOUT, table.pack(task.with_timeout(0.02, server.send_file, server, path)))
    assert.are.equal(1, server:send_file(path, 0, 1))
    client:close()
    server:abort()
  end)

  it("has the writing to itself, while reading goes on", function()
    local client, server = ENDS.tcp()
    local path = place:write("file", content_of(16 * MEGABYTE))
    local sending = task.spawn(server.send_file, server, path)
    assert.are.equal(1000, #client:read(1000))
    for _, call in ipairs { "flush", "shutdown_write" } do
      assert.are.same(BUSY, table.pack(server[call](server)))
    end
    assert.are.same(BUSY, table.pack(server:write("x")))
    assert.are.same(BUSY, table.pack(server:try_write("x")))
    assert.are.same(BUSY, table.pack(server:send_file(path)))
    client:write("meanwhile")
    assert.are.equal("meanwhile", server:read(9))
    assert.is_true(client:read(16 * MEGABYTE - 1000) ~= nil)
    assert.are.equal(16 * MEGABYTE, sending:join())
    client:close()
    server:close()
  end)

  it("sends what an open file holds, and leaves its position alone", function()
    local client, server = ENDS.tcp()
    local file <close> = assert(io.open(place:write("file", "first\nsecond\nthird\n")))
    assert.are.equal("first", file:read())
    assert.are.equal(13, server:send_file(file, 6))
    assert.are.equal("second\nthird\n", client:read(13))
    assert.are.equal("second", file:read())
    client:close()
    server:close()
  end)

  it("goes on when the file is closed, and stops where it was cut", function()
    local client, server = ENDS.tcp()
    local content = content_of(24 * MEGABYTE) -- the kernel may hold 10 of them by itself
    local path = place:write("file", content)
    local file = assert(io.open(path))
    local sending = task.spawn(server.send_file, server, file)
    assert.is_true(client:read(1000) == content:sub(1, 1000))
    file:close()
    assert.is_true(client:read(8 * MEGABYTE - 1000) == content:sub(1001, 8 * MEGABYTE))
    place:write("file", "")
    local rest = task.spawn(client.read_all, client, 16 * MEGABYTE)
    local sent = sending:join()
    server:close()
    assert.are.equal(sent, 8 * MEGABYTE + #rest:join())
    assert.is_true(sent < #content)
    client:close()
  end)

  it("refuses what is no regular file", function()
    local client, server = ENDS.memory()
    local fifo = place.path .. "/fifo"
    assert.are.equal(0, (process.run { "mkfifo", fifo }))
    for _, path in ipairs { fifo, place.path, "/dev/zero", "/dev/tty" } do
      local sent, message, code = server:send_file(path)
      assert.is_nil(sent)
      if path == "/dev/tty" and code ~= "invalid" then -- a process without a terminal cannot open it
        assert.matches("^send_file /dev/tty: ", message)
      else
        assert.are.equal("invalid", code)
        assert.are.equal("send_file " .. path .. ": a regular file that can be read expected", message)
      end
    end
    local sent, message, code = server:send_file(place.path .. "/missing")
    assert.is_nil(sent)
    assert.are.equal("not_found", code)
    assert.are.equal("send_file " .. place.path .. "/missing: no such file or directory", message)
    client:close()
    server:close()
  end)

  it("refuses an open file that cannot be read, and a pipe", function()
    local client, server = ENDS.memory()
    local writing <close> = assert(io.open(place.path .. "/new", "w"))
    local pipe <close> = assert(io.popen "exit 0")
    local message = "send_file of an open file: a regular file that can be read expected"
    for _, file in ipairs { writing, pipe } do
      assert.are.same({ n = 3, nil, message, "invalid" }, table.pack(server:send_file(file)))
    end
    client:close()
    server:close()
  end)

  it("refuses arguments that make no sense, and says so at the caller's line", function()
    local client, server = ENDS.memory()
    local path = place:write("file", "x")
    local closed = assert(io.open(path))
    closed:close()
    for problem, arguments in pairs {
      ["bad argument #1 to 'send_file' (string expected, got nil)"] = { nil },
      ["bad argument #1 to 'send_file' (this file is closed)"] = { closed },
      ["bad argument #1 to 'send_file' (a path has no zero bytes)"] = { "a\0b" },
      ["bad argument #2 to 'send_file' (-1 is not within"] = { path, -1 },
      ["bad argument #3 to 'send_file' (number expected, got string)"] = { path, 0, "all" },
    } do
      local ok, message = pcall(function() server:send_file(table.unpack(arguments, 1, 3)) end)
      assert.is_false(ok)
      assert.matches("^%S*send_file_spec%.lua:%d+: ", message)
      assert.matches(problem, message, 1, true)
    end
    client:close()
    server:close()
  end)

  it("opens nothing and sends nothing for a task that is cancelled", function()
    local client, server = ENDS.memory()
    local path = place:write("file", "x")
    local sending = task.spawn(function()
      pcall(task.sleep, 60)
      return pcall(server.send_file, server, path)
    end)
    task.yield()
    sending:cancel()
    local ok, fault = sending:join()
    assert.is_false(ok)
    assert.are.equal("cancelled", core.is_fault(fault))
    server:close()
    assert.are.equal("", client:read_all())
    client:close()
  end)

  it("sends many files at once", function()
    local path = place:write("file", content_of(MEGABYTE))
    local sending, reading = {}, {}
    for i = 1, 20 do
      local client, server = ENDS.tcp()
      sending[i] = task.spawn(function()
        local sent = server:send_file(path, i)
        server:close()
        return sent
      end)
      reading[i] = task.spawn(function()
        local size = #client:read_all(2 * MEGABYTE)
        client:close()
        return size
      end)
    end
    for i = 1, 20 do
      assert.are.equal(MEGABYTE - i, sending[i]:join())
      assert.are.equal(MEGABYTE - i, reading[i]:join())
    end
  end)
end)
