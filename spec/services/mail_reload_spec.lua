-- scripts/mail.lua as a service of the daemon, which gets new settings while clients are there.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local lfs = require "lfs"
local net = require "moonwire.net"
local post = require "spec.services.post"
local test = require "moonwire.test"

test.deadline(60)

local CONFIG <const> = [[
service "mail" {
  listen = {
    { address = "unix://%s/submission", door = "submission" }, { address = "unix://%s/pop3", door = "pop3" },
    "tcp://127.0.0.1:0",
  },
  script = "%s", tls = "auto",
  settings = {
    domain = { "example.org", "example.net" }, maildir = "%s/boxes", starttls = true,
    users = { bob = "SECRET" %s },
  },
}
]]

local function open(address)
  return assert(net.connect(address, { read_timeout = 20 }))
end

-- Says a line, and skips to the last one of the reply.
local function say(conn, line, pattern)
  if line then
    conn:write(line, "\r\n")
  end
  local reply
  repeat
    reply = assert(conn:read_line())
  until not reply:find "^%d%d%d%-"
  assert.matches(pattern, reply)
end

local function start_tls(conn, command, pattern)
  say(conn, command, pattern)
  assert(conn:start_tls { verify = "none", name = "localhost" })
end

describe("scripts/mail.lua in the daemon", function()
  it("moves to new settings in the middle of all dialogues", function()
    local script = lfs.currentdir() .. "/scripts/mail.lua"
    local d <close> = daemon.start { config = "", workers = 2 }
    assert(lfs.mkdir(d.folder.path .. "/boxes"))
    assert(os.execute("chmod a+rwX " .. d.folder.path .. " " .. d.folder.path .. "/boxes"))
    local function configure(users)
      d:configure(CONFIG:format(d.folder.path, d.folder.path, script, d.folder.path, users))
      assert.is_true(d:reload().ok)
    end
    configure ""
    local stranger <close> = open(d:address "mail")
    say(stranger, nil, "^220 example.org")
    say(stranger, "EHLO client.example", "^250 ")
    say(stranger, "MAIL FROM:<sue@elsewhere.example>", "^250 ")
    say(stranger, "RCPT TO:<bob@example.net>", "^250 ")
    say(stranger, "RCPT TO:<ann@example.net>", "^550 5.1.1 ")
    local bob <close> = open("unix://" .. d.folder.path .. "/submission")
    say(bob, nil, "^220 ")
    say(bob, "EHLO client.example", "^250 ")
    start_tls(bob, "STARTTLS", "^220 ")
    say(bob, "EHLO client.example", "^250 AUTH ")
    say(bob, "AUTH PLAIN AGJvYgBTRUNSRVQ=", "^235 ")
    local reader <close> = open("unix://" .. d.folder.path .. "/pop3")
    say(reader, nil, "^%+OK ")
    start_tls(reader, "STLS", "^%+OK ")
    say(reader, "USER bob@example.net", "^%+OK")
    configure ', ann = "NEW"'
    say(stranger, "RCPT TO:<ann@example.net>", "^250 ")
    say(stranger, "DATA", "^354 ")
    say(stranger, "Subject: x\r\n\r\ntext\r\n.", "^250 ")
    say(bob, "MAIL FROM:<bob@example.org>", "^250 ")
    say(bob, "RCPT TO:<ann@example.org>", "^250 ")
    say(bob, "DATA", "^354 ")
    say(bob, "Subject: y\r\n\r\ntext\r\n.", "^250 ")
    say(bob, "QUIT", "^221 ")
    condition.wait_until(function()
      return #post.texts(d.folder, "boxes/ann") == 2 and #post.texts(d.folder, "boxes/bob") == 1
    end, 20)
    say(reader, "PASS SECRET", "^%+OK 1 messages")
    say(reader, "QUIT", "^%+OK")
  end)
end)
