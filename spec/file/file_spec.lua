local core = require "moonwire.core"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local streams = require "spec.support.streams"
local task = require "moonwire.task"

local EOF <const> = { n = 3, nil, "eof", "eof" }
local CLOSED <const> = { n = 3, nil, "closed", "closed" }
local BUSY <const> = { n = 3, nil, "busy", "busy" }

describe("an open file", function()
  local place, root

  before_each(function()
    place = folder.new()
    root = assert(file.root(place.path))
  end)

  after_each(function()
    root:close()
    place:remove()
  end)

  it("is read piece by piece", function()
    place:write("a", "0123456789")
    local opened <close> = assert(root:open "a")
    assert.are.equal("moonwire.file: a open", tostring(opened))
    assert.are.equal("0123", opened:read(4))
    assert.are.equal(4, opened:position())
    assert.are.equal("456789", opened:read(100))
    assert.are.same(EOF, table.pack(opened:read(1)))
    assert.are.equal(10, opened:size())
    assert.are.equal(8, opened:seek(8))
    assert.are.equal("8", opened:read(1))
    opened:seek(1 << 40)
    assert.are.same(EOF, table.pack(opened:read(1)))
    place:write("a", "0123456789abc")
    opened:seek(10)
    assert.are.equal("abc", opened:read(100))
  end)

  it("is iterated over in chunks", function()
    place:write("a", ("0123456789"):rep(20000))
    local opened <close> = assert(root:open "a")
    local pieces = {}
    for chunk in opened:chunks() do
      pieces[#pieces + 1] = chunk
    end
    assert.are.equal(("0123456789"):rep(20000), table.concat(pieces))
    assert.are.equal(65536, #pieces[1])
    opened:seek(199990)
    pieces = {}
    for chunk in opened:chunks { max = 4 } do
      pieces[#pieces + 1] = chunk
    end
    assert.are.same({ "0123", "4567", "89" }, pieces)
  end)

  it("is iterated over in lines", function()
    local long = ("x"):rep(100000)
    local function lines_of(content, options)
      place:write("a", content)
      local opened <close> = assert(root:open "a")
      local list = {}
      for line in opened:lines(options) do
        list[#list + 1] = line
      end
      return list
    end
    assert.are.same({ "one", "two", "", "three" }, lines_of "one\ntwo\r\n\nthree")
    assert.are.same({ "one", "" }, lines_of "one\n\n")
    assert.are.same({}, lines_of "")
    assert.are.same({ long, "b", long }, lines_of(long .. "\nb\n" .. long, { max = 100000 }))
    local count = 0
    for i, line in ipairs(lines_of(("0123456789\n"):rep(30000))) do
      count = i
      assert.are.equal("0123456789", line)
    end
    assert.are.equal(30000, count)
    for _, content in ipairs { "a\n" .. long, "a\n" .. long .. "\n", "a\n1234\n" } do
      local ok, fault = pcall(lines_of, content, { max = 3 })
      assert.is_false(ok)
      assert.are.equal("too_large", core.is_fault(fault))
    end
    assert.are.same({ "123" }, lines_of("123\r\n", { max = 3 }))
  end)

  it("is written", function()
    place:write("a", "old content")
    local opened <close> = assert(root:open("a", "write"))
    assert.are.equal("", place:read "a")
    assert.is_true(opened:write("one", 2, " three"))
    assert.is_true(opened:write())
    assert.are.equal(10, opened:position())
    opened:seek(3)
    opened:write("4")
    assert.is_true(opened:sync())
    assert.are.equal("one4 three", place:read "a")
    assert.is_true(opened:truncate(3))
    assert.are.equal("one", place:read "a")
  end)

  it("is appended to, wherever its end is by then", function()
    place:write("a", "1")
    local first <close> = assert(root:open("a", "append"))
    local second <close> = assert(root:open("a", "append"))
    first:write("2")
    second:write("3")
    first:write("4")
    assert.are.equal("1234", place:read "a")
  end)

  it("is updated in place", function()
    place:write("a", "0123456789")
    local opened <close> = assert(root:open("a", "update"))
    assert.are.equal("012", opened:read(3))
    opened:write("xxx")
    assert.are.equal("6789", opened:read(10))
    assert.are.equal("012xxx6789", place:read "a")
    local made <close> = assert(root:open("new", "update", { permissions = "600" }))
    assert.are.equal(0, made:size())
    assert.are.equal("600", root:stat("new").permissions)
  end)

  -- Both begin in the same turn of the loop: the first cannot have ended when the second runs.
  local function begin_together(first, second)
    local one = task.spawn(first)
    local other = task.spawn(function()
      second(one)
      return true
    end)
    assert(other:join())
    return one
  end

  it("is used by one task at a time", function()
    local opened <close> = assert(root:open("a", "update"))
    local writing = begin_together(function()
      return opened:write("content")
    end, function(writing)
      assert.are.equal("write", writing:waits_for())
      assert.are.same(BUSY, table.pack(opened:read(1)))
      assert.are.same(BUSY, table.pack(opened:write("y")))
      assert.are.same(BUSY, table.pack(opened:size()))
      local ok, fault = pcall(function()
        for _ in opened:chunks() do
          error "read"
        end
      end)
      assert.is_false(ok)
      assert.are.equal("busy", core.is_fault(fault))
    end)
    assert.is_true(writing:join())
    assert.are.equal("content", place:read "a")
  end)

  it("has not moved when a task was cancelled that read it", function()
    place:write("a", "content")
    local opened <close> = assert(root:open "a")
    local reading = begin_together(function()
      return opened:read(3)
    end, function(reading)
      reading:cancel()
    end)
    assert.are.equal("cancelled", select(3, reading:join()))
    assert.are.equal(0, opened:position())
    local data, _, code
    repeat -- a thread may be at it still
      data, _, code = opened:read(10)
      task.yield()
    until code ~= "busy"
    assert.are.equal("content", data)
  end)

  it("can be closed twice, and does nothing after", function()
    local opened = assert(root:open("a", "update"))
    opened:close()
    opened:close()
    assert.is_false(opened:is_open())
    assert.are.equal("moonwire.file: closed", tostring(opened))
    for _, call in ipairs { "size", "stat", "sync", "lock", "unlock", "write" } do
      assert.are.same(CLOSED, table.pack(opened[call](opened)))
    end
    assert.are.same(CLOSED, table.pack(opened:read(1)))
    assert.are.same(CLOSED, table.pack(opened:truncate(0)))
    local ok, fault = pcall(function()
      for _ in opened:chunks() do
        error "read"
      end
    end)
    assert.is_false(ok)
    assert.are.equal("closed", core.is_fault(fault))
  end)

  it("finishes what is under way when it is closed", function()
    local opened = assert(root:open("a", "write"))
    local writing = begin_together(function()
      return opened:write(("x"):rep(1000000))
    end, function()
      opened:close()
    end)
    assert.is_true(writing:join())
    assert.are.equal(1000000, root:stat("a").size)
  end)

  it("closes with its task, unless it is kept", function()
    local opened = task.spawn(function() return root:open("a", "write") end):join()
    assert.is_false(opened:is_open())
    local kept <close> = task.spawn(function() return root:open("a", "write"):keep() end):join()
    assert.is_true(kept:is_open())
  end)

  it("tells what it is, whoever bears its name", function()
    place:write("a", "12345")
    local opened <close> = assert(root:open "a")
    assert.are.same(root:stat "a", opened:stat())
    root:remove "a"
    place:write("a", "1")
    assert.are.equal(5, opened:stat().size)
  end)

  it("is sent into a connection", function()
    place:write("a", "0123456789")
    local client, server = streams.tcp()
    local opened = assert(root:open "a")
    opened:seek(5)
    assert.are.equal(7, server:send_file(opened, 3))
    assert.are.equal("3456789", client:read(7))
    assert.are.equal(5, opened:position())
    opened:close()
    assert.are.same(CLOSED, table.pack(server:send_file(opened)))
    local writing <close> = assert(root:open("a", "append"))
    assert.are.equal("invalid", select(3, server:send_file(writing)))
    client:close()
    server:close()
  end)

  it("refuses what makes no sense, and says so at the caller's line", function()
    local reading <close> = assert(file.open "README.md")
    local writing <close> = assert(root:open("a", "append"))
    for problem, call in pairs {
      ["this file was not opened for writing"] = function() reading:write("x") end,
      ["this file was not opened for reading"] = function() writing:read(1) end,
      ["not opened for reading"] = function() writing:lines() end,
      ["bad argument #1 to 'read' (number expected, got no value)"] = function() reading:read() end,
      ["bad argument #1 to 'read' (0 is not within 1.."] = function() reading:read(0) end,
      ["bad argument #1 to 'seek' (-1 is not within 0.."] = function() reading:seek(-1) end,
      ["bad argument #1 to 'truncate' (-1 is not within 0.."] = function() writing:truncate(-1) end,
      ["bad argument #2 to 'write' (string expected, got table)"] = function() writing:write("x", {}) end,
      ["bad argument #1 to 'chunks' (option 'max': 0 is not within 1.."] =
        function() reading:chunks { max = 0 } end,
      ["bad argument #1 to 'lines' (unknown option 'limit' (known: max))"] =
        function() reading:lines { limit = 1 } end,
      ["bad argument #1 to 'lines' (option 'max': an integer above 0 expected, got 0)"] =
        function() reading:lines { max = 0 } end,
      ["bad argument #1 to 'lines' (table expected, got number)"] = function() reading:lines(1) end,
      ["bad argument #1 to 'lock' (unknown option 'wait' (known: exclusive, timeout))"] =
        function() reading:lock { wait = 1 } end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.matches("^%S*file_spec%.lua:%d+: ", message)
      assert.matches(problem, message, 1, true)
    end
    assert.are.equal("", place:read "a")
  end)
end)
