-- A client of mail, against our server and against servers that do what they should not.
local authority = require "spec.support.authority"
local folder = require "spec.support.folder"
local mailer = require "moonwire.smtp.client"
local net = require "moonwire.net"
local office = require "spec.smtp.office"

local TEXT <const> = "Subject: x\r\n\r\n.\r\n..\r\nbody\r\n"
local SECONDS <const> = 20

local function options(more)
  local all = { hostname = "client.example.org", command_timeout = SECONDS, end_timeout = SECONDS }
  for name, value in pairs(more or {}) do
    all[name] = value
  end
  return all
end

local function envelope(...)
  return { sender = "ann@example.org", recipients = { ... } }
end

-- A server that says these things one after the other, each after a line of the client.
local function dummy(...)
  local lines = { ... }
  local listener = assert(net.serve("tcp://127.0.0.1:0", function(conn)
    for _, line in ipairs(lines) do
      conn:write(line)
      if not conn:read_line() then
        return
      end
    end
  end, { read_timeout = SECONDS }))
  return "tcp://" .. listener:local_address(), listener
end

local function body_of(message)
  return message.text:match "\r\n(Subject.*)$"
end

describe("a client of mail", function()
  it("tells what became of each recipient", function()
    local place <close> = office.open()
    local sent = envelope("bob@example.net", "nobody@x", "full@x", "Eve@X")
    local results = assert(mailer.send(place.address, sent, TEXT, options()))
    assert.same({
      { address = "bob@example.net", is_delivered = true, is_permanent = false, code = 250,
        enhanced = "2.0.0", text = "accepted as " .. place.messages[1].id },
      { address = "nobody@x", is_delivered = false, is_permanent = true, code = 550, enhanced = "5.1.1",
        text = "no such mailbox here" },
      { address = "full@x", is_delivered = false, is_permanent = false, code = 452, enhanced = "4.3.1",
        text = "no room: try again later" },
      { address = "Eve@x", is_delivered = true, is_permanent = false, code = 250, enhanced = "2.0.0",
        text = "accepted as " .. place.messages[1].id },
    }, results)
    assert.equal(TEXT, body_of(place.messages[1]))
    assert.equal("client.example.org", place.messages[1].hello)
  end)

  it("sends several messages on one connection, from pieces of any size", function()
    local place <close> = office.open()
    local connection <close> = assert(mailer.connect(place.address, options()))
    for size = 1, #TEXT + 1 do
      local at = 1
      local results = assert(connection:send(envelope "bob@x", function()
        local piece = TEXT:sub(at, at + size - 1)
        at = at + size
        return piece ~= "" and piece or nil
      end))
      assert.is_true(results[1].is_delivered)
      assert.equal(TEXT, body_of(place.messages[size]))
    end
    assert.is_false(assert(connection:send(envelope "nobody@x", TEXT))[1].is_delivered)
    assert.is_true(assert(connection:send(envelope "bob@x", "Subject: no end"))[1].is_delivered)
    assert.equal("Subject: no end\r\n", body_of(place.messages[#TEXT + 2]))
    assert.is_nil(connection:tls())
  end)

  it("asks for reports, and tells what it sends", function()
    local place <close> = office.open()
    local sent = {
      sender = "j\u{E4}n@example.org", body = "8bitmime", size = #TEXT, ret = "hdrs", envid = "a+b =",
      recipients = { { address = "d\u{F6}@x", notify = { "success", "delay" }, orcpt = "rfc822;a b@x" } },
    }
    assert(mailer.send(place.address, sent, TEXT, options()))
    local got = place.messages[1]
    for _, name in ipairs { "sender", "body", "size", "ret", "envid" } do
      assert.equal(sent[name], got[name])
    end
    assert.is_true(got.smtputf8)
    assert.same({ "d\u{F6}@x", { "success", "delay" }, "rfc822;a b@x" },
      { got.recipients[1].address, got.recipients[1].notify, got.recipients[1].orcpt })
    local large = { sender = "", recipients = { "bob@x" }, size = 1 << 30 }
    local results = assert(mailer.send(place.address, large, TEXT, options()))
    assert.same({ 552, "5.3.4", true }, { results[1].code, results[1].enhanced, results[1].is_permanent })
  end)

  it("sends to many at a time", function()
    local place <close> = office.open { recipients_max = 1000 }
    local sent = envelope()
    for i = 1, 350 do
      sent.recipients[i] = ("a%d@x"):format(i)
    end
    local results = assert(mailer.send(place.address, sent, TEXT, options()))
    assert.equal(350, #results)
    assert.equal(350, #place.messages[1].recipients)
  end)

  it("breaks off a message that is none, or that is not there", function()
    local place <close> = office.open()
    for _, text in ipairs { "a\nb\r\n", "a\rb\r\n", "a\r", "\n.\r\n", "x\r\n.\n\r\n" } do
      local results, _, code = mailer.send(place.address, envelope "bob@x", text, options())
      assert.same({ nil, "invalid" }, { results, code })
    end
    local results, err, code = mailer.send(place.address, envelope "bob@x", function()
      return nil, "read: gone", "not_found"
    end, options())
    assert.same({ nil, "read: gone", "not_found" }, { results, err, code })
    assert.equal(0, #place.messages)
  end)

  it("makes no commands of what it is given", function()
    local place <close> = office.open()
    local connection <close> = assert(mailer.connect(place.address, options()))
    local bad = {
      envelope "bob@x\r\nRSET", envelope "bob", envelope "", envelope(),
      { sender = "a\n@b", recipients = { "b@x" } },
      { sender = "a@b", recipients = { { address = "b@x", notify = { "never\r\nRSET" } } } },
      { sender = "a@b", recipients = { { address = "b@x", orcpt = "rfc822;a\r\nb" } } },
      { sender = "a@b", recipients = { "b@x" }, ret = "full\r\n" },
      { sender = "a@b", recipients = { "b@x" }, envid = "a\r\nb" },
      { sender = "a@b", recipients = { "b@x" }, size = "1\r\n" },
    }
    for i, one in ipairs(bad) do
      local results, _, code = connection:send(one, TEXT)
      assert.same({ nil, "invalid" }, { results, code }, i)
    end
    assert.is_true(assert(connection:send(envelope "bob@x", TEXT))[1].is_delivered)
  end)

  it("tells what a server says that does not want it", function()
    local place = dummy "554 5.7.1 go away\r\n"
    local connection, err, code, reply = mailer.connect(place, options())
    assert.same({ nil, "refused", 554 }, { connection, code, reply.code })
    assert.matches("connect: 554 5.7.1 go away", err)
    assert.equal("refused", select(3, mailer.connect("tcp://127.0.0.1:1", options())))
    local old = dummy("220 x\r\n", "500 what\r\n", "250 x\r\n", "250 ok\r\n", "250 ok\r\n", "354\r\n")
    local results
    results, err, code = mailer.send(old, envelope "bob@x", ".\r\n", options())
    assert.same({ nil, "read reply: eof", "eof" }, { results, err, code })
  end)

  it("does not believe servers that are none", function()
    local cases = {
      "HTTP/1.1 400 Bad\r\n", "220\t\r\n", "999 x\r\n", "220-a\r\n250 b\r\n", ("220-x\r\n"):rep(200),
      "22\r\n", ("x"):rep(5000) .. "\r\n",
    }
    for _, text in ipairs(cases) do
      local connection, _, code = mailer.connect(dummy(text), options())
      assert.is_nil(connection)
      assert.is_true(code == "protocol" or code == "too_large", code)
    end
    local silent = dummy()
    assert.is_nil(mailer.connect(silent, options { command_timeout = 0.05 }))
  end)

  it("knows that it is refused by a server that goes at once", function()
    local hello = { "220 x\r\n", "250-x\r\n250 PIPELINING\r\n" }
    local function refused(...)
      local place = dummy(hello[1], hello[2], ...)
      local results, err = mailer.send(place, envelope("bob@x", "eve@x"), TEXT, options())
      assert(results, err)
      return results[1].code, results[2].code, results[1].is_permanent
    end
    assert.same({ 550, 550, true }, { refused "550 5.7.1 no\r\n" })
    assert.same({ 451, 451, false }, { refused "451 4.7.1 later\r\n" })
    assert.same({ 550, 554, true }, { refused("250 ok\r\n", "550 no\r\n", "554 no\r\n") })
  end)

  it("takes no message for sent that it has not sent", function()
    for _, reply in ipairs { "250 ok\r\n", "350 ok\r\n" } do
      local place = dummy("220 x\r\n", "250 x\r\n", "250 ok\r\n", "250 ok\r\n", reply)
      local results, err, code = mailer.send(place, envelope "bob@x", TEXT, options())
      assert.same({ nil, "DATA: the server says " .. reply:sub(1, 3), "protocol" }, { results, err, code })
    end
  end)

  it("sends nothing but ASCII to a server that takes nothing else", function()
    local function old()
      return dummy("220 x\r\n", "250 x\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 ok\r\n",
        "250 ok\r\n", "221 bye\r\n")
    end
    local results, _, code = mailer.send(old(), envelope "bob@x", "x\r\n\r\nf\u{FC}r\r\n", options())
    assert.same({ nil, "unsupported" }, { results, code })
  end)

  it("tells mistakes of whoever calls it", function()
    local function refuses(pattern, ...)
      local ok, message = pcall(mailer.connect, ...)
      assert.is_false(ok)
      assert.matches(pattern, message)
    end
    refuses("option 'hostname'", "tcp://127.0.0.1:1", {})
    refuses("option 'hostname'", "tcp://127.0.0.1:1", { hostname = "a\r\nb" })
    refuses("unknown option 'host'", "tcp://127.0.0.1:1", { host = "a" })
    refuses("option 'starttls'", "tcp://127.0.0.1:1", { hostname = "a", starttls = "yes" })
    refuses("belong together", "tcp://127.0.0.1:1", { hostname = "a", user = "ann" })
  end)

  describe("with TLS", function()
    local here, ca, tls

    setup(function()
      here = folder.new()
      ca = authority.new(here)
      local pair = ca:issue { "localhost", "127.0.0.1" }
      tls = { tls = { certificate = pair.certificate, key = pair.key } }
    end)

    teardown(function()
      here:remove()
    end)

    it("begins it when the server can, and insists on it when it shall", function()
      local place <close> = office.open({ starttls = "offer", users = { ann = "secret" } }, nil, tls)
      local function send(more)
        local results, err, code = mailer.send(place.address, envelope "bob@x", TEXT, options(more))
        return results and results[1].is_delivered, code, err, place.messages[#place.messages]
      end
      assert.equal("ESMTPS", (select(4, assert(send()))).protocol)
      assert.equal("ESMTP", (select(4, assert(send { starttls = false }))).protocol)
      assert.equal("certificate", (select(2, send { starttls = "required" })))
      local trust = { starttls = "required", tls = { authorities = ca.file } }
      assert.equal("ESMTPS", (select(4, assert(send(trust)))).protocol)
      trust.user, trust.password = "ann", "secret"
      for _, mechanism in ipairs { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN" } do
        trust.mechanisms = { mechanism }
        local message = select(4, assert(send(trust)))
        assert.same({ "ESMTPSA", "ann" }, { message.protocol, message.user })
      end
      trust.password = "wrong"
      assert.equal("refused", (select(2, send(trust))))
      trust.mechanisms = { "LOGIN" }
      assert.equal("unsupported", (select(2, send(trust))))
      assert.equal("denied", (select(2, send { starttls = false, user = "ann", password = "secret" })))
    end)

    it("does without, or does not send at all, where there is none", function()
      local place <close> = office.open()
      assert.is_true(assert(mailer.send(place.address, envelope "bob@x", TEXT, options()))[1].is_delivered)
      local insists = options { starttls = "required" }
      local results, _, code = mailer.send(place.address, envelope "bob@x", TEXT, insists)
      assert.same({ nil, "unsupported" }, { results, code })
    end)

    it("takes nothing that was said in clear for what came by TLS", function()
      local place = dummy("220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go on\r\n250-x\r\n250 HELP\r\n")
      local connection, _, code = mailer.connect(place, options())
      assert.same({ nil, "protocol" }, { connection, code })
    end)
  end)
end)
