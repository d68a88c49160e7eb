-- TLS on our own streams, at both ends.
local authority = require "spec.support.authority"
local condition = require "spec.support.condition"
local core = require "moonwire.core"
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local task = require "moonwire.task"

local here, ca, www

setup(function()
  here = folder.new()
  ca = authority.new(here)
  www = ca:issue { "localhost", "127.0.0.1" }
end)

teardown(function()
  here:remove()
end)

local function pair_of(pair)
  return { certificate = pair.certificate, key = pair.key }
end

local function with(options, more)
  for key, value in pairs(more or {}) do
    options[key] = value
  end
  return options
end

local function echo(conn)
  for line in conn:lines() do
    conn:write(line, "\n")
  end
end

-- A listener with the certificate, and its address.
local function serve(handler, tls, options)
  options = with({ tls = with(pair_of(www), tls) }, options)
  local listener = assert(net.serve("tls://127.0.0.1:0", handler or echo, options))
  return listener, "tls://" .. listener:local_address()
end

-- A connection that trusts our authority.
local function connect(address, tls)
  return net.connect(address, { tls = with({ authorities = ca.file }, tls), read_timeout = 5 })
end

local function says(conn, line)
  assert(conn:write(line, "\n"))
  return conn:read_line()
end

describe("a tls:// connection", function()
  it("carries bytes both ways, and says what it is", function()
    local facts
    local listener <close>, address = serve(function(conn)
      facts = conn:tls()
      echo(conn)
    end)
    local conn <close> = assert(connect(address))
    assert.equal("hello", says(conn, "hello"))
    local ours = conn:tls()
    assert.equal("TLSv1.3", ours.version)
    assert.matches("^TLS_", ours.cipher)
    assert.is_true(ours.verified)
    assert.is_false(ours.resumed)
    assert.is_nil(ours.protocol)
    assert.equal("CN=localhost", ours.certificate.subject)
    assert.equal("CN=Spec ca", ours.certificate.issuer)
    assert.same({ "localhost", "127.0.0.1" }, ours.certificate.names)
    assert.matches("^%x+$", ours.certificate.serial)
    assert.matches("^%x+$", ours.certificate.fingerprint)
    assert.equal(64, #ours.certificate.fingerprint)
    assert.is_true(ours.certificate.not_before <= os.time())
    assert.is_true(ours.certificate.not_after > os.time())
    assert.equal(www.pem, ours.certificate.pem)
    assert.equal("TLSv1.3", facts.version)
    assert.is_nil(facts.certificate)
    assert.is_false(facts.verified)
    assert.is_not_nil(listener)
  end)

  it("carries megabytes, whatever the size of the pieces", function()
    local text = ("0123456789abcdef"):rep(1 << 16)
    local listener <close>, address = serve(function(conn)
      for chunk in conn:chunks() do
        conn:write(chunk)
      end
    end)
    local conn <close> = assert(connect(address))
    local writer = task.spawn(function()
      for i = 1, #text, 50000 do
        assert(conn:write(text:sub(i, i + 49999)))
      end
      conn:shutdown_write()
    end)
    assert.is_true(text == conn:read_all(#text + 1))
    writer:join()
    assert.is_not_nil(listener)
  end)

  it("sends files, and is relayed", function()
    local text = ("a line of a file\n"):rep(20000)
    local path = here:write("file.txt", text)
    local listener <close>, address = serve(function(conn) assert.equal(#text, conn:send_file(path)) end)
    local relay <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      local target <close> = assert(connect(address))
      net.relay(conn, target)
    end))
    local conn <close> = assert(net.connect("tcp://" .. relay:local_address()))
    assert.is_true(text == conn:read_all(#text + 1))
    assert.is_not_nil(listener)
  end)

  it("has a name that it asks for: that of the address, or another", function()
    local names = {}
    local listener <close>, address = serve(function(conn)
      names[#names + 1] = conn:tls().server_name or "none"
    end)
    local port = address:match ":(%d+)$"
    assert(connect("tls://localhost:" .. port)):read_all()
    assert(connect(address, { name = "localhost" })):read_all()
    assert(connect(address)):read_all() -- an address is no name
    assert.same({ "localhost", "localhost", "none" }, names)
    assert.is_not_nil(listener)
  end)

  it("agrees on a protocol", function()
    local listener <close>, address = serve(echo, { protocols = { "two", "one" } })
    local conn <close> = assert(connect(address, { protocols = { "one", "two" } }))
    assert.is_truthy(conn:tls().protocol == "two" or conn:tls().protocol == "one")
    local other <close> = assert(connect(address))
    assert.is_nil(other:tls().protocol)
    assert.is_not_nil(listener)
  end)

  it("is at least of the version that is asked for", function()
    local listener <close>, address = serve(echo, { least_version = 1.3 })
    local conn <close> = assert(connect(address, { least_version = 1.3 }))
    assert.equal("TLSv1.3", conn:tls().version)
    assert.is_not_nil(listener)
  end)

  it("is accepted one by one, too", function()
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", { tls = pair_of(www) }))
    local address = "tls://" .. listener:local_address()
    local clients = {}
    for i = 1, 3 do
      clients[i] = task.spawn(function()
        local conn <close> = assert(connect(address))
        return conn:read_all()
      end)
    end
    for i = 1, 3 do
      local conn <close> = assert(listener:accept(5))
      assert.equal("TLSv1.3", conn:tls().version)
      conn:write("number ", i)
    end
    local got = {}
    for i = 1, 3 do got[i] = clients[i]:join() end
    table.sort(got)
    assert.same({ "number 1", "number 2", "number 3" }, got)
    assert.equal("timeout", (select(2, listener:accept(0.01))))
  end)

  it("waits for the first bytes of its peer where the handler shall", function()
    local started = false
    local listener <close>, address = serve(function(conn)
      started = true
      echo(conn)
    end, nil, { defer = true })
    local conn <close> = assert(connect(address))
    task.sleep(0.02)
    assert.is_false(started)
    assert.equal("hello", says(conn, "hello"))
    assert.is_not_nil(listener)
  end)

  it("takes texts in place of files", function()
    local listener <close> = assert(net.serve("tls://127.0.0.1:0", echo, {
      tls = { certificate_pem = www.pem, key_pem = www.key_pem },
    }))
    local address = "tls://" .. listener:local_address()
    local conn <close> = assert(net.connect(address, { tls = { authorities_pem = ca.pem } }))
    assert.equal("hello", says(conn, "hello"))
  end)

  it("has a development certificate where one is asked for", function()
    local listener <close> = assert(net.serve("tls://127.0.0.1:0", echo, { tls = "auto" }))
    local address = "tls://" .. listener:local_address()
    assert.is_nil((net.connect(address)))
    local conn = assert(net.connect(address, { tls = { verify = "none" } }))
    local certificate = conn:tls().certificate
    conn:close()
    assert.is_true(certificate.not_after > os.time() + 86400)
    local other <close> = assert(net.connect(address, { tls = { authorities_pem = certificate.pem } }))
    assert.is_true(other:tls().verified)
    assert.equal("hello", says(other, "hello"))
  end)
end)

describe("several certificates", function()
  it("are shown by the name that a client asks for, the first to all others", function()
    local pairs_of = {
      pair_of(www), pair_of(ca:issue { "one.test" }), pair_of(ca:issue { "*.two.test", file = "two" }),
    }
    local options = { tls = { certificates = pairs_of } }
    local listener <close> = assert(net.serve("tls://127.0.0.1:0", echo, options))
    local address = "tls://" .. listener:local_address()
    for name, subject in pairs {
      ["one.test"] = "CN=one.test", ["a.two.test"] = "CN=*.two.test", localhost = "CN=localhost",
    } do
      local conn <close> = assert(connect(address, { name = name }))
      assert.equal(subject, conn:tls().certificate.subject)
    end
    local conn <close> = assert(net.connect(address, { tls = { name = "three.test", verify = "none" } }))
    assert.equal("CN=localhost", conn:tls().certificate.subject)
  end)
end)

describe("our client", function()
  local function refused(options, server)
    local listener <close>, address = serve(echo, server)
    local conn, err, code = connect(address, options)
    assert.is_nil(conn)
    assert.is_not_nil(listener)
    return err, code
  end

  it("refuses an authority that it does not know", function()
    local other = authority.new(here, "other")
    local err, code = refused { authorities = other.file }
    assert.matches("^tls handshake 127%.0%.0%.1:%d+: ", err)
    assert.matches("authority", err)
    assert.equal("certificate", code)
  end)

  it("refuses another name", function()
    local err, code = refused { name = "example.test" }
    assert.matches("^tls handshake 127%.0%.0%.1:%d+: .*not for example%.test", err)
    assert.equal("certificate", code)
  end)

  it("refuses a certificate that has expired", function()
    local old = ca:issue { "localhost", "127.0.0.1", file = "old", days = -1 }
    local err, code = refused({}, pair_of(old))
    assert.matches("expired", err)
    assert.equal("certificate", code)
  end)

  it("takes any when it is told to", function()
    local listener <close>, address = serve()
    local conn <close> = assert(net.connect(address, { tls = { verify = "none" } }))
    assert.is_false(conn:tls().verified)
    assert.equal("hello", says(conn, "hello"))
    assert.is_not_nil(listener)
  end)

  it("ends clearly where nobody speaks TLS", function()
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      conn:write("220 hello\r\n")
    end))
    local conn, err, code = connect("tls://" .. listener:local_address())
    assert.is_nil(conn)
    assert.matches("^tls handshake 127%.0%.0%.1:%d+: ", err)
    assert.equal("protocol", code)
  end)

  it("waits no longer for a silent server than it may", function()
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn) conn:read_all() end))
    local address = "tls://" .. listener:local_address()
    assert.same({ nil, "timeout", "timeout" }, { connect(address, { handshake_timeout = 0.05 }) })
    local begun = core.now()
    assert.is_nil((task.with_timeout(0.05, connect, address)))
    assert.is_true(core.now() - begun < 2)
  end)

  it("resumes a session with the server it knows", function()
    local listener <close>, address = serve()
    for _, least in ipairs { 1.2, 1.3 } do
      local resumed
      condition.wait_until(function()
        local conn <close> = assert(connect(address, { least_version = least }))
        assert.equal("hello", says(conn, "hello"))
        resumed = conn:tls().resumed
        return resumed
      end)
      assert.is_true(resumed)
    end
    assert.is_not_nil(listener)
  end)
end)

describe("a server that asks for certificates", function()
  local function greeting(verify, client)
    local listener <close>, address = serve(function(conn)
      local facts = conn:tls()
      local subject = facts.certificate and facts.certificate.subject or "nobody"
      conn:write(subject, " ", tostring(facts.verified), "\n")
    end, { authorities = ca.file, verify = verify })
    local conn <close>, err = connect(address, client)
    assert.is_not_nil(listener)
    return conn and conn:read_line() or nil, err
  end

  it("lets in who shows one of its authorities", function()
    local alice = pair_of(ca:issue { "alice" })
    assert.equal("CN=alice true", greeting("required", alice))
    assert.equal("CN=alice true", greeting("optional", alice))
    assert.equal("nobody false", greeting("optional"))
    assert.equal("nobody false", greeting("none", alice))
  end)

  it("refuses who has none, or one of another authority", function()
    local mallory = pair_of(authority.new(here, "others"):issue { "mallory" })
    assert.is_nil((greeting "required"))
    assert.is_nil((greeting("required", mallory)))
    assert.is_nil((greeting("optional", mallory)))
  end)
end)

describe("options of TLS", function()
  local function raises(expected, options, connects)
    local ok, message
    if connects then
      ok, message = pcall(net.connect, "tls://127.0.0.1:1", options)
    else
      ok, message = pcall(net.serve, "tls://127.0.0.1:0", echo, options)
    end
    assert.is_false(ok)
    assert.matches(expected, message, 1, true)
  end

  it("are refused when they are none", function()
    raises("option 'tls': a table of options or \"auto\" expected, got number", { tls = 5 })
    raises("option 'tls': a table of options or \"auto\" expected, got string", { tls = "automatic" })
    raises("unknown option 'tls.certificat'", { tls = { certificat = "x" } })
    raises("unknown option 'tls.name'", { tls = with(pair_of(www), { name = "x" }) })
    raises("unknown option 'tls.staple'", { tls = { staple = "x" } }, true)
    raises("option 'tls': a server needs a certificate and its key", { tls = {} })
    raises("a certificate goes with its key, and there is no key", { tls = { certificate = "x" } })
    raises("a certificate goes with its key, and there is no certificate", { tls = { key_pem = "x" } }, true)
    raises("option 'tls.verify': \"none\", \"optional\" or \"required\" expected, got \"maybe\"",
      { tls = with(pair_of(www), { verify = "maybe" }) })
    raises("option 'tls.verify': \"required\" or \"none\" expected, got \"optional\"",
      { tls = { verify = "optional" } }, true)
    raises("option 'tls.least_version': 1.2 or 1.3 expected", { tls = { least_version = 1.1 } }, true)
    raises("option 'tls.protocols': a list of at most 32 names", { tls = { protocols = { "" } } }, true)
    raises("option 'tls.certificates': a list of tables expected", { tls = { certificates = { "x" } } })
    raises("an entry has no certificate", { tls = { certificates = { {} } } })
    raises("option 'tls.name': the name of the server expected", { tls = { name = "" } }, true)
  end)

  it("go with tls:// addresses, or with servers that begin it in mid-stream", function()
    local ok, message = pcall(net.connect, "tcp://127.0.0.1:1", { tls = {} })
    assert.is_false(ok)
    assert.matches("goes with a tls:// address", message, 1, true)
  end)

  it("name files that are there and hold what they should", function()
    local listener, err, code = net.serve("tls://127.0.0.1:0", echo, {
      tls = { certificate = here.path .. "/none.pem", key = www.key },
    })
    assert.is_nil(listener)
    assert.equal(("read %s/none.pem: no such file or directory"):format(here.path), err)
    assert.equal("not_found", code)
    local junk = here:write("junk.pem", "junk\n")
    for _, bad in ipairs {
      { certificate = junk, key = www.key }, { certificate = www.certificate, key = junk },
      { certificate = www.certificate, key = ca:issue({ "else" }).key },
    } do
      listener, err, code = net.serve("tls://127.0.0.1:0", echo, { tls = bad })
      assert.is_nil(listener)
      assert.matches(here.path, err, 1, true)
      assert.equal("invalid", code)
    end
  end)
end)

describe("changed certificates", function()
  local function changing(name)
    local pair = ca:issue { "127.0.0.1", "first.test", file = name }
    local listener = assert(net.serve("tls://127.0.0.1:0", echo, { tls = pair_of(pair) }))
    return listener, function()
      local conn <close> = assert(connect("tls://" .. listener:local_address()))
      return conn:tls().certificate.names[2]
    end
  end

  it("are shown to those who come later", function()
    local listener <close>, name = changing "changing"
    ca:issue { "127.0.0.1", "second.test", file = "changing" }
    assert.equal("second.test", name())
    assert.is_not_nil(listener)
  end)

  it("are shown to nobody when they cannot be used", function()
    local listener <close>, name = changing "breaking"
    here:write("breaking.pem", "nonsense")
    assert.equal("first.test", name())
    assert.is_not_nil(listener)
  end)
end)

describe("a handshake", function()
  local function open(address)
    return assert(net.connect("tcp://" .. address:match "//(.*)", { read_timeout = 5 }))
  end

  it("has its time, and then the connection ends", function()
    local listener <close>, address = serve(echo, { handshake_timeout = 0.05 })
    local conn <close> = open(address)
    local begun = core.now()
    conn:read_all()
    assert.is_true(core.now() - begun < 2)
    assert.is_not_nil(listener)
  end)

  it("ends clearly with who does not speak TLS", function()
    local listener <close>, address = serve()
    local conn <close> = open(address)
    assert(conn:write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert.matches("^HTTP/1.1 400 ", conn:read_line())
    conn:read_all()
    local nonsense <close> = open(address)
    assert(nonsense:write(("nonsense "):rep(10)))
    nonsense:read_all()
    local other <close> = assert(connect(address)) -- nobody else is disturbed
    assert.equal("hello", says(other, "hello"))
    assert.is_not_nil(listener)
  end)

  it("is one of so many at a time", function()
    local listener <close>, address = serve(echo, { handshakes = 2 })
    local silent = { open(address), open(address) }
    condition.wait_until(function()
      local conn <close> = connect(address)
      return not conn
    end)
    silent[1]:abort()
    condition.wait_until(function()
      local conn <close> = connect(address)
      return conn
    end)
    silent[2]:abort()
    assert.is_not_nil(listener)
  end)

  it("ends with its listener", function()
    local listener, address = serve()
    local conn <close> = open(address)
    task.sleep(0.01)
    listener:close()
    conn:read_all()
    local accepting = assert(net.listen("tls://127.0.0.1:0", { tls = "auto" }))
    local other <close> = open("tls://" .. accepting:local_address())
    assert.is_nil((accepting:accept(0.02)))
    accepting:close()
    other:read_all()
  end)
end)
