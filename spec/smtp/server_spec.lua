-- A server of mail, from the outside.
local condition = require "spec.support.condition"
local office = require "spec.smtp.office"
local process = require "spec.support.process"
local scene = require "spec.support.scene"
local smtp = require "moonwire.smtp.server"

local BEGIN <const> = "EHLO a\r\nMAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.net>\r\n"
local QUIT <const> = "QUIT\r\n"

local PYTHON <const> = [[
import smtplib, sys
client = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=20)
text = b"Subject: hi\r\n\r\n" + b".\r\n..\r\n" + b"x" * 900 + b"\r\n" + b"y\r\n" * 200000
print(sorted(client.sendmail("ann@example.org", ["bob@example.net", "nobody@example.net"], text)))
client.sendmail("j\u00e4n@example.org", ["d\u00f6@example.net"], b"Subject: two\r\n\r\nb\xc3\xa4r\r\n",
  mail_options=["SMTPUTF8", "BODY=8BITMIME"])
print(client.noop()[0], client.rset()[0], client.vrfy("bob")[0], client.quit()[0])
]]

-- What is said in one piece, and the codes that come back behind those of BEGIN.
local function codes_of(place, ...)
  local codes = office.codes(place:tell(BEGIN, ...))
  return (assert(codes:match "^220 250 2%.1%.0 2%.1%.5 ?(.*)$", codes))
end

local function wait_closed(place, count)
  condition.wait_until(function() return place.closed == count end)
end

