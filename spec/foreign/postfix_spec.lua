-- Mail that scripts/mail.lua and postfix exchange, in both directions: our server, postfix, our server again.
local authority = require "spec.support.authority"
local condition = require "spec.support.condition"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local mailer = require "moonwire.smtp.client"
local post = require "spec.services.post"
local postfix = require "spec.foreign.postfix"
local process = require "spec.support.process"
local test = require "moonwire.test"

test.deadline(300)

local SECONDS <const> = 60
local MANY <const> = 300

-- What changes easily on its way: dots, bytes above 127, spaces at ends, empty lines, a line as long as may
-- be.
local BODY <const> = ".\r\n..\r\n.x\r\n\r\n\r\nFrom me \t\r\n\u{FC}\xFF\r\n" .. ("y"):rep(998)
  .. "\r\n\r\n"

describe("scripts/mail.lua and postfix", function()
  local here, org, com, there, port

  local function open(domain, user)
    return post.open({
      "domain=" .. domain, "hostname=mx." .. domain, "users." .. user .. "=SECRET", "networks.1=127.0.0.1",
      "smarthost=tcp://127.0.0.1:" .. port, "certificate=auto", "users.j\u{F6}rg=SECRET", "retry_first=1",
    })
  end

  setup(function()
    here = folder.new()
    local pair = authority.new(here):issue { "localhost" }
    port = postfix.free_port()
    org, com = open("example.org", "bob"), open("example.com", "dave")
    there = postfix.start {
      domain = "example.net", users = { "carl" }, port = port, certificate = pair.certificate, key = pair.key,
      routes = { ["example.org"] = org.addresses.server, ["example.com"] = com.addresses.server },
    }
  end)

  teardown(function()
    there:stop()
    org:stop()
    com:stop()
    here:remove()
  end)

  local function send(place, envelope, body)
    local connection <close> = assert(mailer.connect(place.addresses.server, { hostname = "client.example" }))
    local results = assert(connection:send(envelope, "Subject: " .. envelope.subject .. "\r\n\r\n" .. body))
    for _, result in ipairs(results) do
      assert.is_true(result.is_delivered, result.text)
    end
  end

  -- The texts in the mailbox of carl, which postfix writes.
  local function carls()
    local texts, path = {}, there.place.path .. "/boxes/carl/new/"
    for i, entry in ipairs(file.list(path) or {}) do
      texts[i] = assert(file.read(path .. entry.name))
    end
    return texts
  end

  local function find(texts, subject)
    local found = {}
    for _, text in ipairs(texts) do
      found[#found + 1] = text:find("\nSubject: " .. subject .. "\n", 1, true) and text or nil
    end
    return found
  end

  -- The one text with a subject, as soon as it is there.
  local function await(read, subject)
    local found
    condition.wait_until(function()
      found = find(read(), subject)
      return found[1]
    end, SECONDS, function() return subject .. " does not arrive; postfix says\n" .. there:log() end)
    assert.equal(1, #found)
    return found[1]
  end

  local function reader(place, name)
    return function() return post.texts(place.place, name) end
  end

  local LOCAL <const> = BODY:gsub("\r\n", "\n")

  it("exchange messages without changing a byte", function()
    local sender = "bob@example.org"
    send(org, { subject = "there", sender = sender, recipients = { "carl@example.net" }, body = "8bitmime" },
      BODY)
    local text = await(carls, "there")
    assert.equal(LOCAL, text:match "\n\n(.*)$")
    assert.matches("with ESMTPS", text)
    local through = { subject = "through", sender = sender, recipients = { "dave@example.com" } }
    through.body = "8bitmime"
    send(org, through, BODY)
    text = await(reader(com, "dave"), "through")
    assert.equal(LOCAL, text:match "\n\n(.*)$")
    assert.matches("by mx.example.com with ESMTPS .*by mx.example.net .*by mx.example.org with ESMTPS ", text)
    send(com, { subject = "back", sender = "dave@example.com", recipients = { sender, "carl@example.net" },
      body = "8bitmime" }, BODY)
    assert.equal(LOCAL, await(reader(org, "bob"), "back"):match "\n\n(.*)$")
    assert.equal(LOCAL, await(carls, "back"):match "\n\n(.*)$")
  end)

  it("exchange messages for names beyond ASCII", function()
    send(org, { subject = "utf8", sender = "j\u{F6}rg@example.org", recipients = { "j\u{F6}rg@example.com" },
      smtputf8 = true, body = "8bitmime" }, BODY)
    local text = await(reader(com, "j\u{F6}rg"), "utf8")
    assert.matches("by mx.example.com with UTF8SMTPS ", text)
    assert.matches("Return%-Path: <j\u{F6}rg@example.org>", text)
  end)

  it("return to each other what they cannot deliver", function()
    local function is_report(text, status, host)
      assert.matches("^Return%-Path: <>\n", text)
      assert.matches("\nReporting%-MTA: dns; ?" .. host, text)
      assert.matches("\nAction: failed\nStatus: " .. status, text)
    end
    send(org, { subject = "ours", sender = "bob@example.org", recipients = { "nobody@example.net" } },
      "x\r\n")
    is_report(await(reader(org, "bob"), "ours"), "5.1.1", "mx.example.org")
    send(org, { subject = "theirs", sender = "bob@example.org", recipients = { "nobody@example.com" } },
      "x\r\n")
    is_report(await(reader(org, "bob"), "theirs"), "5.1.1", "mx.example.net")
    send(org, { subject = "abroad", sender = "carl@example.net", recipients = { "nobody@example.net" } },
      "x\r\n")
    is_report(await(carls, "abroad"), "5.1.1", "mx.example.org")
  end)

  it("tell each other's senders what has arrived", function()
    local wish = { "success" }
    send(org, { subject = "told", sender = "bob@example.org", envid = "id+1", recipients = {
      { address = "dave@example.com", notify = wish }, { address = "carl@example.net", notify = wish },
    } }, "x\r\n")
    local found
    condition.wait_until(function()
      found = find(post.texts(org.place, "bob"), "told")
      return #found == 2
    end, SECONDS, function() return #found .. " reports; postfix says\n" .. there:log() end)
    local both = table.concat(found)
    assert.equal(2, select(2, both:gsub("\nOriginal%-Envelope%-Id: id%+1\n", "")))
    assert.matches("\nReporting%-MTA: dns;mx.example.com\n", both)
    assert.matches("\nReporting%-MTA: dns; mx.example.net\n", both)
    assert.matches("Final%-Recipient: rfc822;dave@example.com\nAction: delivered\n", both)
    assert.matches("rfc822; ?carl@example.net\n[^\n]*\n?Action: delivered\n", both)
  end)

  it("exchange many messages at once, each once", function()
    local before = #post.texts(org.place, "bob")
    local status, output, errors = process.run {
      "smtp-source", "-s", 20, "-m", MANY, "-l", 2000, "-f", "sue@example.com", "-t", "bob@example.org",
      org.addresses.server:match "//(.*)$", seconds = SECONDS,
    }
    assert.equal(0, status, output .. errors)
    org:await("bob", before + MANY)
    local outside = #carls()
    for i = 1, MANY // 10 do
      send(org, { subject = "many" .. i, sender = "bob@example.org", recipients = { "carl@example.net" } },
        "x\r\n")
    end
    condition.wait_until(function() return #carls() >= outside + MANY // 10 end, SECONDS)
    for i = 1, MANY // 10 do
      assert.equal(1, #find(carls(), "many" .. i))
    end
  end)

  it("wait for each other", function()
    com.server.process:signal "STOP"
    send(org, { subject = "late", sender = "bob@example.org", recipients = { "dave@example.com" } }, "x\r\n")
    condition.wait_until(function() return there:log():find "from=<bob@example.org>" end, SECONDS)
    com.server.process:signal "CONT"
    await(reader(com, "dave"), "late")
  end)
end)
