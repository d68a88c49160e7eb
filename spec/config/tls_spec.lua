-- What a service may say of TLS in a config, without its files being looked at.
local place = require "moonwire.config.place"
local tls = require "moonwire.config.tls"

local function read(value)
  return tls.kind.read(value, place.new("/etc/moonwire/moonwire.lua", 3):of_service("www"):below("tls"))
end

local function is_faulty(expected, value)
  local ok, problem = pcall(read, value)
  assert.is_false(ok)
  assert.are.equal('/etc/moonwire/moonwire.lua:3: service "www": ' .. expected, problem.fault)
end

describe("tls in a config", function()
  it("names files from its own folder, or holds texts", function()
    local plain = read { certificate = "www.pem", key = "/keys/www.key", staple = "www.der" }
    assert.same({
      { certificate = "/etc/moonwire/www.pem", key = "/keys/www.key", staple = "/etc/moonwire/www.der" },
    }, plain.pairs)
    local text = "-----BEGIN CERTIFICATE-----\nAAAA\n"
    plain = read { certificate = text, key = "www.key" }
    assert.same({ { certificate_pem = text, key = "/etc/moonwire/www.key" } }, plain.pairs)
  end)

  it("has defaults", function()
    local plain = read { certificate = "a", key = "b" }
    assert.equal("none", plain.verify)
    assert.equal(12, plain.least_version)
    assert.equal(10, plain.handshake_timeout)
    assert.equal(1000, plain.handshakes)
    assert.is_nil(plain.protocols)
  end)

  it("may have many certificates", function()
    local list = { { certificate = "/a", key = "/b" }, { certificate = "/c", key = "/d" } }
    local plain = read { certificates = list }
    assert.same(list, plain.pairs)
    assert.same({
      { name = "/a", secret = false }, { name = "/b", secret = true },
      { name = "/c", secret = false }, { name = "/d", secret = true },
    }, tls.files(plain))
  end)

  it("may be a word", function()
    assert.same({ automatic = true }, read "auto")
    is_faulty('tls: a table of options or "auto" expected, got "self"', "self")
    is_faulty('tls: a table of options or "auto" expected, got true', true)
  end)

  it("has nothing else", function()
    is_faulty("unknown key 'tls.certifcate'; did you mean 'certificate'?", { certifcate = "a" })
    is_faulty("tls.key: the path of its PEM key, or its text expected, got nothing", { certificate = "a" })
    is_faulty("tls.certificate: the path of a PEM certificate with its chain, or its text expected, "
      .. "got nothing",
      { key = "a" })
    is_faulty('tls: a server needs a certificate and its key; add both, or say tls = "auto" '
      .. "to try things out",
      {})
    is_faulty("tls.verify: says nothing without authorities; add authorities = FILE",
      { certificate = "a", key = "b", verify = "required" })
    is_faulty('tls.verify: "none", "optional" or "required" expected, got "always"',
      { certificate = "a", key = "b", verify = "always" })
    is_faulty("tls.least_version: 1.2 or 1.3 expected, got 1.1",
      { certificate = "a", key = "b", least_version = 1.1 })
    is_faulty("tls.certificates[2].key: the path of its PEM key, or its text expected, got nothing",
      { certificates = { { certificate = "a", key = "b" }, { certificate = "c" } } })
  end)
end)
