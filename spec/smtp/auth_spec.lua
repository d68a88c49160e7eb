-- AUTH: who submits mail.
local codec = require "moonwire.codec"
local office = require "spec.smtp.office"
local process = require "spec.support.process"
local sasl = require "moonwire.sasl"
local scene = require "spec.support.scene"
local smtp = require "moonwire.smtp.server"

local USERS <const> = { ann = "secret" }

local PYTHON <const> = [[
import smtplib, sys
client = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=20)
try:
    client.login("ann", "wrong")
except smtplib.SMTPAuthenticationError as error:
    print(error.smtp_code)
client.login("ann", "secret")
client.sendmail("ann@example.org", ["bob@example.net"], "Subject: x\r\n\r\nx\r\n")
client.quit()
]]

-- The next reply, past the lines of EHLO.
local function read_reply(conn)
  local line
  repeat
    line = assert(conn:read_line())
  until line:find "^%d%d%d " or line:find "^%d%d%d$"
  return line
end

local function run_scram(place, password)
  local conn <close> = place:connect()
  local client = sasl.client("SCRAM-SHA-256", { user = "ann", password = password })
  assert.matches("^220", read_reply(conn))
  conn:write "EHLO a\r\n"
  read_reply(conn)
  conn:write("AUTH SCRAM-SHA-256 ", codec.base64_encode(client:step()), "\r\n")
  local reply = read_reply(conn)
  while reply:find "^334 " do
    conn:write(codec.base64_encode(assert(client:step(codec.base64_decode(reply:sub(5))))), "\r\n")
    reply = read_reply(conn)
  end
  return reply, client:is_complete()
end

describe("AUTH", function()
  it("plays its scene", function()
    local place <close> = office.open { users = USERS, auth_in_clear = true, submission = true }
    scene.play("spec/scenes/smtp_auth.scene", { server = place.address })
    local message = place.messages[1]
    assert.same({ "ann", "ESMTPA", "boss+x@example.org" }, { message.user, message.protocol, message.auth })
    assert.matches("\r\nDate: %a%a%a, [^\r]+\r\nMessage%-ID: <%x+@mx%.example%.org>\r\nFrom: ", message.text)
  end)

  it("is used by the client of Python, by two mechanisms", function()
    for _, mechanism in ipairs { "PLAIN", "LOGIN" } do
      local place <close> = office.open { users = USERS, auth_in_clear = true, mechanisms = { mechanism } }
      local status, output, errors = process.run {
        "python3", "-c", PYTHON, place.address:match "%d+$", seconds = 60,
      }
      assert.equal(0, status, errors)
      assert.equal("535\n", output)
      assert.equal("ann", place.messages[1].user)
    end
  end)

  it("proves without sending the password", function()
    local place <close> = office.open { users = USERS, auth_in_clear = true }
    local reply, is_complete = run_scram(place, "secret")
    assert.matches("^235 ", reply)
    assert.is_true(is_complete)
    reply, is_complete = run_scram(place, "wrong")
    assert.matches("^535 ", reply)
    assert.is_false(is_complete)
  end)

  it("is not there in clear, nor without users", function()
    local place <close> = office.open { users = USERS }
    local answer = place:tell "EHLO a\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\n"
    assert.not_matches("AUTH", answer)
    assert.equal("220 250 5.7.11", office.codes(answer))
    local open <close> = office.open()
    assert.equal("220 250 5.5.1 5.5.4", office.codes(open:tell(
      "EHLO a\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\nMAIL FROM:<a@b> AUTH=<>\r\n")))
  end)

  it("is for whom the policy lets in, and what others say of authors does not count", function()
    local place <close> = office.open({ users = USERS, auth_in_clear = true }, {
      on_user = function(_, user) return nil, user .. " is on holiday", "550 5.7.1" end,
    })
    local answer = place:tell("EHLO a\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\n",
      "MAIL FROM:<a@b> AUTH=boss@b\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n")
    assert.matches("\r\n550 5.7.1 ann is on holiday\r\n", answer)
    assert.is_nil(place.messages[1].auth)
    assert.equal("ESMTP", place.messages[1].protocol)
  end)

  it("is told apart from mistakes", function()
    local function refuses(pattern, options)
      options.hostname = "a"
      local ok, message = pcall(smtp.new, { on_message = print }, options)
      assert.is_false(ok)
      assert.matches(pattern, message)
    end
    refuses("option 'users'", { users = "ann" })
    refuses("either 'users' or 'credentials'", { users = USERS, credentials = sasl.credentials(USERS) })
    refuses("'submission' needs 'users'", { submission = true })
    refuses("no mechanism 'MD5'", { users = USERS, mechanisms = { "MD5" } })
  end)
end)
