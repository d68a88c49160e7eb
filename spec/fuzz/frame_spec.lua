-- Random frames and records, written in pieces that are cut anywhere, with timeouts and limits in between.
local frame = require "moonwire.frame"
local net = require "moonwire.net"
local task = require "moonwire.task"

local MESSAGES <const>, LARGEST <const> = 60, 600

local LENGTHS <const> = {
  { "u8", "I1", 1 }, { "u16be", ">I2", 2 }, { "u16le", "<I2", 2 }, { "u24be", ">I3", 3 },
  { "u24le", "<I3", 3 }, { "u32be", ">I4", 4 }, { "u32le", "<I4", 4 },
  { "u64be", ">I8", 8 }, { "u64le", "<I8", 8 },
}

local function data_of(most, without_zero)
  local bytes = {}
  for i = 1, math.random(0, most) do
    bytes[i] = string.char(math.random(without_zero and 1 or 0, 255))
  end
  return table.concat(bytes)
end

-- Items of string.pack with a value for each.
local ITEMS <const> = {
  { ">I2", function() return math.random(0, 0xffff) end },
  { "<i3", function() return math.random(-0x800000, 0x7fffff) end },
  { "i8", function() return math.random(0) end },
  { "d", function() return math.random() end },
  { "s1", function() return data_of(255) end },
  { ">s4", function() return data_of(LARGEST) end },
  { "z", function() return data_of(40, true) end },
}

-- A message knows its bytes, how it is written, and how it is read with a limit so many bytes below its size.
local function make_frame()
  local name, format, size = table.unpack(LENGTHS[math.random(#LENGTHS)])
  local own = math.random(2) == 1
  local data = data_of(size == 1 and 255 - size or LARGEST)
  return {
    bytes = string.pack(format, #data + (own and size or 0)) .. data, values = { n = 1, data }, room = #data,
    write = function(conn)
      return frame.write(conn, data, { length = name, counts_itself = own })
    end,
    read = function(conn, below)
      return frame.read(conn, { length = name, counts_itself = own, max = #data - below })
    end,
  }
end

local function make_record()
  local formats, values = {}, { n = math.random(1, 5) }
  for i = 1, values.n do
    local item = ITEMS[math.random(#ITEMS)]
    formats[i], values[i] = item[1], item[2]()
  end
  local format = table.concat(formats, " ")
  local bytes = string.pack(format, table.unpack(values, 1, values.n))
  return {
    bytes = bytes, values = values, room = #bytes - 1,
    write = function(conn)
      return frame.write_packed(conn, format, table.unpack(values, 1, values.n))
    end,
    read = function(conn, below)
      return frame.read_packed(conn, format, { max = #bytes - below })
    end,
  }
end

local function make_messages()
  local messages, bytes = {}, {}
  for i = 1, MESSAGES do
    messages[i] = math.random(2) == 1 and make_frame() or make_record()
    bytes[i] = messages[i].bytes
  end
  return messages, table.concat(bytes)
end

local function write_cut(conn, bytes)
  local at = 1
  while at <= #bytes do
    local size = math.random(4) > 1 and math.random(1, 9) or math.random(1, 900)
    assert(conn:write(bytes:sub(at, at + size - 1)))
    at = at + size
    if math.random(3) == 1 then
      assert(conn:flush())
      task.sleep(math.random(8) == 1 and 0.002 or 0)
    end
  end
  conn:shutdown_write()
end

-- Reads as often as there are timeouts.
local function read(message, conn, below)
  local results
  repeat
    results = table.pack(message.read(conn, below))
  until results[1] ~= nil or results[3] ~= "timeout"
  return results
end

describe("random frames and records", function()
  for seed = 1, 4 do
    describe(("with seed %d"):format(seed), function()
      local near, far, messages, bytes

      before_each(function()
        math.randomseed(seed)
        near, far = net.pair()
        messages, bytes = make_messages()
      end)

      it("are written as string.pack has it", function()
        for _, message in ipairs(messages) do
          assert.is_true(message.write(near))
          assert.are.equal(message.bytes, far:read(#message.bytes))
        end
      end)

      it("are read whole from any pieces, and stay unread where a limit refuses them", function()
        far:configure { read_timeout = 0.001 }
        local writer = task.spawn(write_cut, near, bytes)
        for _, message in ipairs(messages) do
          if message.room > 0 and math.random(3) == 1 then
            assert.are.same({ n = 3, nil, "too_large", "too_large" }, read(message, far, 1))
          end
          assert.are.same(message.values, read(message, far, 0))
        end
        assert.are.equal("eof", read(messages[1], far, 0)[3])
        writer:join()
      end)

      it("stay unread where the data ends within one", function()
        local message = messages[1]
        local part = message.bytes:sub(1, math.random(0, #message.bytes - 1))
        write_cut(near, part)
        assert.are.equal("eof", read(message, far, 0)[3])
        assert.are.equal(part, far:read_all())
      end)
    end)
  end
end)
