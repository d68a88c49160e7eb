local core = require "moonwire.core"
local frame = require "moonwire.frame"
local net = require "moonwire.net"
local task = require "moonwire.task"

local function raised(fn, ...)
  local ok, problem = pcall(fn, ...)
  assert.is_false(ok)
  return type(problem) == "string" and problem or (core.is_fault(problem))
end

local function failure(word)
  return { n = 3, nil, word, word }
end

describe("frame", function()
  local a, b

  before_each(function()
    a, b = net.pair()
  end)

  -- Sends byte by byte: whatever reads meanwhile sees every incomplete beginning.
  local function trickle(bytes)
    task.spawn(function()
      for byte in bytes:gmatch(".") do
        a:write(byte)
        a:flush()
        task.yield()
      end
    end)
  end

  describe("with a length", function()
    it("comes through, with each way of writing the length", function()
      local heads = {
        u8 = "\3", u16be = "\0\3", u16le = "\3\0", u24be = "\0\0\3", u24le = "\3\0\0", u32be = "\0\0\0\3",
        u32le = "\3\0\0\0", u64be = "\0\0\0\0\0\0\0\3", u64le = "\3\0\0\0\0\0\0\0",
      }
      for length, head in pairs(heads) do
        assert.is_true(frame.write(a, "abc", { length = length }))
        assert.are.equal(head .. "abc", b:read(#head + 3))
        frame.write(a, "", { length = length })
        frame.write(a, "x\0z", { length = length, counts_itself = true })
        assert.are.equal("", frame.read(b, { length = length }))
        assert.are.equal("x\0z", frame.read(b, { length = length, counts_itself = true }))
      end
    end)

    it("is read whole, however it arrives", function()
      trickle(string.pack(">s4s4s4", "one", "", ("x"):rep(300)))
      assert.are.equal("one", frame.read(b))
      assert.are.equal("", frame.read(b))
      assert.are.equal(300, #frame.read(b))
    end)

    it("loses nothing to a timeout, wherever it comes", function()
      local bytes = string.pack(">s2", "hello")
      b:configure { read_timeout = 0.001 }
      for i = 1, #bytes do
        assert.are.same(failure "timeout", table.pack(frame.read(b, { length = "u16be" })))
        a:write(bytes:sub(i, i))
        a:flush()
      end
      assert.are.equal("hello", frame.read(b, { length = "u16be" }))
    end)

    it("is refused above the limit, before it comes, and stays unread", function()
      a:write("\0\1\0\1")
      assert.are.same(failure "too_large", table.pack(frame.read(b)))
      assert.are.same(failure "too_large", table.pack(frame.read(b, { max = 65536 })))
      a:write(("x"):rep(65537))
      assert.are.equal(65537, #frame.read(b, { max = 65537 }))
      a:write(("\xff"):rep(8))
      local options = { length = "u64be", max = 1 << 30 }
      assert.are.same(failure "too_large", table.pack(frame.read(b, options)))
    end)

    it("is refused when a length that counts itself is too small", function()
      a:write("\0\0\0\3")
      assert.are.same({ n = 3, nil, "read frame: a length of 3 that counts its own bytes", "invalid" },
        table.pack(frame.read(b, { counts_itself = true })))
    end)

    it("iterates up to a clean end", function()
      for _, text in ipairs { "a", "", "c" } do
        frame.write(a, text, { length = "u8" })
      end
      a:shutdown_write()
      local found = {}
      for text in frame.frames(b, { length = "u8" }) do
        found[#found + 1] = text
      end
      assert.are.same({ "a", "", "c" }, found)
    end)

    it("raises at an end amidst a frame, in its length too", function()
      for _, rest in ipairs { "\0", "\0\5", "\0\5ab" } do
        local from, to = net.pair()
        from:write("\0\1x" .. rest)
        from:shutdown_write()
        local next_frame = frame.frames(to, { length = "u16be" })
        assert.are.equal("x", next_frame())
        assert.are.equal("eof", raised(next_frame))
      end
    end)

    it("raises for misuse", function()
      for problem, misuse in pairs {
        ["#1 to 'read' %(stream expected, got nil"] = function() frame.read() end,
        ["#2 to 'read' %(option 'length': one of u16be, .* expected, got u9"] = function()
          frame.read(b, { length = "u9" })
        end,
        ["#2 to 'frames' %(unknown option 'size' %(known: counts_itself, length, max"] = function()
          frame.frames(b, { size = 1 })
        end,
        ["#2 to 'write' %(256 bytes, more than"] = function()
          frame.write(a, ("x"):rep(256), { length = "u8" })
        end,
        ["#2 to 'write' %(string expected"] = function() frame.write(a, 5) end,
      } do
        assert.matches("frame_spec.lua:%d+: bad argument " .. problem, raised(misuse))
      end
    end)
  end)

  describe("packed", function()
    local FORMATS <const> = {
      { ">I2", 500 },
      { "<i4 d B", -7, 1.5, 255 },
      { ">I2s1", 7, "lamp" },
      { "z", "zero ends" },
      { "zz", "", "" },
      { "s1 z s2 B z", "one", "two", "", 3, "four" },
      { "!4 B i4 s4 B", 1, 2, "abc", 3 },
      { "!8 s1 Xi8 z d", "abc", "q", 2.5 },
      { "> c3 x s3 < s3 I3", "abc", "x", ("y"):rep(300), 70000 },
      { "j n s", 1, 2.5, "size_t" },
    }

    it("reads what string.pack writes, however it arrives", function()
      for _, case in ipairs(FORMATS) do
        trickle(string.pack(table.unpack(case)) .. "!")
        assert.are.same({ table.unpack(case, 2) }, { frame.read_packed(b, case[1]) })
        assert.are.equal("!", b:read(1))
      end
    end)

    it("loses nothing to a timeout, wherever it comes", function()
      b:configure { read_timeout = 0.001 }
      local bytes = string.pack(">I2 s1 z", 7, "ab", "cd")
      for i = 1, #bytes do
        assert.are.same(failure "timeout", table.pack(frame.read_packed(b, ">I2 s1 z")))
        a:write(bytes:sub(i, i))
        a:flush()
      end
      assert.are.same({ 7, "ab", "cd" }, { frame.read_packed(b, ">I2 s1 z") })
    end)

    it("is refused above the limit, as soon as that is known", function()
      a:write(string.pack(">I2", 1000))
      assert.are.same(failure "too_large", table.pack(frame.read_packed(b, ">s2", { max = 1001 })))
      a:write(("x"):rep(1000))
      assert.are.equal(1000, #frame.read_packed(b, ">s2", { max = 1002 }))
      a:write(("x"):rep(100))
      assert.are.same(failure "too_large", table.pack(frame.read_packed(b, "z", { max = 100 })))
      assert.are.equal(100, #b:read(100))
      a:write(("\xff"):rep(8))
      assert.are.same(failure "too_large", table.pack(frame.read_packed(b, "s8")))
    end)

    it("takes a string that a zero byte ends up to the limit exactly", function()
      a:write(("x"):rep(99) .. "\0")
      assert.are.equal(99, #frame.read_packed(b, "z", { max = 100 }))
    end)

    it("iterates over records, and raises at an end amidst one", function()
      frame.write_packed(a, ">I1s1", 1, "one")
      frame.write_packed(a, ">I1s1", 2, "two")
      a:write("\3")
      a:shutdown_write()
      local next_record = frame.records(b, ">I1s1")
      assert.are.same({ 1, "one" }, { next_record() })
      assert.are.same({ 2, "two" }, { next_record() })
      assert.are.equal("eof", raised(next_record))
      b:read(1)
      assert.is_nil(frame.records(b, ">I1s1")())
    end)

    it("raises for formats and values that cannot be", function()
      for problem, misuse in pairs {
        ["#2 to 'read_packed' %('I9' in the format: more"] = function() frame.read_packed(b, "I9") end,
        ["#2 to 'read_packed' %('s16' in"] = function() frame.read_packed(b, "s16") end,
        ["#2 to 'read_packed' %(invalid format option 'q'"] = function() frame.read_packed(b, "Bq") end,
        ["#2 to 'read_packed' %(missing size"] = function() frame.read_packed(b, "c") end,
        ["#2 to 'read_packed' %(a format with values"] = function() frame.read_packed(b, "<x") end,
        ["#3 to 'records' %(option 'max'"] = function() frame.records(b, "B", { max = 0 }) end,
        ["#3 to 'write_packed' %(number expected"] = function() frame.write_packed(a, "B", "x") end,
        ["#4 to 'write_packed' %(.*overflow"] = function() frame.write_packed(a, "BB", 1, 256) end,
      } do
        assert.matches("frame_spec.lua:%d+: bad argument " .. problem, raised(misuse))
      end
    end)
  end)
end)