describe("a server of mail", function()
  it("plays its scene", function()
    local place <close> = office.open()
    scene.play("spec/scenes/smtp.scene", { server = place.address })
    assert.equal(1, #place.messages)
    local message = place.messages[1]
    local head, body = message.text:match "^(.-)\r\nSubject: a dot\r\n\r\n(.*)$"
    assert.equal(".\r\n..\r\n", body)
    assert.matches("^Received: from client%.example%.org %(%[127%.0%.0%.1%]%)\r\n"
      .. "\tby mx%.example%.org with ESMTP id %x+\r\n\tfor <bob@example%.net>;\r\n"
      .. "\t%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d %+0000$", head)
    message.id, message.text = nil, nil
    assert.same({
      sender = "ann@example.org", body = "8bitmime", smtputf8 = false, size = 100, ret = "hdrs",
      envid = "a+b", hello = "client.example.org", client = "127.0.0.1", protocol = "ESMTP", recipients = { {
        address = "bob@example.net", local_part = "bob", domain = "example.net",
        notify = { "success", "failure" }, orcpt = "rfc822;Bob@example.net",
      } },
    }, message)
    wait_closed(place, 1)
  end)

  it("talks with the client of Python", function()
    local place <close> = office.open()
    local port = place.address:match "%d+$"
    local status, output, errors = process.run { "python3", "-c", PYTHON, port, seconds = 60 }
    assert.equal(0, status, errors)
    assert.equal("['nobody@example.net']\n250 250 252 221\n", output)
    local one, two = place.messages[1], place.messages[2]
    assert.equal("Subject: hi\r\n\r\n.\r\n..\r\n" .. ("x"):rep(900) .. "\r\n" .. ("y\r\n"):rep(200000),
      one.text:match "\r\n(Subject.*)$")
    assert.equal("d\u{F6}@example.net", two.recipients[1].address)
    assert.equal("UTF8SMTP", two.protocol)
    assert.is_true(two.smtputf8)
  end)

  it("takes commands that come in one piece", function()
    local place <close> = office.open()
    assert.equal("354 2.0.0 2.1.0 5.1.1 5.5.1 2.0.0 2.0.0",
      codes_of(place, "DATA\r\n\r\nx\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@x>\r\nDATA\r\nRSET\r\n", QUIT))
    assert.matches("\r\n\r\nx\r\n$", place.messages[1].text)
  end)

  it("tells what policies refuse, and no more of it than they want", function()
    local place <close> = office.open()
    local answer = place:tell(BEGIN, "RCPT TO:<silent@x>\r\nRCPT TO:<full@x>\r\n", QUIT)
    assert.matches("\r\n550 5%.7%.1 refused\r\n452 4%.3%.1 [^\r]+\r\n221", answer)
    assert.not_matches("disk", answer)
    assert.equal("2.1.0 2.1.5 354 4.3.1 2.0.0", codes_of(place, "RSET\r\n" .. "MAIL FROM:<>\r\n"
      .. "RCPT TO:<unwritable@x>\r\nDATA\r\nx\r\n.\r\n", QUIT):match "2.1.0.*")
    assert.equal("2.1.0 2.1.5 354 4.3.0 2.0.0", codes_of(place, "RSET\r\n" .. "MAIL FROM:<>\r\n"
      .. "RCPT TO:<uncommitted@x>\r\nDATA\r\nx\r\n.\r\n", QUIT):match "2.1.0.*")
    assert.matches("250 2%.0%.0 kept as 1\r\n", place:tell("HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<named@x>\r\n"
      .. "DATA\r\nx\r\n.\r\n"))
    assert.same({ 1, 1 }, { #place.messages, place.aborted })
  end)

  it("lets a policy refuse at every step", function()
    local function refuse() return nil, "not you", "550 5.7.1" end
    local answers = {
      on_connect = "^554 5%.7%.1 not you\r\n$", on_hello = "\r\n550 5%.7%.1 not you\r\n503 5%.5%.1",
      on_sender = "\r\n550 5%.7%.1 not you\r\n503 5%.5%.1", on_message = "\r\n550 5%.7%.1 not you\r\n$",
    }
    for callback, pattern in pairs(answers) do
      local place <close> = office.open(nil, { [callback] = refuse })
      local answer = place:tell(BEGIN, callback == "on_message" and "DATA\r\n" or "")
      assert.matches(pattern, answer)
      assert.equal(0, #place.messages)
    end
  end)

  it("knows who asks, and keeps what the policy knows", function()
    local seen
    local place <close> = office.open(nil, {
      on_connect = function(session)
        session.data.count = 1
        return true
      end,
      on_sender = function(session, mailbox, envelope)
        session.data.count = session.data.count + 1
        seen = { session.client, session.hello, session.data.count, mailbox.domain, envelope.sender }
        return true
      end,
    })
    place:tell(BEGIN)
    assert.same({ "127.0.0.1", "a", 2, "example.org", "ann@example.org" }, seen)
  end)

  it("keeps its limits", function()
    local place <close> = office.open {
      size_max = 1000, recipients_max = 2, messages_max = 1, header_max = 300, hops_max = 2,
      text_line_max = 200,
    }
    local cases = {
      { "354 5.3.4 2.0.0", "DATA\r\n\r\n", ("x\r\n"):rep(334), ".\r\n" },
      { "354 5.3.4 2.0.0", "DATA\r\n", ("a: b\r\n"):rep(60), "\r\n.\r\n" },
      { "354 5.4.6 2.0.0", "DATA\r\n", ("Received: x\r\n"):rep(3), "\r\n.\r\n" },
      { "354 2.0.0 2.0.0", "DATA\r\n\r\n", ("Received: x\r\n"):rep(3), ".\r\n" },
      { "354 5.6.0 2.0.0", "DATA\r\n\r\n", ("x"):rep(201), "\r\n.\r\n" },
      { "2.1.5 4.5.3 2.0.0", "RCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\n" },
      { "354 2.0.0 4.7.0", "DATA\r\nx\r\n.\r\nMAIL FROM:<>\r\n" },
      { "5.5.2", ("x"):rep(3000), "\r\n" },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[1], codes_of(place, table.concat(case, "", 2), QUIT))
    end
    local answer = place:tell("EHLO a\r\nMAIL FROM:<> SIZE=1001\r\n", QUIT)
    assert.equal("220 250 5.3.4 2.0.0", office.codes(answer))
    assert.equal(place.aborted, 4)
  end)

  it("ends with clients that make too many mistakes", function()
    local place <close> = office.open { errors_max = 3 }
    assert.equal("220 5.5.1 5.5.1 5.5.1 4.7.0", office.codes(place:tell(("WHAT\r\n"):rep(9))))
    local busy <close> = office.open { junk_max = 4 }
    assert.equal("220 2.0.0 2.0.0 2.5.2 2.0.0 4.7.0",
      office.codes(busy:tell("NOOP\r\nRSET\r\nVRFY a\r\nHELP\r\nNOOP\r\nQUIT\r\n")))
    assert.equal("354 2.0.0 2.0.0 2.0.0 2.0.0 2.0.0",
      codes_of(busy, "DATA\r\n.\r\nNOOP\r\nNOOP\r\nNOOP\r\n", QUIT))
  end)

  it("ends with clients that are silent, speak too early, or another protocol", function()
    local place <close> = office.open { command_timeout = 0.05, data_timeout = 0.05 }
    local conn <close> = place:connect()
    assert.matches("^220 [^\n]+\n421 4%.4%.2 [^\n]+\n$", assert(conn:read_all()))
    local writer <close> = place:connect()
    writer:write(BEGIN, "DATA\r\nx")
    assert.matches("\r\n354 [^\n]+\n421 4%.4%.2 [^\n]+\n$", assert(writer:read_all()))
    assert.equal(1, place.aborted)
    assert.equal("220 5.5.1", office.codes(place:tell("POST / HTTP/1.1\r\nHost: a\r\n\r\n", BEGIN)))
    local careful <close> = office.open { banner_delay = 20 }
    assert.equal("5.5.1", office.codes(careful:tell(BEGIN)))
  end)

  it("forgets a message whose client leaves", function()
    local place <close> = office.open()
    local conn = place:connect()
    conn:write(BEGIN, "DATA\r\nSubject: x\r\n\r\ny\r\n.\r")
    repeat
      local line = assert(conn:read_line())
    until line:find "^354"
    conn:abort()
    wait_closed(place, 1)
    assert.same({ 1, 0 }, { place.aborted, #place.messages })
  end)

  it("is told apart from mistakes of whoever writes it", function()
    local policy = { on_message = print }
    local function refuses(pattern, ...)
      local ok, message = pcall(smtp.new, ...)
      assert.is_false(ok)
      assert.matches(pattern, message)
    end
    refuses("a policy has a function 'on_message'", {}, { hostname = "a" })
    refuses("unknown option 'on_mail'", { on_mail = print }, { hostname = "a" })
    refuses("option 'hostname'", policy, {})
    refuses("option 'hostname'", policy, { hostname = "a\r\nb" })
    refuses("unknown option 'host'", policy, { host = "a" })
    refuses("option 'starttls'", policy, { hostname = "a", starttls = "yes" })
    local ok, message = pcall(function()
      smtp.serve("tcp://127.0.0.1:0", {}, {})
    end)
    assert.is_false(ok)
    assert.matches("server_spec.lua:%d+: bad argument #1 to 'serve'", message)
  end)
end)
