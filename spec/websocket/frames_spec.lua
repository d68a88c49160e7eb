-- What peers may send and what not, frame by frame: the sections 1 to 7 and 9 of the Autobahn test suite's
-- cases, each sent at once, and byte by byte.
local raw = require "spec.websocket.raw"
local task = require "moonwire.task"

local TEXT <const>, BINARY <const>, MORE <const> = raw.TEXT, raw.BINARY, raw.CONTINUATION
local PING <const>, PONG <const>, CLOSE <const> = raw.PING, raw.PONG, raw.CLOSE
local BYE <const> = raw.close(1000)

local function part(opcode, payload)
  return raw.frame(opcode, payload, { final = false })
end

local frame = raw.frame

-- What is sent; what comes back before the connection ends.
local GOOD <const> = {
  ["an empty text"] = { frame(TEXT), "text" },
  ["a text of 125 bytes"] = { frame(TEXT, ("*"):rep(125)), "text " .. ("*"):rep(125) },
  ["a text of 126 bytes"] = { frame(TEXT, ("*"):rep(126)), "text " .. ("*"):rep(126) },
  ["a text of 128 bytes"] = { frame(TEXT, ("*"):rep(128)), "text " .. ("*"):rep(128) },
  ["an empty binary message"] = { frame(BINARY), "binary" },
  ["binary bytes"] = { frame(BINARY, ("\xfe"):rep(127)), "binary " .. ("\xfe"):rep(127) },
  ["a ping without payload"] = { frame(PING), "pong" },
  ["a ping with a payload"] = { frame(PING, "Hello, world!"), "pong Hello, world!" },
  ["a ping with bytes that are no text"] = { frame(PING, "\0\xff\xfe"), "pong \0\xff\xfe" },
  ["a ping of 125 bytes"] = { frame(PING, ("\xfe"):rep(125)), "pong " .. ("\xfe"):rep(125) },
  ["a pong that nobody asked for"] = { frame(PONG, "unsolicited"), nil },
  ["a pong and a ping"] = { frame(PONG, "x") .. frame(PING, "y"), "pong y" },
  ["a text in two frames"] = { part(TEXT, "frag") .. frame(MORE, "ment"), "text fragment" },
  ["a text whose fragments are empty"] = { part(TEXT) .. part(MORE) .. frame(MORE), "text" },
  ["a text of which one fragment has bytes"] = { part(TEXT) .. part(MORE, "middle") .. frame(MORE),
    "text middle" },
  ["a ping between fragments"] = {
    part(TEXT, "a") .. frame(PING, "p") .. frame(MORE, "b"), "pong p", "text ab",
  },
  ["many fragments, pings and pongs between them"] = {
    part(TEXT, "1") .. part(MORE, "2") .. frame(PONG, "-") .. part(MORE, "3") .. frame(PING, "ping")
      .. frame(MORE, "5"),
    "pong ping", "text 1235",
  },
  ["binary bytes in fragments"] = { part(BINARY, "\xff") .. frame(MORE, "\xfe"), "binary \xff\xfe" },
  ["UTF-8"] = { frame(TEXT, "Hello-µ@ßöäüàá-UTF-8!!"), "text Hello-µ@ßöäüàá-UTF-8!!" },
  ["characters that are cut by frames"] = {
    part(TEXT, "\xce") .. part(MORE, "\xba\xe1\xbd") .. frame(MORE, "\xb9"), "text \xce\xba\xe1\xbd\xb9",
  },
  ["a NUL in a text"] = { frame(TEXT, "a\0b"), "text a\0b" },
  ["the last code points"] = {
    frame(TEXT, "\xf4\x8f\xbf\xbf\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80"),
    "text \xf4\x8f\xbf\xbf\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80",
  },
  ["characters that are nobody's"] = { frame(TEXT, "\xef\xbf\xbe\xef\xb7\x90"),
    "text \xef\xbf\xbe\xef\xb7\x90" },
}

-- What is sent; the code of the close frame that answers it.
local BAD <const> = {
  ["a ping of 126 bytes"] = { frame(PING, ("x"):rep(126)), 1002 },
  ["a fragmented ping"] = { part(PING, "x"), 1002 },
  ["a fragmented pong"] = { part(PONG, "x"), 1002 },
  ["a fragmented close"] = { part(CLOSE, "\x03\xe8"), 1002 },
  ["the first reserved bit"] = { frame(TEXT, "x", { reserved = 4 }), 1002 },
  ["the second reserved bit"] = { frame(TEXT, "x", { reserved = 2 }), 1002 },
  ["the third reserved bit"] = { frame(BINARY, "x", { reserved = 1 }), 1002 },
  ["reserved bits of a ping"] = { frame(PING, "x", { reserved = 6 }), 1002 },
  ["reserved bits of a close"] = { frame(CLOSE, "", { reserved = 7 }), 1002 },
  ["a continuation of nothing"] = { frame(MORE, "x"), 1002 },
  ["a first fragment of nothing"] = { part(MORE, "x") .. frame(TEXT, "y"), 1002 },
  ["a text within a message"] = { part(TEXT, "x") .. frame(TEXT, "y"), 1002 },
  ["a continuation behind a message"] = { part(TEXT, "x") .. frame(MORE, "y") .. frame(MORE, "z"), 1002,
    "text xy" },
  ["a frame without a mask"] = { frame(TEXT, "x", { masked = false }), 1002 },
  ["16 bits for a short length"] = { frame(TEXT, "x", { length = "\x7e\0\1" }), 1002 },
  ["64 bits for a length of 16"] = { frame(TEXT, "x", { length = "\x7f\0\0\0\0\0\0\1\0" }), 1002 },
  ["a length of 2^63"] = { frame(TEXT, "x", { length = "\x7f\x80\0\0\0\0\0\0\0" }), 1002 },
  ["a close of one byte"] = { frame(CLOSE, "\x03"), 1002 },
  ["a close of 126 bytes"] = { frame(CLOSE, "\x03\xe8" .. ("x"):rep(124)), 1002 },
  ["a reason that is not UTF-8"] = { raw.close(1000, "\xce\xba\xed\xa0\x80"), 1007 },
  ["a length above the limit"] = { frame(BINARY, "", { length = "\x7f\0\0\0\0\0\x10\0\1" }), 1009 },
  ["a message above the limit in fragments"] = {
    part(BINARY, ("x"):rep(600000)) .. part(MORE, ("x"):rep(600000)), 1009,
  },
}

