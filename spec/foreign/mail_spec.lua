-- Programs with which people send and read mail, at scripts/mail.lua.
local authority = require "spec.support.authority"
local folder = require "spec.support.folder"
local post = require "spec.services.post"
local process = require "spec.support.process"
local test = require "moonwire.test"

local SECONDS <const> = 60
local MESSAGES <const> = 10

test.deadline(300)

local MSMTP <const> = [[
defaults
timeout 30
tls on
tls_starttls %s
tls_trust_file %s
logfile -
account default
host localhost
port %s
from bob@example.org
auth %s
user bob
password SECRET
]]

local MUTT <const> = [[
set from = bob@example.org
set smtp_url = smtp://bob@localhost:%s/
set smtp_pass = SECRET
set ssl_starttls = yes
set ssl_force_tls = yes
set certificate_file = %s
set copy = no
set send_charset = utf-8
]]

local MPOP <const> = [[
account default
host localhost
port %s
user bob
password SECRET
auth %s
tls on
tls_starttls %s
tls_trust_file %s
uidls_file %s/uidls
delivery mbox %s/mbox
]]

local FETCHMAIL <const> = [[
poll localhost proto pop3 port %s user "bob@example.org" password "SECRET"
  %s sslproto "tls1.2+" sslcertck sslcertfile "%s" mda "sh -c 'cat >> %s/mbox; echo >> %s/mbox'" nokeep
]]

local SMTPLIB <const> = [[
import smtplib, ssl, sys
from email.message import EmailMessage
port, ca = int(sys.argv[1]), sys.argv[2]
with smtplib.SMTP("localhost", port, timeout=30) as server:
    server.starttls(context=ssl.create_default_context(cafile=ca))
    server.login("bob", "SECRET")
    message = EmailMessage()
    message["From"], message["To"] = "bob@example.org", "j\u00f6rg@example.org"
    message["Subject"] = "gr\u00fc\u00dfe"
    message.set_content("\u00fcber alles\n.\n", cte="8bit")
    server.send_message(message, rcpt_options=["NOTIFY=NEVER"])
    server.mail("bob@example.org")
    server.rcpt("ann@example.org")
    server.send(b"BDAT 22\r\nSubject: chunks\r\n\r\none")
    print(server.getreply())
    server.send(b"BDAT 5 LAST\r\ntwo\r\n")
    print(server.getreply())
]]

local function port_of(address)
  return address:match "%d+$"
end

local function run(command)
  command.seconds = SECONDS
  local status, output, errors = process.run(command)
  assert.equal(0, status, output .. errors)
  return output
end

