-- Clients of POP3 that say who they are with AUTH (RFC 5034).
local auth = require "moonwire.http.auth"
local codec = require "moonwire.codec"
local folder = require "spec.support.folder"
local maildir = require "moonwire.maildir"
local net = require "moonwire.net"
local pop3 = require "moonwire.pop3"
local sasl = require "moonwire.sasl"
local scene = require "spec.support.scene"

describe("AUTH in POP3", function()
  local place, listener, address

  before_each(function()
    place = folder.new()
    local box <close> = assert(maildir.open(place.path .. "/ann", { create = true }))
    assert(box:deliver "Subject: x\r\n")
  end)

  after_each(function()
    listener:close()
    place:remove()
  end)

  local function start(options, users)
    local all = {
      credentials = sasl.credentials(users or { ann = "secret", eve = "secret", ill = "secret" }),
      clear_passwords = true, failure_delay = 0,
    }
    for name, value in pairs(options or {}) do
      all[name] = value
    end
    local service = pop3.service({ on_user = function(session, user)
      assert(session.peer)
      if user == "ill" then
        return nil, "the users cannot be read"
      end
      return user == "ann" and place.path .. "/ann"
    end }, all)
    listener = assert(net.serve("tcp://127.0.0.1:0", service.connect))
    address = "tcp://" .. listener:local_address()
  end

  it("takes PLAIN, and refuses what is wrong", function()
    start { failures_max = 5, errors_max = 20 }
    scene.play("spec/scenes/pop3_auth.scene", { server = address })
  end)

  -- The last line of a dialogue of SCRAM.
  local function prove(password)
    local conn <close> = assert(net.connect(address, { read_timeout = 20 }))
    conn:read_line()
    local client = assert(sasl.client("SCRAM-SHA-256", { user = "ann", password = password }))
    conn:write("auth scram-sha-256 ", codec.base64_encode(client:step()), "\r\n")
    local line = conn:read_line()
    while line:find "^%+ " do
      conn:write(codec.base64_encode(client:step(codec.base64_decode(line:sub(3)))), "\r\n")
      line = conn:read_line()
    end
    return line, client:is_complete()
  end

  it("takes SCRAM, by which the server shows that it knows the password, too", function()
    start()
    assert.same({ "+OK 1 messages", true }, { prove "secret" })
    assert.matches("^%-ERR %[AUTH%] name or password is wrong", (prove "guess"))
  end)

  local function ask(conn, line)
    conn:write(line, "\r\n")
    return conn:read_line()
  end

  it("is not offered in clear, nor SCRAM to hashes", function()
    start({ clear_passwords = false })
    local conn <close> = assert(net.connect(address, { read_timeout = 20 }))
    conn:read_line()
    assert.equal("-ERR [AUTH] not without TLS", ask(conn, "AUTH PLAIN AGFubgBzZWNyZXQ="))
    conn:write "CAPA\r\nQUIT\r\n"
    assert.not_matches("SASL", (conn:read_all()))
    listener:close()
    start(nil, { ann = assert(auth.hash_password "secret") })
    local other <close> = assert(net.connect(address, { read_timeout = 20 }))
    other:write "CAPA\r\nQUIT\r\n"
    assert.not_matches("SCRAM", (other:read_all()))
  end)

  it("lets PASS ask the same users", function()
    start()
    local conn <close> = assert(net.connect(address, { read_timeout = 20 }))
    conn:read_line()
    ask(conn, "USER ann")
    assert.matches("^%-ERR %[AUTH%]", ask(conn, "PASS wrong"))
    ask(conn, "USER ann")
    assert.equal("+OK 1 messages", ask(conn, "PASS secret"))
  end)

  it("ends with who sends an endless response", function()
    start()
    local conn <close> = assert(net.connect(address, { read_timeout = 20 }))
    conn:read_line()
    assert.equal("+ ", ask(conn, "AUTH PLAIN"))
    conn:write(("x"):rep(20000))
    assert.matches("^%-ERR the line is too long", conn:read_line())
  end)
end)
