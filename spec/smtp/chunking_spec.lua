-- BDAT: messages in chunks of a size that is told before.
local office = require "spec.smtp.office"

local BEGIN <const> = "EHLO a\r\nMAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.net>\r\n"
local QUIT <const> = "QUIT\r\n"

local function chunk(text, last)
  return ("BDAT %d%s\r\n%s"):format(#text, last and " LAST" or "", text)
end

local function codes_of(place, ...)
  local codes = office.codes(place:tell(BEGIN, ...))
  return (assert(codes:match "^220 250 2%.1%.0 2%.1%.5 ?(.*)$", codes))
end

describe("BDAT", function()
  it("brings a message, however it is cut", function()
    local place <close> = office.open()
    local text = "Subject: x\r\n\r\n.\r\n..\r\nQUIT\r\n"
    for size = 1, #text do
      local parts = {}
      for at = 1, #text, size do
        parts[#parts + 1] = chunk(text:sub(at, at + size - 1))
      end
      local expected = ("2.0.0 "):rep(#parts) .. "2.0.0 2.0.0"
      assert.equal(expected, codes_of(place, table.concat(parts), "BDAT 0 LAST\r\n", QUIT))
      assert.equal(text, place.messages[size].text:match "\r\n(Subject.*)$")
    end
    assert.equal("2.0.0 2.0.0", codes_of(place, chunk(text, true), QUIT))
    assert.equal(0, place.aborted)
  end)

  it("refuses messages as DATA does, and reads what belongs to them", function()
    local place <close> = office.open { size_max = 1000, hops_max = 2 }
    local cases = {
      { "5.5.2 2.0.0", chunk("x\ny\r\n", true) },
      { "5.5.2 2.0.0", chunk("x\ry\r\n", true) },
      { "5.5.2 2.0.0", chunk("x\r", true) },
      { "2.0.0 5.5.2 5.5.1 2.0.0", chunk "x\r", chunk "x\r\n", chunk("MAIL FROM:<a@b>\r\n", true) },
      { "2.0.0 5.5.2 2.0.0", chunk "x", chunk("\n", true) },
      { "5.3.4 5.5.1 2.0.0", chunk(("x"):rep(1001)), chunk("QUIT\r\n", true) },
      { "5.4.6 2.0.0", chunk(("Received: x\r\n"):rep(3), true) },
      { "2.0.0 5.5.1 5.5.1 5.5.1 2.0.0 5.5.1 2.0.0", chunk "x\r\n", "DATA\r\n", "MAIL FROM:<a@b>\r\n",
        "RCPT TO:<a@b>\r\n", "RSET\r\n", chunk("x", true) },
      { "2.0.0 250 2.0.0", chunk "x\r\n", "EHLO b\r\n" },
      { "2.0.0 2.0.0", chunk "x\r\n" },
      { "5.5.4", "BDAT\r\nNOOP\r\n" }, { "5.5.4", "BDAT 1 FIRST\r\n" }, { "5.5.4", "BDAT -1\r\n" },
      { "5.5.4", "BDAT 9999999999999999\r\n" }, { "2.0.0 5.5.1", "RSET\r\nBDAT 999999999999 LAST\r\n" },
      { "2.0.0 5.5.1 2.0.0", "RSET\r\n", chunk("x\r\n", true) },
      { "2.0.0 2.1.0 5.5.1 2.0.0", "RSET\r\nMAIL FROM:<a@b>\r\n", chunk("x\r\n", true) },
      { "2.0.0 2.1.0 2.1.5 4.3.1 2.0.0", "RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<unwritable@x>\r\n",
        chunk("x\r\n", true) },
    }
    for i, case in ipairs(cases) do
      assert.equal(case[1], codes_of(place, table.concat(case, "", 2), QUIT), i)
    end
    assert.equal(0, #place.messages)
    assert.equal(11, place.aborted)
  end)

  it("is what a client leaves amid", function()
    local place <close> = office.open { data_timeout = 0.05 }
    local conn <close> = place:connect()
    conn:write(BEGIN, "BDAT 100\r\nx")
    assert.matches("\r\n421 4%.4%.2 [^\n]+\n$", assert(conn:read_all()))
    assert.equal("", codes_of(place, "BDAT 100\r\nx"))
    assert.same({ 0, 2 }, { #place.messages, place.aborted })
  end)

  it("brings any bytes, where that is allowed", function()
    local place <close> = office.open { binarymime = true }
    local begin = "EHLO a\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<bob@example.net>\r\n"
    local answer = place:tell(begin, "DATA\r\n", chunk("A: b\r\n\r\n\r\0\n.\n", true), QUIT)
    assert.equal("220 250 2.1.0 2.1.5 5.5.1 2.0.0 2.0.0", office.codes(answer))
    assert.matches("\r\n\r\n\r%z\n%.\n$", place.messages[1].text)
    local strict <close> = office.open()
    assert.equal("220 250 5.5.4", office.codes(strict:tell "EHLO a\r\nMAIL FROM:<> BODY=BINARYMIME\r\n"))
  end)
end)