describe("scripts/mail.lua meets", function()
  local here, ca, place

  before_each(function()
    here = folder.new()
    ca = authority.new(here)
    local pair = ca:issue { "localhost", "127.0.0.1" }
    place = post.open {
      "users.bob=SECRET", "users.ann=SECRET", "users.j\u{F6}rg=SECRET", "certificate=" .. pair.certificate,
      "key=" .. pair.key,
    }
  end)

  after_each(function()
    place:stop()
    here:remove()
  end)

  local function swaks(door, ...)
    local status, output, errors = process.run {
      "swaks", "--server", "127.0.0.1", "--port", port_of(place.addresses[door]), "--helo", "client.example",
      "--timeout", "30", "--tls-ca-path", ca.file, "--tls-verify", seconds = SECONDS, ...,
    }
    return status, output .. errors
  end

  local BOB <const> = { "--auth", "PLAIN", "--auth-user", "bob", "--auth-password", "SECRET", "--from",
    "bob@example.org" }

  it("swaks: STARTTLS, TLS, passwords, pipelining, and no relay", function()
    local status, output = swaks("server", "--from", "sue@example.net", "--to", "ann@example.org", "--tls",
      "--pipeline", "--body", ".\r\n..\r\nend")
    assert.equal(0, status, output)
    for _, line in ipairs { { "submission", "--tls" }, { "submissions", "--tls-on-connect" } } do
      status, output = swaks(line[1], line[2], "--to", "ann@example.org", table.unpack(BOB))
      assert.equal(0, status, output)
    end
    assert.matches("\n\n%.\n%.%.\nend\n", table.concat(place:await("ann", 3)))
    status, output = swaks("server", "--tls", "--from", "sue@example.net", "--to", "eve@example.com")
    assert.equal(24, status, output)
    assert.matches("550 5.7.1 ", output)
    status, output = swaks("submission", "--tls", "--to", "ann@example.org", "--from", "bob@example.org")
    assert.equal(23, status, output)
    status = swaks("submission", "--tls", "--to", "ann@example.org", "--auth", "PLAIN", "--auth-user", "bob",
      "--auth-password", "WRONG", "--from", "bob@example.org")
    assert.equal(28, status)
  end)

  it("msmtp: by each mechanism, with STARTTLS and TLS", function()
    for _, mechanism in ipairs { "plain", "scram-sha-256" } do
      for door, starttls in pairs { submission = "on", submissions = "off" } do
        local config = here:write("msmtprc", MSMTP:format(starttls, ca.file, port_of(place.addresses[door]),
          mechanism))
        run { "chmod", "600", config }
        run { "msmtp", "-C", config, "ann@example.org", input = "Subject: x\n\n.\n.dot\nend\n" }
      end
    end
    assert.matches("\n\n%.\n%.dot\nend\n$", place:await("ann", 4)[4])
  end)

  it("mutt: STARTTLS, and an attachment", function()
    local config = here:write("muttrc", MUTT:format(port_of(place.addresses.submission), ca.file))
    local attached = here:write("bytes", ("\0\xFF.\n"):rep(1000))
    run {
      "mutt", "-n", "-F", config, "-s", "by mutt", "-a", attached, "--", "ann@example.org",
      input = ".\n..\n", env = { HOME = here.path },
    }
    local text = place:await("ann", 1)[1]
    assert.matches("\nSubject: by mutt\n", text)
    assert.matches("\n\n%.\n%.%.\n", text)
    assert.matches("\nContent%-Transfer%-Encoding: base64\n", text)
  end)

  it("Python's smtplib: SMTPUTF8, 8BITMIME, CHUNKING", function()
    local script = here:write("send.py", SMTPLIB)
    local output = run { "python3", script, port_of(place.addresses.submission), ca.file }
    local text = place:await("j\u{F6}rg", 1)[1]
    assert.matches("\u{FC}ber alles\n%.\n$", text)
    assert.matches("with UTF8SMTPSA ", text)
    assert.matches("%(250, .*%(250, ", output)
    assert.matches("Subject: chunks\n\nonetwo\n$", place:await("ann", 1)[1])
  end)

  it("curl: sends and reads", function()
    local text = here:write("text", "Subject: by curl\r\n\r\n.\r\n")
    run {
      "curl", "--silent", "--show-error", "--cacert", ca.file, "--user", "bob:SECRET", "--mail-from",
      "bob@example.org", "--mail-rcpt", "bob@example.org", "--upload-file", text,
      "smtps://localhost:" .. port_of(place.addresses.submissions),
    }
    place:await("bob", 1)
    local output = run { "curl", "--silent", "--show-error", "--cacert", ca.file, "--user", "bob:SECRET",
      "pop3s://localhost:" .. port_of(place.addresses.pop3s) .. "/1" }
    assert.matches("Subject: by curl\r\n\r\n%.\r\n$", output)
  end)

  -- Ten messages for bob, which a program fetches into an mbox.
  local function fetch(program, config_of, command_of)
    for door, starttls in pairs { pop3 = "on", pop3s = "off" } do
      local mine <close> = folder.new()
      for i = 1, MESSAGES do
        local text = ("Subject: %s%d\r\n\r\n.\r\n"):format(program, i)
        assert.equal("250 2.0.0", place:send("sue@example.net", { "bob@example.org" }, text))
      end
      place:await("bob", MESSAGES)
      local config = mine:write("config", config_of(port_of(place.addresses[door]), starttls, mine.path))
      run { "chmod", "600", config }
      run(command_of(config, mine.path))
      for i = 1, MESSAGES do
        local _, count = (mine:read "mbox" or ""):gsub("\nSubject: " .. program .. i .. "\r?\n", "")
        assert.same({ door, i, 1 }, { door, i, count })
      end
      place:await("bob", 0)
    end
  end

  it("mpop: with STLS and TLS, by each mechanism", function()
    for _, mechanism in ipairs { "user", "plain", "scram-sha-256" } do
      fetch("mpop", function(port, starttls, path)
        return MPOP:format(port, mechanism, starttls, ca.file, path, path)
      end, function(config)
        return { "mpop", "--file=" .. config, "--keep=off" }
      end)
    end
  end)

  it("fetchmail: with STLS and TLS", function()
    fetch("fetchmail", function(port, starttls, path)
      return FETCHMAIL:format(port, starttls == "off" and "ssl" or "", ca.file, path, path)
    end, function(config, path)
      return { "fetchmail", "--fetchmailrc", config, "--pidfile", path .. "/pid", "--silent", "--nosyslog",
        env = { HOME = path, FETCHMAILHOME = path } }
    end)
  end)
end)
