-- scripts/mail.lua, started as a user would.
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local office = require "spec.smtp.office"
local post = require "spec.services.post"
local process = require "spec.support.process"
local scene = require "spec.support.scene"
local test = require "moonwire.test"

test.deadline(100)

local TEXT <const> = "Subject: x\r\n\r\ntext\r\n"
local BOB <const> = { user = "bob", password = "SECRET" }

-- The script's last words with settings that it does not take.
local function fault_of(...)
  local place <close> = folder.new()
  local options = { "--set", "maildir=" .. place.path }
  for _, setting in ipairs { ... } do
    table.move({ "--set", setting }, 1, 2, #options + 1, options)
  end
  local status, errors = moonwire.run {
    script = "scripts/mail.lua", listen = { "tcp://127.0.0.1:0" }, options = options, seconds = 20,
  }
  assert.equal(1, status, errors)
  return errors
end

describe("scripts/mail.lua", function()
  it("takes mail for its users, lets them send and read, and sends nothing for strangers", function()
    local place <close> = post.open { "users.bob=SECRET", "users.ann=SECRET", "certificate=auto" }
    scene.play("spec/scenes/mail_sending.scene", place.addresses)
    local first = place:await("bob", 1)[1]
    assert.matches("^Return%-Path: <sue@example.net>\nDelivered%-To: bob@example.org\nReceived: ", first)
    assert.matches("\n%.from sue\n$", first)
    assert.matches("Delivered%-To: postmaster@example.org\n", place:await("postmaster", 1)[1])
    place:await("ann", 1)
    scene.play("spec/scenes/mail_reading.scene", place.addresses)
    place:await("ann", 0)
    place.server:wait_for_log " taken .*client=127.0.0.1 door=smtp .*recipients=2 sender=sue@.* tls=false"
    place.server:wait_for_log " taken .*door=submission .*tls=true user=bob"
    place.server:wait_for_log " delivered .*recipient=ann@example.org"
  end)

  it("needs no users: all goes to the postmaster", function()
    local place <close> = post.open {}
    assert.equal("250 2.0.0, 250 2.0.0", place:send("", { "any@example.org", "one@example.org" }, TEXT))
    place:await("postmaster", 2)
    assert.equal("550 5.7.1", place:send("", { "any@example.net" }, TEXT))
  end)

  it("knows aliases, and who may send as whom", function()
    local place <close> = post.open {
      "users.bob=SECRET", "users.ann=SECRET", "aliases.staff.1=bob", "aliases.staff.2=ann",
      "aliases.postmaster=staff@example.org", "catch_all=ann", "certificate=auto",
    }
    assert.equal("250 2.0.0, 250 2.0.0", place:send("", { "STAFF@example.org", "x@example.org" }, TEXT))
    place:await("bob", 1)
    place:await("ann", 2)
    local where = place.addresses.submissions
    assert.equal("250 2.0.0", place:send("staff@example.org", { "postmaster@example.org" }, TEXT, where, BOB))
    assert.equal("553 5.7.1", place:send("x@example.org", { "bob@example.org" }, TEXT, where, BOB))
    assert.equal("553 5.7.1", place:send("bob@example.net", { "bob@example.org" }, TEXT, where, BOB))
    place:await("bob", 2)
    place:await("ann", 3)
    local by_address = { user = "Bob@Example.org", password = "SECRET" }
    assert.equal("250 2.0.0", place:send("bob@example.org", { "bob@example.org" }, TEXT, where, by_address))
    place:await("bob", 3)
  end)

  it("offers proofs that are bound to TLS where it is told to", function()
    local place <close> = post.open { "users.bob=SECRET", "certificate=auto", "channel_binding=true" }
    local conn <close> = assert(net.connect(place.addresses.submissions, {
      read_timeout = 30, tls = { verify = "none" },
    }))
    conn:write "EHLO client.example\r\n"
    local line
    repeat
      line = assert(conn:read_line())
    until line:find "^250 "
    assert.equal("250 AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN", line)
  end)

  it("hands on what users and trusted networks send, and returns what others refuse", function()
    local there <close> = office.open()
    local settings = { "users.bob=SECRET", "smarthost=" .. there.address, "certificate=auto",
      "aliases.away=carl@example.net" }
    local place <close> = post.open(settings)
    local where, recipients = place.addresses.submission, { "carl@example.net", "nobody@example.net" }
    assert.equal("250 2.0.0, 250 2.0.0", place:send("bob@example.org", recipients, TEXT, where, BOB))
    local report = place:await("bob", 1)[1]
    assert.matches("\nFinal%-Recipient: rfc822;nobody@example.net\nAction: failed\nStatus: 5.1.1\n", report)
    assert.not_matches("carl", report)
    assert.equal("carl@example.net", there.messages[1].recipients[1].address)
    assert.equal("550 5.7.1, 550 5.7.1", place:send("", recipients, TEXT))
    assert.equal("250 2.0.0", place:send("", { "away@example.org" }, TEXT))
    condition.wait_until(function() return #there.messages == 2 end, 20)
    assert.matches("\nDelivered%-To: away@example.org\r\nReceived: ", there.messages[2].text)
    settings[#settings + 1] = "networks.1=127.0.0.0/8"
    local trusting <close> = post.open(settings)
    assert.equal("250 2.0.0", trusting:send("x@example.net", { "carl@example.net" }, TEXT))
  end)

  it("limits what it takes", function()
    local place <close> = post.open {
      "users.bob=SECRET", "users.ann=SECRET", "quota=1000", "messages_per_hour=3", "size_max=2000",
      "recipients_max=1",
    }
    assert.equal("552 5.3.4", place:send("", { "bob@example.org" }, ("x"):rep(2000) .. "\r\n"))
    local hops = ("Received: x\r\n"):rep(51)
    assert.equal("554 5.4.6", place:send("", { "bob@example.org" }, hops .. TEXT))
    assert.equal("250 2.0.0, 452 4.5.3",
      place:send("", { "bob@example.org", "ann@example.org" }, ("x"):rep(990) .. "\r\n"))
    place:await("bob", 1)
    assert.equal("450 4.7.1", place:send("", { "ann@example.org" }, TEXT))
    local full <close> = post.open({ "users.bob=SECRET", "quota=1000" }, place.place)
    assert.equal("452 4.2.2", full:send("", { "bob@example.org" }, TEXT))
  end)

  it("has others wait while the disk is full", function()
    local disk <close> = folder.new()
    if process.run { "mount", "-t", "tmpfs", "-o", "size=256k", "none", disk.path } ~= 0 then
      return pending "needs the right to mount"
    end
    local place <close> = post.open { "queue=" .. disk.path .. "/queue", "users.bob=SECRET" }
    local large = place:send("", { "bob@example.org" }, TEXT .. ("x\r\n"):rep(130000))
    local small = place:send("", { "bob@example.org" }, TEXT)
    place:await("bob", 1)
    place.server:stop()
    assert.equal(0, (process.run { "umount", disk.path }))
    assert.same({ "452 4.3.1", "250 2.0.0" }, { large, small })
  end)

  it("has others wait when its queue is not to be had", function()
    local place <close> = post.open { "users.bob=SECRET" }
    assert(os.rename(place.place.path .. "/.queue", place.place.path .. "/.away"))
    assert.equal(0, (process.run { "sh", "-c", "rm -r " .. place.place.path .. "/.away/tmp" }))
    assert.equal("451 4.3.0", place:send("", { "bob@example.org" }, TEXT))
  end)

  it("does not start with settings that are none", function()
    assert.matches("unknown option 'domains'", fault_of "domains=a")
    assert.matches("domain = a name and maildir = a folder expected", fault_of "users.bob=x")
    assert.matches("users.bob: a password expected", fault_of("domain=example.org", "users.bob=123"))
    assert.matches("'_x' is no name of a mailbox", fault_of("domain=example.org", "users._x=y"))
    assert.matches("alias 'a': there is no mailbox 'eve'", fault_of("domain=example.org", "aliases.a=eve"))
    assert.matches("leads back to itself", fault_of("domain=example.org", "aliases.a=b", "aliases.b=a"))
    assert.matches("hostname = a name", fault_of("domain=b\u{FC}cher.example"))
    assert.matches("servers%[mail.example.net%]: an address such as",
      fault_of("domain=example.org", "smarthost=mail.example.net"))
    assert.matches("of a smarthost", fault_of("domain=example.org", "smarthost_options.user=bob"))
    assert.matches("'expire': seconds, not negative", fault_of("domain=example.org", "expire=-1"))
    assert.matches("10.0.0.0/40: behind the slash", fault_of("domain=example.org", "networks.1=10.0.0.0/40"))
  end)
end)
