-- STARTTLS: what was said in clear does not count, and what comes in clear before the handshake is refused.
local authority = require "spec.support.authority"
local folder = require "spec.support.folder"
local office = require "spec.smtp.office"
local process = require "spec.support.process"
local scene = require "spec.support.scene"

local PYTHON <const> = [[
import smtplib, ssl, sys
client = smtplib.SMTP("localhost", int(sys.argv[1]), timeout=20)
client.starttls(context=ssl.create_default_context(cafile=sys.argv[2]))
client.sendmail("ann@example.org", ["bob@example.net"], "Subject: secret\r\n\r\nx\r\n")
client.quit()
]]

describe("STARTTLS", function()
  local here, ca, tls

  setup(function()
    here = folder.new()
    ca = authority.new(here)
    local pair = ca:issue { "localhost" }
    tls = { tls = { certificate = pair.certificate, key = pair.key } }
  end)

  teardown(function()
    here:remove()
  end)

  it("plays its scene", function()
    local place <close> = office.open({ starttls = "required" }, nil, tls)
    scene.play("spec/scenes/smtp_starttls.scene", { server = place.address })
    assert.equal("ESMTPS", place.messages[1].protocol)
    assert.equal("second.example.org", place.messages[1].hello)
  end)

  it("is used by the client of Python", function()
    local place <close> = office.open({ starttls = "offer" }, nil, tls)
    local status, _, errors = process.run {
      "python3", "-c", PYTHON, place.address:match "%d+$", ca.file, seconds = 60,
    }
    assert.equal(0, status, errors)
    assert.matches("with ESMTPS id", place.messages[1].text)
  end)

  it("is refused with anything behind it", function()
    local place <close> = office.open({ starttls = "offer" }, nil, tls)
    assert.equal("220 250 5.5.1", office.codes(place:tell(
      "EHLO a\r\nSTARTTLS\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<bob@example.net>\r\n")))
    assert.equal("220 250 5.5.4", office.codes(place:tell "EHLO a\r\nSTARTTLS x\r\n"))
  end)

  it("ends with clients that do not shake hands", function()
    local place <close> = office.open({ starttls = "offer" }, nil, tls)
    local conn <close> = place:connect()
    conn:write "STARTTLS\r\n"
    repeat
      local line = assert(conn:read_line())
    until line:find "go on"
    conn:write "MAIL FROM:<ann@example.org>\r\n"
    conn:shutdown_write()
    assert.not_matches("250", conn:read_all() or "")
    assert.equal(0, #place.messages)
  end)
end)
