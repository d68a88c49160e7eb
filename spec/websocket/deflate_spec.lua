-- Compressed messages, byte by byte: the examples of RFC 7692 section 7.2.3, and what is no compressed
-- message.
local raw = require "spec.websocket.raw"

local TEXT <const>, BINARY <const>, MORE <const> = raw.TEXT, raw.BINARY, raw.CONTINUATION
local HELLO <const> = "\xf2\x48\xcd\xc9\xc9\x07\x00"

local function coded(payload, options)
  options = options or {}
  options.reserved = 4
  return raw.frame(options.opcode or TEXT, payload, options)
end

-- What is sent; what comes back before the connection ends.
local CASES <const> = {
  ["a message"] = { coded(HELLO), "text Hello" },
  ["a message in two frames"] = {
    coded("\xf2\x48\xcd", { final = false }) .. raw.frame(MORE, "\xc9\xc9\x07\x00"), "text Hello",
  },
  ["messages that share a context"] = { coded(HELLO) .. coded "\xf2\x00\x11\x00\x00", "text Hello",
    "text Hello" },
  ["a block without compression"] = { coded "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "text Hello" },
  ["a final block"] = { coded "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "text Hello" },
  ["two blocks"] = { coded "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "text Hello" },
  ["an empty message"] = { coded "\x00", "text" },
  ["an empty frame"] = { coded "", "text" },
  ["messages that are compressed and not"] = {
    coded(HELLO) .. raw.frame(TEXT, "plain") .. coded "\xf2\x00\x11\x00\x00", "text Hello", "text plain",
      "text Hello",
  },
  ["a ping within"] = {
    coded(HELLO:sub(1, 3), { final = false }) .. raw.frame(raw.PING, "p") .. raw.frame(MORE, HELLO:sub(4)),
      "pong p",
    "text Hello",
  },
  ["binary bytes"] = { coded(HELLO, { opcode = BINARY }), "binary Hello" },
}

-- What is sent; the code of the close frame that answers it.
local BAD <const> = {
  ["what is no compressed data"] = { coded "\xff\xff", 1007 },
  ["a reference to what never was"] = { coded "\xf2\x00\x11\x00\x00", 1007 },
  ["a text that is no UTF-8"] = { coded "\x00\x01\x00\xfe\xff\xff\x00", 1007 },
  ["a continuation that says it is compressed"] = {
    coded("\xf2", { final = false }) .. raw.frame(MORE, "\x48", { reserved = 4 }), 1002,
  },
  ["a ping that says it is compressed"] = { raw.frame(raw.PING, "", { reserved = 4 }), 1002 },
}

describe("a WebSocket server that agreed to compression", function()
  local listener

  before_each(function()
    listener = raw.serve { deflate = { threshold = 1000 } }
  end)

  after_each(function()
    listener:close()
  end)

  local function connect()
    return raw.connect(listener, { ["Sec-WebSocket-Extensions"] = "permessage-deflate" })
  end

  for what, case in pairs(CASES) do
    it("takes " .. what, function()
      local peer <close> = connect()
      peer:send(case[1])
      peer:send(raw.close(1000))
      local expected = table.move(case, 2, #case, 1, {})
      expected[#expected + 1] = "close 1000"
      assert.same(expected, peer:read_rest())
    end)
  end

  for what, case in pairs(BAD) do
    it("refuses " .. what, function()
      local peer <close> = connect()
      peer:send(case[1])
      assert.matches("^close " .. case[2], peer:read_rest()[1])
    end)
  end

  it("forgets what came when that was agreed on", function()
    local peer <close> = raw.connect(listener, {
      ["Sec-WebSocket-Extensions"] = "permessage-deflate; client_no_context_takeover",
    })
    peer:send(coded(HELLO) .. coded "\xf2\x00\x11\x00\x00")
    assert.same({ "text Hello", "close 1007 bad compressed data" }, peer:read_rest())
  end)
end)
