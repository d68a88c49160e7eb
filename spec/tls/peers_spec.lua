-- TLS with peers of other makes: openssl, curl, Python.
local authority = require "spec.support.authority"
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local json = require "moonwire.json"
local net = require "moonwire.net"
local process = require "spec.support.process"
local python = require "spec.tls.python"

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

-- A server with the certificate, and its port.
local function serve(tls, handler)
  local listener = assert(net.serve("tls://127.0.0.1:0", handler or echo, { tls = with(pair_of(www), tls) }))
  return listener, math.tointeger(tonumber(listener:local_address():match ":(%d+)$"))
end

describe("a client of Python", function()
  for _, version in ipairs { "1.2", "1.3" } do
    it("speaks TLS " .. version .. " with us, and resumes its sessions", function()
      local listener <close>, port = serve()
      local found = python.visit { port = port, ca = ca.file, version = version, visits = 3 }
      assert.same({ "hello", "hello", "hello" }, { found[1].line, found[2].line, found[3].line })
      assert.equal("TLSv" .. version, found[1].version)
      assert.equal("localhost", found[1].subject)
      assert.same({ false, true, true }, { found[1].resumed, found[2].resumed, found[3].resumed })
      assert.is_not_nil(listener)
    end)
  end

  it("gets the certificate of the name that it asks for", function()
    local other = ca:issue { "other.test" }
    local listener <close>, port = serve { certificates = { pair_of(other) } }
    assert.equal("other.test", python.visit({ port = port, ca = ca.file, name = "other.test" })[1].subject)
    assert.equal("localhost", python.visit({ port = port, ca = ca.file })[1].subject)
    assert.matches("mismatch", python.visit({ port = port, ca = ca.file, name = "third.test" })[1].error)
    assert.is_not_nil(listener)
  end)

  it("agrees with us on a protocol, our best first", function()
    local listener <close>, port = serve { protocols = { "h9", "http/1.1" } }
    assert.equal("h9", python.visit({ port = port, protocols = { "http/1.1", "h9" } })[1].protocol)
    assert.equal("http/1.1", python.visit({ port = port, protocols = { "http/1.1" } })[1].protocol)
    assert.equal(json.null, python.visit({ port = port })[1].protocol)
    assert.is_not_nil(listener)
  end)

  it("shows a certificate where it must", function()
    local subjects = {}
    local listener <close>, port = serve({ authorities = ca.file, verify = "required" }, function(conn)
      subjects[#subjects + 1] = conn:tls().certificate.subject
      echo(conn)
    end)
    local alice = ca:issue { "alice" }
    for _, version in ipairs { "1.2", "1.3" } do
      local found = python.visit(with({ port = port, ca = ca.file, version = version }, pair_of(alice)))
      assert.equal("hello", found[1].line)
      assert.is_string(python.visit({ port = port, ca = ca.file, version = version })[1].error)
    end
    assert.same({ "CN=alice", "CN=alice" }, subjects)
    assert.is_not_nil(listener)
  end)

  it("finds neither an old version nor a weak cipher", function()
    local listener <close>, port = serve { least_version = 1.3 }
    assert.is_string(python.visit({ port = port, version = "1.2" })[1].error)
    local lax <close>, lax_port = serve()
    for _, ciphers in ipairs { "AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256" } do
      assert.is_string(python.visit({ port = lax_port, version = "1.2", ciphers = ciphers })[1].error)
    end
    assert.is_not_nil(listener)
    assert.is_not_nil(lax)
  end)
end)

describe("a server of Python", function()
  for _, version in ipairs { "1.2", "1.3" } do
    it("speaks TLS " .. version .. " with our client, which resumes its sessions", function()
      local server <close>, port = python.serve(with({ version = version, count = 3 }, pair_of(www)))
      local resumed = {}
      for i = 1, 3 do
        local options = { tls = { authorities = ca.file } }
        local conn <close> = assert(net.connect("tls://localhost:" .. port, options))
        conn:write("hello\n")
        assert.equal("hello", conn:read_line())
        assert.equal("TLSv" .. version, conn:tls().version)
        resumed[i] = conn:tls().resumed
      end
      assert.same({ false, true, true }, resumed)
      condition.wait_until(function() return #python.found(server) == 3 end)
    end)
  end

  it("gets our name, protocols and certificate", function()
    local server <close>, port = python.serve(with({ ca = ca.file, protocols = { "one" } }, pair_of(www)))
    local alice = pair_of(ca:issue { "alice" })
    local conn <close> = assert(net.connect("tls://localhost:" .. port, {
      tls = with({ authorities = ca.file, protocols = { "two", "one" } }, alice),
    }))
    assert.equal("one", conn:tls().protocol)
    conn:write("hello\n")
    assert.equal("hello", conn:read_line())
    local found = condition.wait_until(function() return python.found(server)[1] end)
    assert.equal("alice", found.subject)
  end)
end)

describe("openssl s_client", function()
  local function look(port, ...)
    local words = { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-CAfile", ca.file, ... }
    local _, output, errors = process.run(words)
    return output .. errors
  end

  it("verifies our chain", function()
    local listener <close>, port = serve()
    assert.matches("Verify return code: 0 %(ok%)", look(port, "-servername", "localhost"))
    assert.is_not_nil(listener)
  end)

  it("gets the staple when it asks for one", function()
    local listener <close>, port = serve { staple = ca:staple(www) }
    assert.matches("OCSP Response Status: successful", look(port, "-status"))
    local without <close>, other = serve()
    assert.matches("OCSP response: no response sent", look(other, "-status"))
    assert.is_not_nil(listener)
    assert.is_not_nil(without)
  end)

  it("cannot renegotiate", function()
    local listener <close>, port = serve()
    local client <close> = process.start {
      "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-tls1_2", stdin = "stream",
    }
    condition.wait_until(function() return client:output():find "Verify return code" end)
    client.stdin:write("R\n")
    condition.wait_until(function() return (client:output() .. client:errors()):find "RENEGOTIATING" end)
    condition.wait_until(function() return client:status() end)
    assert.is_not_nil(listener)
  end)
end)

describe("openssl s_server", function()
  it("serves our client", function()
    local port
    do
      local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
      port = listener:local_address():match ":(%d+)$"
    end
    local server <close> = process.start { "openssl", "s_server", "-accept", "127.0.0.1:" .. port, "-cert",
      www.certificate, "-key", www.key, "-rev", "-quiet" }
    local conn <close> = condition.wait_until(function()
      return (net.connect("tls://127.0.0.1:" .. port, { tls = { authorities = ca.file } }))
    end)
    conn:write("hello\n")
    assert.equal("olleh", conn:read_line())
    assert.is_nil(server:status())
  end)
end)

describe("curl", function()
  local ANSWER <const> = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"

  local function get(port, ...)
    return process.run { "curl", "-sS", "--noproxy", "*", "https://localhost:" .. port .. "/", ... }
  end

  it("gets an answer, and verifies us", function()
    local listener <close>, port = serve({ protocols = { "http/1.1" } }, function(conn)
      conn:read_until "\r\n\r\n"
      conn:write(ANSWER)
    end)
    local status, output = get(port, "--cacert", ca.file)
    assert.equal(0, status)
    assert.equal("hello\n", output)
    assert.equal(60, (get(port))) -- an authority that it does not know
    assert.is_not_nil(listener)
  end)
end)
