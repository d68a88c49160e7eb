-- What one server takes for the end of a message and another does not: here CRLF.CRLF ends it, and nothing
-- else; a message with anything like it in it is refused.
local office = require "spec.smtp.office"

local BEGIN <const> = "EHLO a\r\nMAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n"
local SECOND <const> = "MAIL FROM:<admin@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\nevil\r\n.\r\n"

local FALSE_ENDS <const> = {
  "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n\n.\r\n", "\r\n.\r\r\n",
  "\n.\r", "\r\n.\n\r\n", "\r\n.\0\r\n\n",
}

describe("the end of a message", function()
  it("is CRLF.CRLF: what looks like it neither ends it nor gets through", function()
    local place <close> = office.open()
    for _, ending in ipairs(FALSE_ENDS) do
      local codes = office.codes(place:tell(BEGIN, "Subject: a\r\n\r\nx", ending, SECOND, "QUIT\r\n"))
      assert.equal("220 250 2.1.0 2.1.5 354 5.5.2 2.0.0", codes, ("%q"):format(ending))
    end
    assert.equal(0, #place.messages)
  end)

  it("may come in pieces of any size", function()
    local place <close> = office.open()
    local text = BEGIN .. "Subject: a\r\n\r\n..x\r\n.\r\nQUIT\r\n"
    local conn <close> = place:connect()
    for i = 1, #text do
      conn:write(text:sub(i, i))
      assert(conn:flush())
    end
    assert.matches("\r\n250 2%.0%.0 [^\n]+\n221 2.0.0 [^\n]+\n$", assert(conn:read_all()))
    assert.matches("\r\n\r\n%.x\r\n$", place.messages[1].text)
  end)

  it("may be the first of it", function()
    local place <close> = office.open()
    assert.equal("220 250 2.1.0 2.1.5 354 2.0.0 2.0.0", office.codes(place:tell(BEGIN, ".\r\nQUIT\r\n")))
    assert.matches("%+0000\r\n$", place.messages[1].text)
  end)
end)

describe("a command", function()
  it("ends with CRLF: lines that end otherwise end the dialogue", function()
    local place <close> = office.open()
    for _, text in ipairs { "NOOP\n", "NOOP\r\r\n", "NO\rOP\r\n", "NOOP\nNOOP\r\n" } do
      assert.equal("220 5.5.2", office.codes(place:tell(text, SECOND)), ("%q"):format(text))
    end
  end)

  it("has no control characters in it", function()
    local place <close> = office.open()
    local text = "EHLO a\r\nMAIL FROM:<a@b>\0\r\nMAIL\tFROM:<a@b>\r\nMAIL FROM:<a\x80@b>\r\n"
    assert.equal("220 250 5.5.2 5.5.1 5.1.7", office.codes(place:tell(text)))
  end)
end)
