-- Programs that fetch mail, from our server of POP3 over TLS.
local authority = require "spec.support.authority"
local folder = require "spec.support.folder"
local process = require "spec.support.process"
local server = require "spec.pop3.server"

local MESSAGES <const> = 30

describe("fetching mail over POP3", function()
  local place, box, listener, port, ca

  before_each(function()
    place = folder.new()
    box = server.box(place)
    for i = 1, MESSAGES do
      assert(box:deliver(("From: sue@example.org\r\nSubject: %d\r\n\r\n.\r\n..\r\n%s\r\n")
        :format(i, ("text %d "):format(i):rep(20 * i))))
    end
    ca = authority.new(place)
    local pair = ca:issue { "localhost", "127.0.0.1" }
    local address
    listener, address = server.start(place, { clear_passwords = false, starttls = true },
      { tls = { certificate = pair.certificate, key = pair.key } })
    port = address:match "%d+$"
  end)

  after_each(function()
    listener:close()
    box:close()
    place:remove()
  end)

  -- What a program has stored holds each message once, with its dots.
  local function check(text)
    for i = 1, MESSAGES do
      local _, count = text:gsub("\nSubject: " .. i .. "\r?\n", "")
      assert.are.same({ i, 1 }, { i, count })
      assert.is_not_nil(text:find(("text %d "):format(i):rep(20 * i), 1, true))
    end
    local _, dots = text:gsub("\r?\n%.\r?\n%.%.\r?\n", "")
    assert.are.equal(MESSAGES, dots)
  end

  local function run(command)
    command.seconds = 60
    local status, output, errors = process.run(command)
    assert.are.equal(0, status, output .. errors)
  end

  it("mpop keeps messages, and takes only what is new", function()
    local config = place:write("mpoprc", ([[
account default
host 127.0.0.1
port %s
user ann
password "secret word"
tls on
tls_starttls on
tls_trust_file %s
tls_host_override localhost
keep on
uidls_file %s/uidls
delivery mbox %s/mbox
]]):format(port, ca.file, place.path, place.path))
    run { "chmod", "600", config }
    run { "mpop", "--file=" .. config }
    check(place:read "mbox")
    run { "mpop", "--file=" .. config }
    check(place:read "mbox")
    assert.are.equal(MESSAGES, #assert(box:list()))
  end)

  it("fetchmail takes them away", function()
    local config = place:write("fetchmailrc", ([[
poll localhost proto pop3 port %s user "ann" password "secret word"
  ssl sslproto "tls1.2+" sslcertck sslcertfile "%s" sslcommonname "localhost"
  mda "sh -c 'cat >> %s/mbox; echo >> %s/mbox'" nokeep
]]):format(port, ca.file, place.path, place.path):gsub("  ssl sslproto", "  sslproto"))
    run { "chmod", "600", config }
    run { "fetchmail", "--fetchmailrc", config, "--pidfile", place.path .. "/pid", "--silent", "--nosyslog",
      env = { HOME = place.path, FETCHMAILHOME = place.path } }
    check(place:read "mbox")
    assert.are.same({}, assert(box:list()))
  end)
end)
