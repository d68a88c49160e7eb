-- The parser of replies, without a server: all types, limits, and what a hostile server may say.
local json = require "moonwire.json"
local reply = require "moonwire.redis.reply"

local MAX <const> = 1 << 20

-- All that a parser gives for these bytes, fed in pieces of that size.
local function read_all(bytes, size, max)
  local parser, found = reply.parser(max or MAX), {}
  for at = 1, #bytes, size or #bytes do
    parser:feed(bytes:sub(at, at + (size or #bytes) - 1))
    local kind, value, code = parser:next()
    while kind do
      found[#found + 1] = { kind, value, code }
      if kind == "fault" then
        return found
      end
      kind, value, code = parser:next()
    end
  end
  return found
end

local function read(bytes)
  return table.unpack(read_all(bytes)[1] or {})
end

describe("replies of Redis", function()
  local VALUES <const> = {
    { "+OK\r\n", "OK" }, { ":-12\r\n", -12 }, { "$5\r\na\r\nbc\r\n", "a\r\nbc" }, { "$0\r\n\r\n", "" },
    { "$-1\r\n", json.null }, { "*-1\r\n", json.null }, { "_\r\n", json.null }, { "#t\r\n", true },
    { "#f\r\n", false }, { ",1.5\r\n", 1.5 }, { ",-inf\r\n", -math.huge }, { "(12\r\n", 12 },
    { "(123456789012345678901\r\n", "123456789012345678901" }, { "=6\r\ntxt:hi\r\n", "hi" },
    { "*3\r\n:1\r\n*0\r\n_\r\n", { 1, {}, json.null } }, { "~2\r\n+a\r\n+b\r\n", { "a", "b" } },
    { "%2\r\n+a\r\n:1\r\n:2\r\n#f\r\n", { a = 1, [2] = false } },
    { "|1\r\n+ttl\r\n:1\r\n:7\r\n", 7 }, { "*2\r\n|1\r\n+a\r\n*0\r\n:1\r\n:2\r\n", { 1, 2 } },
  }

  it("become values of Lua, however they are cut", function()
    for _, case in ipairs(VALUES) do
      for _, size in ipairs { 1, 2, 3, 1000 } do
        assert.are.same({ { "reply", case[2] } }, read_all(case[1], size), case[1])
      end
    end
    local _, nan = read ",nan\r\n"
    assert.is_true(nan ~= nan)
    assert.are.equal("float", math.type((select(2, read ",1\r\n"))))
  end)

  it("tell errors from values", function()
    for _, bytes in ipairs { "-WRONGTYPE no list\r\n", "!17\r\nWRONGTYPE no list\r\n" } do
      local _, problem = read(bytes)
      assert.is_true(reply.is_error(problem))
      assert.are.same({ "WRONGTYPE", "WRONGTYPE no list" }, { problem.kind, tostring(problem) })
    end
  end)

  it("come in order, with pushes between", function()
    assert.are.same({ { "reply", 1 }, { "push", { "message", "a" } }, { "reply", 2 } },
      read_all(":1\r\n>2\r\n+message\r\n+a\r\n:2\r\n", 4))
  end)

  it("are refused when they are malformed", function()
    for _, bytes in ipairs {
      "HTTP/1.1 400 Bad Request\r\n", "\r\n", ":\r\n", ":1.5\r\n", ":9223372036854775808\r\n",
      ",\r\n", ",0x10\r\n",
      "#x\r\n", "_x\r\n", "(1e3\r\n", "$x\r\n", "$-2\r\n", "$1\r\nabc", "=2\r\nab\r\n", "%-1\r\n", "$?\r\n",
      "*1\r\n>1\r\n:1\r\n", "%1\r\n,nan\r\n:1\r\n",
    } do
      local kind, message, code = read(bytes)
      assert.are.same({ "fault", "string", "protocol" }, { kind, type(message), code }, bytes)
    end
  end)

  it("have limits, which hold before memory is taken", function()
    for _, bytes in ipairs {
      "$1048577\r\n", "*1000000000\r\n", "%999999\r\n", "*999999999999999999\r\n", ("+"):rep(70000),
      ("*1\r\n"):rep(40), "*50000\r\n" .. ("$30\r\n" .. ("x"):rep(30) .. "\r\n"):rep(50000),
      ("|1\r\n+a\r\n+" .. ("x"):rep(30000) .. "\r\n"):rep(40),
    } do
      local kind, _, code = read(bytes)
      assert.are.same({ "fault", "too_large" }, { kind, code }, bytes:sub(1, 30))
    end
  end)

  it("may be mutated in any way", function()
    local text, seed = "", 1
    for _, case in ipairs(VALUES) do
      text = text .. case[1]
    end
    local function random(most)
      seed = (seed * 1103515245 + 12345) % (1 << 31)
      return (seed >> 8) % most + 1
    end
    for _ = 1, 500 do
      local bytes = text
      for _ = 1, random(4) do
        local at, byte = random(#bytes), random(2) == 1 and string.char(random(256) - 1) or "-9*$%>|\r"
        bytes = bytes:sub(1, at - 1) .. byte .. bytes:sub(at + random(3))
      end
      local whole, cut = read_all(bytes), read_all(bytes, random(7))
      assert.are.equal(#whole, #cut)
      for _, found in ipairs(whole) do
        assert.is_true(found[1] ~= "fault" or found[3] == "protocol" or found[3] == "too_large")
      end
    end
  end)
end)
