local condition = require "spec.support.condition"
local core = require "moonwire.core"
local net = require "moonwire.net"
local streams = require "spec.support.streams"
local task = require "moonwire.task"

local MEGABYTE <const> = 1024 * 1024

-- What a call gives, as a list that can be compared.
local function results(...)
  return table.pack(...)
end

local function failure(word)
  return { n = 3, nil, word, word }
end

-- What an iterator raises: its code.
local function raised(fn, ...)
  local ok, value = pcall(fn, ...)
  assert.is_false(ok)
  return (core.is_fault(value))
end

local function await_waiting(waiter, wait)
  condition.wait_until(function() return waiter:waits_for() == wait end)
  return waiter
end

-- Starts a task and lets it come to its wait.
local function waiting(wait, fn, ...)
  return await_waiting(task.spawn(fn, ...), wait)
end

for kind, connect in pairs(streams.kinds) do
  describe("a stream " .. kind, function()
    local a, b

    before_each(function()
      a, b = connect()
    end)

    after_each(function()
      a:close()
    end)

    it("reads exactly so many bytes", function()
      a:write("abc", "defg")
      assert.equal("ab", b:read(2))
      assert.equal("cdefg", b:read(5))
      assert.equal("", b:read(0))
    end)

    it("reads bytes that come bit by bit", function()
      local reader = waiting("read", b.read, b, 6)
      for _, piece in ipairs { "a", "bc", "def", "g" } do
        a:write(piece)
        a:flush()
        task.sleep(0.001)
      end
      assert.equal("abcdef", reader:join())
      assert.equal("g", b:read(1))
    end)

    it("reads what is there", function()
      a:write("abcdef")
      assert.equal("abcd", b:read_some(4))
      assert.equal("ef", b:read_some())
      local reader = waiting("read", b.read_some, b)
      a:write("x")
      assert.equal("x", reader:join())
    end)

    it("shows what is there, and leaves it unread", function()
      a:write("abcdef")
      assert.equal("abcd", b:peek_some(4))
      assert.equal("abcdef", b:peek_some())
      assert.equal("abcdef", b:read(6))
      local reader = waiting("read", b.peek_some, b)
      a:write("x")
      assert.equal("x", reader:join())
      a:shutdown_write()
      assert.equal("x", b:read(1))
      assert.same(failure "eof", results(b:peek_some()))
    end)

    it("reads lines with either end, and empty ones", function()
      a:write("one\ntwo\r\n\n\r\nth\rree\n")
      assert.equal("one", b:read_line())
      assert.equal("two", b:read_line())
      assert.equal("", b:read_line())
      assert.equal("", b:read_line())
      assert.equal("th\rree", b:read_line())
    end)

    it("reads a line whose end comes in two pieces", function()
      local reader = waiting("read", b.read_line, b)
      a:write("line\r")
      a:flush()
      task.sleep(0.002)
      a:write("\nnext\n")
      assert.equal("line", reader:join())
      assert.equal("next", b:read_line())
    end)

    it("reads up to a delimiter of several bytes, also when it comes in pieces", function()
      local reader = waiting("read", b.read_until, b, "--end--")
      for _, piece in ipairs { "a-", "-e--en", "d-", "-rest--end--" } do
        a:write(piece)
        a:flush()
        task.sleep(0.001)
      end
      assert.equal("a--e", reader:join())
      assert.equal("rest", b:read_until("--end--"))
    end)

    it("reads bytes of every value", function()
      local bytes = {}
      for i = 0, 255 do
        bytes[#bytes + 1] = string.char(i)
      end
      local all = table.concat(bytes)
      a:write(all, "\0\n", all)
      assert.equal(all, b:read(256))
      assert.equal("\0", b:read_line())
      assert.equal(all:sub(1, 10), b:read_until("\10"))
    end)

    it("reads everything up to the end", function()
      a:write("all ", "of it")
      a:shutdown_write()
      assert.equal("all of it", b:read_all())
      assert.equal("", b:read_all())
    end)

    it("looks ahead without taking", function()
      a:write("abc")
      assert.equal("ab", b:peek(2))
      assert.equal("abc", b:peek(3))
      assert.equal("", b:peek(0))
      assert.equal("abc", b:read(3))
    end)

    it("iterates over lines up to the end", function()
      a:write("one\r\ntwo\n", "\n")
      a:shutdown_write()
      local lines = {}
      for line in b:lines() do
        lines[#lines + 1] = line
      end
      assert.same({ "one", "two", "" }, lines)
    end)

    it("iterates over chunks up to the end", function()
      a:write("0123456789")
      a:shutdown_write()
      local chunks = {}
      for chunk in b:chunks { max = 4 } do
        chunks[#chunks + 1] = chunk
      end
      assert.same({ "0123", "4567", "89" }, chunks)
    end)

    it("carries numbers as their text", function()
      a:write(1, " ", 2.5, "\n")
      assert.equal("1 2.5", b:read_line())
    end)

    it("carries many arguments in their order", function()
      local pieces = {}
      for i = 1, 100 do
        pieces[i] = i .. ","
      end
      assert.is_true(a:write(table.unpack(pieces)))
      local text = table.concat(pieces)
      assert.equal(text, b:read(#text))
      assert.is_true(a:write())
    end)

    it("carries megabytes both ways at once", function()
      local data = ("0123456789abcdef"):rep(MEGABYTE // 8)
      local writers = {
        task.spawn(function() return a:write(data) end),
        task.spawn(function() return b:write(data) end),
      }
      local reader = task.spawn(function() return a:read(#data) end)
      assert.is_true(b:read(#data) == data)
      assert.is_true(reader:join() == data)
      assert.is_true(writers[1]:join())
      assert.is_true(writers[2]:join())
    end)

    it("says too_large and takes nothing", function()
      a:write("0123456789\nnext\n")
      assert.same(failure "too_large", results(b:read_line(9)))
      assert.same(failure "too_large", results(b:read_line(1)))
      assert.same(failure "too_large", results(b:read_until("\n", 9)))
      assert.equal("0123456789", b:read_line(10))
      assert.equal("next", b:read_until("\n", 4))
    end)

    it("says too_large without an end of line, long before the peer stops", function()
      local writer = waiting("write", function()
        local chunk = ("x"):rep(65536)
        while a:write(chunk) do
          task.yield()
        end
      end)
      assert.same(failure "too_large", results(b:read_line(1000)))
      assert.same(failure "too_large", results(b:read_until("--", 1000)))
      assert.is_true(b:counters().received < 16 * MEGABYTE)
      writer:cancel()
      a:abort()
    end)

    it("counts the line without its end against the limit", function()
      a:write("12345\r\n", "12345\n")
      assert.equal("12345", b:read_line(5))
      assert.equal("12345", b:read_line(5))
    end)

    it("says too_large of all, and takes nothing", function()
      a:write("0123456789")
      a:shutdown_write()
      assert.same(failure "too_large", results(b:read_all(9)))
      assert.equal("0123456789", b:read_all(10))
    end)

    it("says eof of what is incomplete, and takes nothing", function()
      a:write("part")
      a:shutdown_write()
      assert.same(failure "eof", results(b:read(5)))
      assert.same(failure "eof", results(b:peek(5)))
      assert.same(failure "eof", results(b:read_line()))
      assert.same(failure "eof", results(b:read_until("--")))
      assert.equal("part", b:read_some())
      assert.same(failure "eof", results(b:read_some()))
      assert.same(failure "eof", results(b:read(1)))
      assert.equal("", b:read(0))
    end)

    it("raises what an iterator cannot return", function()
      a:write("0123456789\npart")
      a:shutdown_write()
      assert.equal("too_large", raised(b:lines { max = 3 }, b))
      assert.equal("0123456789", (b:lines())(b))
      assert.equal("eof", raised(b:lines(), b))
      assert.equal("part", (b:chunks())(b))
      assert.is_nil((b:chunks())(b))
      b:close()
      assert.equal("closed", raised(b:chunks(), b))
    end)

    it("times out and takes nothing", function()
      b:configure { read_timeout = 0.01 }
      a:write("part")
      assert.same(failure "timeout", results(b:read(5)))
      assert.same(failure "timeout", results(b:peek(5)))
      assert.same(failure "timeout", results(b:read_line()))
      assert.same(failure "timeout", results(b:read_until("--")))
      assert.same(failure "timeout", results(b:read_all()))
      assert.equal("timeout", raised(b:lines(), b))
      a:write("ial\n")
      assert.equal("partial", b:read_line())
      assert.same(failure "timeout", results(b:read_some()))
    end)

    it("times out although bytes trickle in", function()
      b:configure { read_timeout = 0.05 }
      local trickle = task.spawn(function()
        while a:write("x") do
          task.sleep(0.005)
        end
      end)
      local start = core.now()
      assert.same(failure "timeout", results(b:read_line()))
      assert.is_true(core.now() - start < 2)
      trickle:cancel()
    end)

    it("takes nothing when a scope ends the read", function()
      a:write("part")
      assert.equal("timeout", select(2, task.with_timeout(0.01, b.read, b, 10)))
      a:write("ial")
      assert.equal("partial", b:read(7))
    end)

    it("has one reader at a time", function()
      local reader = waiting("read", b.read_line, b)
      for _, read in ipairs { b.read_line, b.read_some, b.read_all } do
        assert.same(failure "busy", results(read(b)))
      end
      assert.same(failure "busy", results(b:read(1)))
      assert.same(failure "busy", results(b:peek(1)))
      assert.equal("busy", raised(b:lines(), b))
      a:write("for the first\n")
      assert.equal("for the first", reader:join())
    end)

    it("has a reader and a writer at the same time", function()
      local reader = waiting("read", a.read_line, a)
      a:write("ping\n")
      assert.equal("ping", b:read_line())
      b:write("pong\n")
      assert.equal("pong", reader:join())
    end)

    it("goes on reading after its own half-close, and the peer after that", function()
      a:write("request")
      assert.is_true(a:shutdown_write())
      assert.equal("request", b:read_all())
      b:write("answer")
      assert.equal("answer", a:read(6))
      assert.is_true(b:shutdown_write())
      assert.equal("", a:read_all())
    end)

    it("sends everything that was written before a half-close", function()
      local data = ("x"):rep(MEGABYTE)
      local writer = task.spawn(function()
        a:write(data)
        return a:shutdown_write()
      end)
      assert.equal(#data, #(b:read_all(2 * MEGABYTE)))
      assert.is_true(writer:join())
    end)

    it("refuses to write after a half-close", function()
      a:shutdown_write()
      assert.is_true(a:shutdown_write())
      local ok, err, code = a:write("x")
      assert.is_nil(ok)
      assert.is_string(err)
      assert.equal("closed", code)
    end)

    it("sends everything that was written before it is closed", function()
      local data = ("x"):rep(200000)
      local writer = task.spawn(function()
        a:configure { high_mark = MEGABYTE }
        a:write(data)
        a:close()
      end)
      assert.equal(#data, #(b:read_all()))
      writer:join()
    end)

    it("waits above its high mark until its low mark, and no more than that is queued", function()
      a:configure { high_mark = 10000, low_mark = 5000 }
      local chunk, written = ("x"):rep(1000), 0
      local writer = waiting("write", function()
        while a:write(chunk) do
          written = written + 1
          task.yield()
        end
      end)
      local before = written
      task.sleep(0.01)
      assert.equal(before, written)
      assert.is_true(a:counters().pending <= 11000)
      condition.wait_until(function()
        b:read_some()
        return written > before
      end)
      writer:cancel()
      a:abort()
    end)

    it("times out above the high mark; what was written stays queued", function()
      a:configure { high_mark = 1000, low_mark = 1, write_timeout = 0.02 }
      b:configure { input_mark = 1000 }
      local written = 0
      local result
      repeat
        result = results(a:write(("x"):rep(10000)))
        written = written + 10000
      until result[1] == nil
      assert.same(failure "timeout", result)
      a:configure { write_timeout = 5 }
      local flusher = task.spawn(a.flush, a)
      assert.equal(written, #b:read(written))
      assert.is_true(flusher:join())
    end)

    it("has one writer at a time above the mark", function()
      a:configure { high_mark = 1000, low_mark = 1 }
      local writer = waiting("write", function()
        while a:write(("x"):rep(10000)) do
          task.yield()
        end
      end)
      assert.same(failure "busy", results(a:write("x")))
      assert.same(failure "busy", results(a:flush()))
      writer:cancel()
      a:abort()
    end)

    it("try_write never waits and says busy above the mark", function()
      a:configure { high_mark = 1000, low_mark = 1 }
      local chunk, written = ("x"):rep(900), 0
      local before = core.now()
      local result
      repeat
        result = results(a:try_write(chunk, "\n"))
        written = written + (result[1] and 901 or 0)
      until not result[1]
      assert.same(failure "busy", result)
      assert.is_true(core.now() - before < 2)
      assert.is_true(a:counters().pending <= 2000)
      assert.equal(written, #b:read(written))
      condition.wait_until(function() return a:try_write("again") end)
      assert.equal("again", b:read(5))
    end)

    it("refuses what its queue cannot take, and takes none of it", function()
      a:configure { high_mark = 1000, low_mark = 1, queue_limit = 50000, write_timeout = 0 }
      b:configure { input_mark = 1000 }
      local queued = 0
      local result = results(a:write(("x"):rep(10000)))
      while result[2] ~= "too_large" do
        queued = queued + 10000
        assert.is_true(result[1] or result[2] == "timeout")
        result = results(a:write("head ", ("x"):rep(9995)))
      end
      assert.same(failure "too_large", result)
      assert.is_true(a:counters().pending <= 50000)
      assert.equal(queued, #b:read(queued))
      a:configure { write_timeout = 5 }
      assert.is_true(a:write("fine"))
      assert.equal("fine", b:read(4))
    end)

    it("takes one piece of any size when little is queued", function()
      local size = 20 * MEGABYTE
      local writer = task.spawn(function() return a:write("head", ("x"):rep(size)) end)
      assert.equal(size + 4, #b:read(size + 4))
      assert.is_true(writer:join())
    end)

    it("flush waits until nothing is pending", function()
      assert.is_true(a:flush())
      a:write("abc")
      assert.is_true(a:flush())
      assert.equal(0, a:counters().pending)
      assert.equal("abc", b:read(3))
    end)

    it("counts bytes, age and idle time", function()
      task.sleep(0.01)
      a:write("12345")
      assert.equal("12345", b:read(5))
      b:write("123")
      assert.equal("123", a:read(3))
      local counters = a:counters()
      assert.equal(5, counters.sent)
      assert.equal(3, counters.received)
      assert.equal(0, counters.pending)
      assert.is_true(counters.age >= 0.009 and counters.age < 30)
      assert.is_true(counters.idle >= 0 and counters.idle <= counters.age)
      task.sleep(0.02)
      assert.is_true(a:counters().idle >= 0.019)
    end)

    it("wakes its reader with closed when it is closed", function()
      local reader = waiting("read", b.read_line, b)
      b:close()
      assert.same(failure "closed", results(reader:join()))
    end)

    it("wakes its writer with closed when it is closed", function()
      local writer = waiting("write", function()
        while true do
          local ok, err, code = a:write(("x"):rep(65536))
          if not ok then
            return ok, err, code
          end
          task.yield()
        end
      end)
      a:abort()
      assert.same(failure "closed", results(writer:join()))
    end)

    it("says closed of everything once it is closed", function()
      a:close()
      a:close()
      a:abort()
      assert.is_false(a:is_open())
      for _, call in ipairs {
        "read_line", "read_some", "read_all", "write", "try_write", "flush", "shutdown_write", "counters",
        "local_address",
      } do
        assert.same(failure "closed", results(a[call](a)), call)
      end
      assert.same(failure "closed", results(a:read(1)))
      assert.same(failure "closed", results(a:peek(1)))
      assert.same(failure "closed", results(a:read_until("x")))
      assert.equal(a, a:configure { read_timeout = 1 })
      assert.matches("^moonwire.stream: .* closed$", tostring(a))
      assert.is_string(a:peer_address())
    end)

    it("tells the peer when it is aborted, by a reset where the transport has one", function()
      local reader = waiting("read", b.read_line, b)
      a:abort()
      local line, err, code = reader:join()
      assert.is_nil(line)
      assert.is_true(code == "reset" or code == "eof" and not kind:find("TCP", 1, true), err)
    end)

    it("closes with its block", function()
      do
        local scoped <close> = a
        assert.is_true(scoped:is_open())
      end
      assert.is_false(a:is_open())
      assert.same(failure "eof", results(b:read_some()))
    end)

    it("is printable", function()
      assert.matches("^moonwire.stream: %S+ open$", tostring(a))
      assert.is_string(a:local_address())
    end)
  end)
end

describe("addresses", function()
  it("of a connection are those of its two ends", function()
    local a, b = streams.tcp()
    assert.matches("^127.0.0.1:%d+$", a:local_address())
    assert.equal(a:local_address(), b:peer_address())
    assert.equal(b:local_address(), a:peer_address())
    local address = a:peer_address()
    a:close()
    assert.equal(address, a:peer_address())
  end)

  it("of a connection in memory are a pipe's", function()
    local a = net.pair()
    assert.equal("pipe", a:peer_address())
    assert.equal("pipe", a:local_address())
  end)
end)

describe("the life of a stream", function()
  it("ends with the task that opened it", function()
    local a, b
    task.spawn(function() a, b = net.pair() end):join()
    assert.is_false(a:is_open())
    assert.is_false(b:is_open())
  end)

  it("goes on when it is kept", function()
    local a
    task.spawn(function() a = net.pair():keep() end):join()
    assert.is_true(a:is_open())
    a:close()
  end)

  it("may be used from other tasks than the one that opened it", function()
    local a, b = net.pair()
    task.spawn(function() a:write("from a child") end)
    assert.equal("from a child", b:read(12))
  end)

  it("of a peer that dies midway ends in a fault or in the end of data", function()
    local process = require "spec.support.process"
    local listener = net.listen("tcp://127.0.0.1:0")
    local port = listener:local_address():match("%d+$")
    local peer <close> = process.start { "sh", "-c", "exec nc 127.0.0.1 " .. port .. " </dev/zero" }
    local conn = listener:accept(5)
    assert.is_string(conn:read(1000))
    peer:signal "KILL"
    local chunk, err, code
    repeat
      chunk, err, code = conn:read_some()
    until not chunk
    assert.is_true(code == "eof" or code == "reset", err)
  end)

  it("that never reads costs no more than the high mark", function()
    local a, b = streams.tcp()
    b:configure { input_mark = 1 }
    local pending = 0
    local writer = waiting("write", function()
      while a:write(("x"):rep(10000)) do
        pending = math.max(pending, a:counters().pending)
        task.yield()
      end
    end)
    task.sleep(0.02)
    assert.is_true(a:counters().pending <= 65536 + 10000)
    assert.is_true(pending <= 65536)
    writer:cancel()
    a:abort()
  end)

  it("reads ahead of a script that does not read only up to its input mark", function()
    local a, b = streams.tcp()
    b:configure { input_mark = 5000 }
    local writer = waiting("write", function()
      while a:write(("x"):rep(65536)) do
        task.yield()
      end
    end)
    assert.is_true(b:counters().received <= 5000 + 2 * 65536)
    writer:cancel()
    a:abort()
  end)

  it("notices a reset in the middle of a write", function()
    local a, b = streams.tcp()
    local writer = waiting("write", function()
      while true do
        local ok, err, code = a:write(("x"):rep(65536))
        if not ok then
          return err, code
        end
        task.yield()
      end
    end)
    b:abort()
    local err, code = writer:join()
    assert.equal("reset", code)
    assert.is_true(err == "reset" or err:find(a:peer_address(), 1, true) ~= nil, err)
    a:close()
  end)
end)

describe("misuse of a stream", function()
  local a

  before_each(function()
    a = net.pair()
  end)

  local function blames(line_offset, pattern, fn)
    local here = debug.getinfo(2, "l").currentline
    local ok, message = pcall(fn)
    assert.is_false(ok)
    assert.equal(("spec/net/stream_spec.lua:%d:"):format(here + line_offset), message:match("^%S+:%d+:"))
    assert.matches(pattern, message, 1, true)
  end

  it("raises for an unknown option and names the known ones, on the caller's line", function()
    blames(0, "unknown option 'size' (known: max)", function() a:lines { size = 1 } end)
    blames(0, "unknown option 'max_size'", function() a:chunks { max_size = 1 } end)
    blames(0, "unknown option 'timeout'", function() a:configure { timeout = 1 } end)
    blames(0, "unknown option '1'", function() a:configure { 5 } end)
    blames(1, "unknown option 'x' (known: timeout, ", function()
      net.connect("tcp://127.0.0.1:1", { x = 1 })
    end)
    blames(1, "unknown option 'x' (known: ", function()
      net.listen("tcp://127.0.0.1:0", { x = 1 })
    end)
  end)

  it("raises for wrong values of options", function()
    blames(1, "option 'read_timeout': seconds or false expected, got string", function()
      a:configure { read_timeout = "soon" }
    end)
    for _, options in ipairs {
      { read_timeout = -1 }, { read_timeout = true }, { high_mark = 0 }, { high_mark = 1.5 },
      { low_mark = 70000 }, { high_mark = 10 * MEGABYTE }, { input_mark = "big" }, { read_timeout = 0 / 0 },
    } do
      assert.has_error(function() a:configure(options) end)
    end
    assert.equal(a, a:configure { read_timeout = false, write_timeout = math.huge })
  end)

  it("raises for wrong arguments, on the caller's line", function()
    blames(0, "number expected, got no value", function() a:read() end)
    blames(0, "-1 is not within 0..1073741824", function() a:read(-1) end)
    blames(0, "number has no integer representation", function() a:read(1.5) end)
    blames(0, "0 is not within 1..1073741824", function() a:read_some(0) end)
    blames(0, "0 is not within 1..1073741824", function() a:read_line(0) end)
    blames(0, "0 is not within 1..1073741824", function() a:read_all(0) end)
    blames(0, "empty delimiter", function() a:read_until("") end)
    blames(0, "string expected", function() a:read_until() end)
    blames(0, "string or number expected, got nil", function() a:write("x", nil) end)
    blames(0, "string or number expected, got table", function() a:try_write({}) end)
    blames(0, "table expected", function() a:configure() end)
    blames(0, "moonwire.stream expected", function() a.read_line() end)
    blames(0, "moonwire.stream expected", function() a.read_line(io.stdout) end)
  end)

  it("writes nothing when an argument is wrong", function()
    local x, y = net.pair()
    pcall(x.write, x, "half", {})
    x:write("whole")
    assert.equal("whole", y:read(5))
  end)

  it("cannot reach the metatable", function()
    assert.is_false(getmetatable(a))
  end)
end)
