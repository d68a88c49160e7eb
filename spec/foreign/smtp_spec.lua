-- Clients of mail that others have written, at our server.
local authority = require "spec.support.authority"
local folder = require "spec.support.folder"
local office = require "spec.smtp.office"
local process = require "spec.support.process"

local SECONDS <const> = 60

local MSMTP <const> = [[
defaults
timeout 30
tls on
tls_trust_file %s
logfile -
account here
host localhost
port %s
from ann@example.org
auth %s
user ann
password secret
account default : here
]]

describe("a server of mail meets", function()
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

  local function open(more)
    local options = { starttls = "required", users = { ann = "secret" } }
    for name, value in pairs(more or {}) do
      options[name] = value
    end
    return office.open(options, nil, tls)
  end

  local function swaks(place, ...)
    return process.run {
      "swaks", "--server", "127.0.0.1", "--port", place.address:match "%d+$", "--from", "ann@example.org",
      "--to", "bob@example.net", "--helo", "client.example.org", "--timeout", "30", seconds = SECONDS, ...,
    }
  end

  it("swaks, with TLS and a password", function()
    local place <close> = open { mechanisms = { "PLAIN", "LOGIN" } }
    for _, mechanism in ipairs { "PLAIN", "LOGIN" } do
      local status, output, errors = swaks(place, "--tls", "--auth", mechanism, "--auth-user", "ann",
        "--auth-password", "secret", "--body", ".\r\n..\r\nend")
      assert.equal(0, status, output .. errors)
      local message = table.remove(place.messages)
      assert.same({ "ESMTPSA", "ann" }, { message.protocol, message.user })
      assert.matches("\r\n\r\n%.\r\n%.%.\r\nend\r\n", message.text)
    end
    local wrong = swaks(place, "--tls", "--auth", "PLAIN", "--auth-user", "ann", "--auth-password", "no")
    assert.not_equal(0, wrong)
    assert.not_equal(0, (swaks(place)))
    assert.equal(0, #place.messages)
  end)

  it("swaks that sends all at once", function()
    local place <close> = office.open()
    local status, output, errors = swaks(place, "--pipeline")
    assert.equal(0, status, output .. errors)
    assert.equal("bob@example.net", place.messages[1].recipients[1].address)
  end)

  it("gsasl, which binds its proof to the connection", function()
    local place <close> = open()
    local function gsasl(...)
      return process.run {
        "gsasl", "--smtp", "--starttls", "--verbose", "--x509-ca-file=" .. ca.file, "--authentication-id=ann",
        "--password=secret", "localhost", place.address:match "%d+$", input = "", seconds = SECONDS, ...,
      }
    end
    local _, output = gsasl("--mechanism=SCRAM-SHA-256-PLUS")
    -- "p=tls-exporter," in base64
    assert.matches("AUTH SCRAM%-SHA%-256%-PLUS\r?\n334 ?\r?\ncD10bHMtZXhwb3J0ZXIsL", output)
    assert.matches("\n235 2.7.0", output)
    _, output = gsasl("--mechanism=SCRAM-SHA-256", "--no-cb")
    assert.matches("\n235 2.7.0", output)
  end)

  it("msmtp, which proves who it is by each mechanism that it knows", function()
    for _, mechanism in ipairs { "plain", "login", "scram-sha-256" } do
      local place <close> = open { mechanisms = { "SCRAM-SHA-256", "PLAIN", "LOGIN" } }
      local file = here:write("msmtprc", MSMTP:format(ca.file, place.address:match "%d+$", mechanism))
      assert(os.execute("chmod 600 " .. file))
      local status, output, errors = process.run {
        "msmtp", "-C", file, "bob@example.net", "eve@example.net",
        input = "Subject: x\n\n.\n.dot\nend\n", seconds = SECONDS,
      }
      assert.equal(0, status, mechanism .. output .. errors)
      local message = place.messages[1]
      assert.same({ "ESMTPSA", "ann", 2 }, { message.protocol, message.user, #message.recipients })
      assert.matches("\r\n\r\n%.\r\n%.dot\r\nend\r\n$", message.text)
    end
  end)
end)