for opcode = 3, 7 do
  BAD["the reserved opcode " .. opcode] = { frame(opcode, "x"), 1002 }
  BAD["the reserved opcode " .. opcode + 8] = { frame(opcode + 8, "x"), 1002 }
end

for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535 } do
  BAD["the close code " .. code] = { raw.close(code), 1002 }
end

-- Autobahn 6.3 to 6.20: none of these is UTF-8.
local BAD_TEXTS <const> = {
  "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", "\xf4\x90\x80\x80", "\x80", "\xbf",
  "\x80\xbf", "\xc3",
  "\xe1\x80", "\xf0\x90\x80", "\xfe", "\xff", "\xfe\xfe\xff\xff", "\xc0\xaf", "\xe0\x80\xaf",
  "\xf0\x80\x80\xaf",
  "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
  "\xc0\x80",
  "\xed\xa0\x80", "\xed\xaf\xbf", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", "abc\xc3(",
}

local function expect_end(listener, bytes, expected, steps)
  local peer <close> = raw.connect(listener)
  local writer <close> = task.group()
  writer:spawn(function()
    for i = 1, #bytes, steps do
      if not (peer.conn:write(bytes:sub(i, i + steps - 1)) and peer.conn:flush()) then
        return
      end
      if steps < #bytes then
        task.sleep(0)
      end
    end
  end)
  assert.same(expected, peer:read_rest())
end

-- As few pieces as the machine stands, where the message is long.
local function step(bytes)
  return #bytes < 400 and 1 or 100000
end

describe("a WebSocket server", function()
  local listener

  before_each(function()
    listener = raw.serve()
  end)

  after_each(function()
    listener:close()
  end)

  for what, case in pairs(GOOD) do
    it("takes " .. what, function()
      local expected = table.move(case, 2, 3, 1, {})
      expected[#expected + 1] = "close 1000"
      expect_end(listener, case[1] .. BYE, expected, #case[1] + #BYE)
      expect_end(listener, case[1] .. BYE, expected, step(case[1]))
    end)
  end

  for what, case in pairs(BAD) do
    it("refuses " .. what, function()
      for _, steps in ipairs { #case[1], step(case[1]) } do
        local peer <close> = raw.connect(listener)
        for i = 1, #case[1], steps do
          peer.conn:write(case[1]:sub(i, i + steps - 1))
        end
        peer.conn:flush()
        local seen = peer:read_rest()
        assert.matches("^close " .. case[2], seen[#seen])
        assert.equal(case[3], seen[#seen - 1])
      end
    end)
  end

  for _, text in ipairs(BAD_TEXTS) do
    it("refuses a text with " .. ("%q"):format(text), function()
      for _, bytes in ipairs { frame(TEXT, text), part(TEXT, text:sub(1, 1)) .. frame(MORE, text:sub(2)) } do
        local peer <close> = raw.connect(listener)
        peer:send(bytes)
        assert.same({ "close 1007 text that is not UTF-8" }, peer:read_rest())
      end
    end)
  end

  it("refuses a text at the first byte that cannot be", function()
    local peer <close> = raw.connect(listener)
    peer:send(part(TEXT, "\xce\xba\xe1\xbd\xb9") .. frame(MORE, "\xf4\x90", { length = "\x7d" }))
    assert.same({ "close 1007 text that is not UTF-8" }, peer:read_rest())
  end)

  for _, code in ipairs { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
    4999 } do
    it("answers a close with code " .. code, function()
      expect_end(listener, raw.close(code, "reason"), { "close " .. code }, 100)
      expect_end(listener, raw.close(code, ("x"):rep(123)) .. frame(TEXT, "late"), { "close " .. code }, 1)
    end)
  end

  it("answers a close without a code", function()
    expect_end(listener, frame(CLOSE), { "close" }, 100)
  end)

  it("reads nothing behind a close", function()
    expect_end(listener, BYE .. frame(TEXT, "late") .. frame(PING), { "close 1000" }, 1000)
  end)

  it("answers only the last of many pings that came at once, and in order with messages", function()
    local peer <close> = raw.connect(listener)
    local pings = {}
    for i = 1, 10 do
      pings[i] = frame(PING, "ping " .. i)
    end
    peer:send(table.concat(pings) .. frame(TEXT, "x") .. BYE)
    assert.same({ "pong ping 10", "text x", "close 1000" }, peer:read_rest())
  end)

  it("echoes large messages, in one frame and in many", function()
    local peer <close> = raw.connect(listener)
    local text = ("0123456789abcdef"):rep(65536)
    local writer <close> = task.group()
    writer:spawn(function()
      peer:send(frame(BINARY, text))
      local pieces = { part(BINARY, text:sub(1, 64)) }
      for i = 65, #text - 64, 64 do
        pieces[#pieces + 1] = part(MORE, text:sub(i, i + 63))
      end
      pieces[#pieces + 1] = frame(MORE, text:sub(-64))
      peer:send(table.concat(pieces))
    end)
    assert.is_true(peer:read().payload == text)
    assert.is_true(peer:read().payload == text)
  end)
end)
