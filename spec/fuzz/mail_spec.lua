-- Sessions of senders at scripts/mail.lua, changed at random: each is answered and ended, nothing is sent to
-- others for strangers, what was promised is delivered, and a good client is served afterwards.
local codec = require "moonwire.codec"
local mutation = require "spec.fuzz.mutation"
local net = require "moonwire.net"
local office = require "spec.smtp.office"
local post = require "spec.services.post"
local task = require "moonwire.task"
local test = require "moonwire.test"

local ROUNDS <const> = 240
local AT_A_TIME <const> = 8
local SECONDS <const> = 30

test.deadline(120)

local TEXT <const> = "Subject: x\r\n\r\ntext\r\n"

-- Door → sessions.
local SESSIONS <const> = {
  server = {
    "EHLO a.example\r\nMAIL FROM:<sue@example.net>\r\nRCPT TO:<bob@example.org>\r\n"
      .. "RCPT TO:<eve@example.com>\r\nRCPT TO:<@example.org:eve@example.com>\r\nDATA\r\n" .. TEXT .. ".\r\n"
      .. "MAIL FROM:<>\r\nRCPT TO:<eve%example.com@example.org>\r\nRCPT TO:<Postmaster>\r\n"
      .. "BDAT 5 LAST\r\nx\r\n\r\nQUIT\r\n",
    'HELO a\r\nMAIL FROM:<bob@example.org>\r\nRCPT TO:<"eve@example.com"@example.org>\r\n'
      .. "RCPT TO:<eve@[127.0.0.1]>\r\nRCPT TO:<list@example.net>\r\nRCPT TO:<bob@EXAMPLE.NET>\r\nDATA\r\n"
      .. "Delivered-To: bob@example.org\r\n" .. TEXT .. ".\r\nRSET\r\nSTARTTLS\r\n",
  },
  submission = {
    "EHLO a.example\r\nAUTH PLAIN AGJvYgBXUk9ORw==\r\nAUTH SCRAM-SHA-256\r\nbiwsbj1ib2Iscj14\r\n*\r\n"
      .. "MAIL FROM:<bob@example.org>\r\nRCPT TO:<eve@example.com>\r\nDATA\r\n" .. TEXT .. ".\r\nQUIT\r\n",
  },
}

local WORDS <const> = {
  "\r\n", "\r", "\n", ".", "\r\n.\r\n", "\0", "\xFF", " ", "<", ">", "@", ":", "%", '"', "\\", "!", "[", "]",
  ",", "..", "/", "example.org", "example.com", "@example.com", "@example.org", "bob", "Postmaster",
  "RCPT TO:<eve@example.com>\r\n", "DATA\r\n", "RSET\r\n", "EHLO x\r\n", "=",
}

-- Says it all and hears it out. How many messages were promised.
local function perform(address, text)
  local conn <close> = assert(net.connect(address, { read_timeout = SECONDS }))
  if not conn:write(text) then
    return 0
  end
  conn:shutdown_write()
  local answer, err, code = conn:read_all(1024 * 1024)
  if code == "timeout" or answer and answer:find "%f[^\n\0]451 4%.3%.0" then
    error(("%s after %s"):format(err or answer, codec.url_encode(text)), 0)
  end
  return select(2, (answer or ""):gsub("%f[^\n\0]250 2%.0%.0 taken as", ""))
end

local function new_texts()
  local doors, texts = { "server", "server", "submission" }, {}
  for i = 1, ROUNDS do
    local door = doors[i % #doors + 1]
    local known = SESSIONS[door]
    texts[i] = { door = door, text = mutation.change(known[i % #known + 1], math.random(4), WORDS) }
  end
  return texts
end

describe("scripts/mail.lua that hears changed sessions", function()
  it("goes on, loses nothing that it has promised, and sends nothing to others", function()
    local there <close> = office.open()
    local place <close> = post.open {
      "users.bob=SECRET", "smarthost=" .. there.address, "domain=example.org", "catch_all=bob",
      "auth_in_clear=true", "messages_per_hour=100000",
    }
    math.randomseed(5321)
    local texts, promised = new_texts(), 0
    local group <close> = task.group()
    for first = 1, AT_A_TIME do
      group:spawn(function()
        for i = first, ROUNDS, AT_A_TIME do
          local count = perform(place.addresses[texts[i].door], texts[i].text)
          promised = promised + count
        end
      end)
    end
    assert(group:wait(100))
    assert.is_true(promised > 30, promised .. " messages")
    assert.equal("250 2.0.0", place:send("last@example.net", { "bob@example.org" }, TEXT))
    place.server:wait_for_log "taken .*sender=last@example.net"
    post.await_empty(place.place.path)
    local delivered = #post.texts(place.place, "bob") + #post.texts(place.place, "postmaster")
    assert.is_true(delivered >= promised, delivered .. " of " .. promised)
    for _, message in ipairs(there.messages) do
      assert.equal("", message.sender, message.text) -- reports on mail that goes in circles
    end
    assert.not_matches(" error ", place.server:log())
  end)
end)
