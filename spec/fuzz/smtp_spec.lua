-- Dialogues of clients of mail, changed at random: each is answered and ended, nothing gets through that is
-- not whole, and a good client is served afterwards.
local codec = require "moonwire.codec"
local condition = require "spec.support.condition"
local mutation = require "spec.fuzz.mutation"
local office = require "spec.smtp.office"

local ROUNDS <const> = 300

local DIALOGUES <const> = {
  "EHLO a.example\r\nMAIL FROM:<ann@example.org> SIZE=20 BODY=8BITMIME\r\nRCPT TO:<bob@example.net>\r\n"
    .. "RCPT TO:<nobody@example.net> NOTIFY=NEVER ORCPT=rfc822;bob\r\nDATA\r\n"
    .. "Subject: x\r\n\r\n..\r\nbody\r\n.\r\nMAIL FROM:<>\r\nRSET\r\nQUIT\r\n",
  'HELO b\r\nMAIL FROM:<@a,@b:"a b"@[127.0.0.1]>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n\r\nx\r\n.\r\nNOOP\r\n'
    .. "VRFY bob\r\nHELP\r\nEXPN x\r\nQUIT\r\n",
  "EHLO [IPv6:::1]\r\nMAIL FROM:<j\u{E4}n@d\u{F6}.example> SMTPUTF8 RET=HDRS ENVID=a+2Bb\r\n"
    .. "RCPT TO:<full@x>\r\nRCPT TO:<unwritable@x>\r\nDATA\r\nReceived: a\r\n\r\n.\r\nSTARTTLS\r\nQUIT\r\n",
}

local WORDS <const> = {
  "\r\n", "\r", "\n", ".", "\r\n.\r\n", "\n.\n", "\0", "\xFF", " ", "<", ">", "@", ":", "=", "+", '"', "\\",
  "[", "]", "DATA\r\n", "RSET\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "EHLO x\r\n", "SIZE=",
  "NOTIFY=",
}

local function mutate(text)
  return mutation.change(text, math.random(4), WORDS)
end

-- Every line of an answer is one of a reply.
local function expect_replies(answer, text)
  for line in answer:gmatch "([^\n]*)\n" do
    assert.matches("^[2-5]%d%d[ -][ -~]*\r$", line, codec.url_encode(text))
  end
end

local function count_accepted(answer)
  return select(2, answer:gsub("%f[^\n\0]250 2%.0%.0 accepted as", ""))
end

describe("a server of mail", function()
  it("answers whatever is said, and keeps what it has accepted and nothing else", function()
    math.randomseed(25)
    local place <close> = office.open { errors_max = 8, size_max = 2000 }
    local accepted = 0
    for round = 1, ROUNDS do
      local text = mutate(DIALOGUES[round % #DIALOGUES + 1])
      local answer = place:tell(text)
      expect_replies(answer, text)
      accepted = accepted + count_accepted(answer)
      assert.equal(accepted, #place.messages, codec.url_encode(text))
    end
    assert.is_true(accepted > 30)
    condition.wait_until(function() return place.closed == ROUNDS end)
    for _, message in ipairs(place.messages) do
      assert.is_nil(message.text:gsub("\r\n", ""):find "[\r\n]")
    end
    assert.matches("221 2.0.0 [^\n]+\n$", place:tell(DIALOGUES[1]))
    assert.equal(accepted + 1, #place.messages)
  end)
end)
