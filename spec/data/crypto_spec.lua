local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local process = require "spec.support.process"
local task = require "moonwire.task"

local hex, unhex = codec.hex_encode, codec.hex_decode

local function raised(fn, ...)
  local ok, problem = pcall(fn, ...)
  assert.is_false(ok)
  return problem
end

-- What openssl says, with the files that `words` name by "@name".
local function openssl(place, ...)
  local words = { "openssl", ... }
  for i, word in ipairs(words) do
    words[i] = word:gsub("^@", place.path .. "/")
  end
  local status, output, errors = process.run(words)
  return status, output, errors
end

describe("crypto.digest", function()
  it("has the digests of the standards", function()
    for name, digest in pairs {
      md5 = "900150983cd24fb0d6963f7d28e17f72",
      sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d",
      sha224 = "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
      sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      ["sha3-256"] = "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
    } do
      assert.are.equal(digest, hex(crypto.digest(name, "abc")))
    end
    assert.are.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      hex(crypto.digest("sha256", "")))
  end)

  it("says the same as openssl does, of every digest", function()
    local place <close> = folder.new()
    place:write("data", ("\0\1\xff"):rep(1000))
    for _, name in ipairs { "sha384", "sha512", "sha3-512", "blake2b512" } do
      local _, output = openssl(place, "dgst", "-r", "-" .. name, "@data")
      assert.are.equal(output:match("^%x+"), hex(crypto.digest(name, ("\0\1\xff"):rep(1000))))
    end
  end)

  it("takes data bit by bit", function()
    local digest = crypto.new_digest "sha256"
    assert.are.equal(digest, digest:update("a", ""):update("b", "c"))
    assert.matches("^moonwire.digest: SHA.*256$", tostring(digest))
    assert.are.equal(crypto.digest("sha256", "abc"), digest:finish())
    assert.are.equal("moonwire.digest: finished", tostring(digest))
    assert.matches("not finished", raised(digest.finish, digest))
    assert.matches("not finished", raised(digest.update, digest, "x"))
  end)

  it("raises for a digest that is not known", function()
    assert.matches("crypto_spec.lua:%d+: bad argument #1 to 'digest' %(unknown digest 'sha257' %(known: md5,",
      raised(function() crypto.digest("sha257", "") end))
  end)
end)

describe("crypto.hmac", function()
  it("has the vectors of RFC 4231", function()
    local cases = {
      { ("\x0b"):rep(20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
      { "Jefe", "what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
      { ("\xaa"):rep(20), ("\xdd"):rep(50),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
      { ("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
    }
    for _, case in ipairs(cases) do
      assert.are.equal(case[3], hex(crypto.hmac("sha256", case[1], case[2])))
    end
  end)

  it("takes an empty key", function()
    assert.are.equal("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
      hex(crypto.hmac("sha256", "", "")))
  end)
end)

describe("crypto.hkdf", function()
  it("has the vectors of RFC 5869", function()
    local ikm = ("\x0b"):rep(22)
    assert.are.equal(
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
      hex(crypto.hkdf("sha256", ikm, 42,
        { salt = unhex "000102030405060708090a0b0c", info = unhex "f0f1f2f3f4f5f6f7f8f9" })))
    assert.are.equal(
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
      hex(crypto.hkdf("sha256", ikm, 42)))
  end)

  it("raises for lengths and keys that cannot be", function()
    assert.is_string(crypto.hkdf("sha256", "k", 255 * 32))
    assert.matches("bad argument #3", raised(crypto.hkdf, "sha256", "k", 255 * 32 + 1))
    assert.matches("bad argument #2 .*an empty key", raised(crypto.hkdf, "sha256", "", 1))
  end)
end)

describe("keys from passwords", function()
  it("have the vectors of RFC 7914 and RFC 6070", function()
    assert.are.equal("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
      .. "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
      hex(crypto.pbkdf2("passwd", "salt", { iterations = 1, length = 64 })))
    assert.are.equal("4b007901b765489abead49d926f721d065a429c1",
      hex(crypto.pbkdf2("password", "salt", { digest = "sha1", iterations = 4096, length = 20 })))
    assert.are.equal("77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
      .. "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
      hex(crypto.scrypt("", "", { n = 16, r = 1, p = 1, length = 64 })))
    assert.are.equal("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
      .. "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
      hex(crypto.scrypt("password", "NaCl", { n = 1024, r = 8, p = 16, length = 64 })))
  end)

  it("have defaults that cost something, and that are what the page says", function()
    assert.are.equal(crypto.pbkdf2("pw", "salt"),
      crypto.pbkdf2("pw", "salt", { digest = "sha256", iterations = 600000, length = 32 }))
    assert.are.equal(crypto.scrypt("pw", "salt"),
      crypto.scrypt("pw", "salt", { n = 32768, r = 8, p = 3, length = 32 }))
  end)

  it("are made beside the loop: others go on meanwhile", function()
    local a, b = net.pair()
    task.spawn(function()
      for line in b:lines() do
        b:write(line, "\n")
      end
    end)
    for _, slow in ipairs {
      function() return crypto.scrypt("pw", "salt", { n = 65536, p = 8 }) end,
      function() return crypto.pbkdf2("pw", "salt", { iterations = 3000000 }) end,
    } do
      local deriving = task.spawn(slow)
      for _ = 1, 10 do
        a:write("hello\n")
        assert.are.equal("hello", a:read_line())
      end
      assert.are.equal("waiting", deriving:status())
      assert.are.equal(32, #deriving:join())
    end
    a:close()
  end)

  it("end with the task that waits for them, and with its deadline", function()
    local deriving = task.spawn(crypto.scrypt, "pw", "salt", { n = 65536, p = 4 })
    task.yield()
    deriving:cancel()
    assert.are.equal("cancelled", select(3, deriving:join()))
    local _, _, code = task.with_timeout(0.01, crypto.scrypt, "pw", "salt", { n = 65536, p = 4 })
    assert.are.equal("timeout", code)
  end)

  it("have limits of what they may cost", function()
    for problem, options in pairs {
      ["option 'n': a power of 2"] = { n = 1000 },
      ["options 'n' and 'r': more than 256 MiB"] = { n = 1 << 20 },
      ["options 'n', 'r' and 'p': more work"] = { n = 1 << 17, p = 1000 },
      ["option 'length'"] = { length = 2000 },
      ["option 'r'"] = { r = 0 },
    } do
      local message = raised(function() crypto.scrypt("", "", options) end)
      assert.is_truthy(message:find(problem, 1, true), message)
      assert.matches("crypto_spec.lua:%d+: bad argument #3 to 'scrypt'", message)
    end
    for problem, options in pairs {
      ["option 'iterations': 50000001 is not within"] = { iterations = 50000001 },
      ["option 'iterations': too many for this 'length'"] = { iterations = 50000000, length = 33 },
      ["unknown digest 'sha'"] = { digest = "sha" },
    } do
      local message = raised(function() crypto.pbkdf2("", "", options) end)
      assert.is_truthy(message:find(problem, 1, true), message)
    end
    assert.matches("bad argument #1 .*longer than 64 KiB", raised(crypto.scrypt, ("x"):rep(65537), ""))
  end)
end)

describe("crypto.seal", function()
  local PLAIN <const> = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for "
    .. "the future, sunscreen would be it."

  it("has the vectors of RFC 8439 and of GCM's authors", function()
    local key = unhex "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
    local options = {
      cipher = "chacha20-poly1305", nonce = unhex "070000004041424344454647",
      aad = unhex "50515253c0c1c2c3c4c5c6c7",
    }
    local sealed = crypto.seal(key, PLAIN, options)
    assert.are.equal(#PLAIN + 16, #sealed)
    assert.matches("^d31a8d34648e60db7b86afbc53ef7ec2.*1ae10b594f09e26a7e902ecbd0600691$", hex(sealed))
    assert.are.equal(PLAIN, crypto.open(key, sealed, options))
    key = unhex(("feffe9928665731c6d6a8f9467308308"):rep(2))
    options = {
      nonce = unhex "cafebabefacedbaddecaf888", aad = unhex "feedfacedeadbeeffeedfacedeadbeefabaddad2",
    }
    sealed = crypto.seal(key, unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95"
      .. "956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"), options)
    assert.matches("^522dc1f099567d07f47f37a32a84427d.*76fc6ece0f4e1768cddf8853bb2d551b$", hex(sealed))
  end)

  it("comes back, with each cipher and length, and never looks the same", function()
    for cipher, size in pairs { ["aes-256-gcm"] = 32, ["aes-128-gcm"] = 16, ["chacha20-poly1305"] = 32 } do
      local key, options = crypto.random_bytes(size), { cipher = cipher, aad = "for you" }
      for _, length in ipairs { 0, 1, 15, 16, 17, 100000 } do
        local data = ("x"):rep(length)
        local sealed = crypto.seal(key, data, options)
        assert.are.equal(12 + length + 16, #sealed)
        assert.are_not.equal(sealed, crypto.seal(key, data, options))
        assert.are.equal(data, crypto.open(key, sealed, options))
      end
    end
  end)

  it("is opened by nobody who has another key, and not when a single bit was changed", function()
    local key = crypto.random_bytes(32)
    local sealed = crypto.seal(key, "secret", { aad = "a" })
    local function expect_refused(...)
      assert.are.same({ n = 3, nil, "open: not sealed with this key, or changed since", "invalid" },
        table.pack(crypto.open(...)))
    end
    for i = 1, #sealed do
      local changed = string.char(sealed:byte(i) ~ (1 << (i % 8)))
      expect_refused(key, sealed:sub(1, i - 1) .. changed .. sealed:sub(i + 1), { aad = "a" })
    end
    expect_refused(crypto.random_bytes(32), sealed, { aad = "a" })
    expect_refused(key, sealed, { aad = "b" })
    expect_refused(key, sealed)
    expect_refused(key, sealed, { aad = "a", cipher = "chacha20-poly1305" })
    expect_refused(key, sealed:sub(1, -2), { aad = "a" })
    assert.are.equal("invalid", select(3, crypto.open(key, sealed:sub(1, 27), { aad = "a" })))
    assert.are.equal("invalid", select(3, crypto.open(key, "")))
  end)

  it("raises for keys and nonces of a wrong length", function()
    for problem, misuse in pairs {
      ["#1 to 'seal' %(a key of 32 bytes expected for aes%-256%-gcm, got 16"] = function()
        crypto.seal(("k"):rep(16), "")
      end,
      ["#3 to 'seal' %(option 'nonce': 12 bytes"] = function()
        crypto.seal(("k"):rep(32), "", { nonce = "short" })
      end,
      ["#3 to 'open' %(unknown cipher 'des'"] = function() crypto.open("", "", { cipher = "des" }) end,
    } do
      assert.matches("crypto_spec.lua:%d+: bad argument " .. problem, raised(misuse))
    end
  end)
end)

describe("crypto's random", function()
  it("is of the length that is asked for, and never the same", function()
    assert.are.equal(1, #crypto.random_bytes(1))
    assert.are.equal(1048576, #crypto.random_bytes(1048576))
    assert.are_not.equal(crypto.random_bytes(16), crypto.random_bytes(16))
    assert.is_false((pcall(crypto.random_bytes, 0)))
  end)

  it("reaches every integer between the bounds, and no other", function()
    local counts = {}
    for _ = 1, 2000 do
      local value = crypto.random_integer(-2, 3)
      counts[value] = (counts[value] or 0) + 1
    end
    for value = -2, 3 do
      assert.is_true(counts[value] > 150, value)
      counts[value] = nil
    end
    assert.is_nil(next(counts))
    assert.are.equal(5, crypto.random_integer(5, 5))
    assert.are.equal("integer", math.type(crypto.random_integer(math.mininteger, math.maxinteger)))
    assert.matches("bad argument #2", raised(crypto.random_integer, 2, 1))
  end)

  it("compares secrets", function()
    assert.is_true(crypto.equal("", ""))
    assert.is_true(crypto.equal("a\0b", "a\0b"))
    assert.is_false(crypto.equal("a\0b", "a\0c"))
    assert.is_false(crypto.equal("a", "ab"))
    assert.is_false((pcall(crypto.equal, "a")))
  end)
end)

describe("a key", function()
  local KINDS <const> = {
    { "ed25519", {}, "ed25519" }, { "rsa", { bits = 2048 }, "rsa" }, { "ec", {}, "ec" },
    { "ec", { curve = "p-384" }, "ec" }, { "ec", { curve = "p-521" }, "ec" },
  }

  it("signs, and verifies what it has signed and nothing else", function()
    for _, case in ipairs(KINDS) do
      local key = assert(crypto.generate_key(case[1], case[2]))
      local other = assert(crypto.generate_key(case[1], case[2]))
      local signature = assert(key:sign "data")
      assert.are.equal(case[3], key:kind())
      assert.is_true(key:is_private())
      assert.is_true(key:verify("data", signature))
      assert.is_false(key:verify("Data", signature))
      assert.is_false(other:verify("data", signature))
      assert.is_false(key:verify("data", signature:sub(1, -2)))
      assert.is_false(key:verify("data", signature .. "\0"))
      assert.is_false(key:verify("data", ""))
      local at = #signature // 2
      local changed = signature:sub(1, at - 1) .. string.char(signature:byte(at) ~ 1) .. signature:sub(at + 1)
      assert.is_false(key:verify("data", changed))
    end
  end)

  it("comes back from its PEM, private and public", function()
    for _, case in ipairs(KINDS) do
      local key = assert(crypto.generate_key(case[1], case[2]))
      local again = assert(crypto.read_key(key:private_pem()))
      local public = assert(crypto.read_key(key:public_pem()))
      assert.are.equal(("moonwire.key: %s private"):format(case[3]), tostring(again))
      assert.are.equal(("moonwire.key: %s public"):format(case[3]), tostring(public))
      assert.is_false(public:is_private())
      assert.is_true(public:verify("data", again:sign "data"))
      assert.are.equal(key:public_pem(), again:public_pem())
      assert.are.equal(key:public_pem(), public:public_pem())
      assert.matches("a private key expected, got a public one", raised(public.sign, public, "data"))
      assert.matches("a private key expected, got a public one", raised(public.private_pem, public))
    end
  end)

  it("is encrypted with a password", function()
    local pem = assert(crypto.generate_key "ed25519"):private_pem { password = "open sesame" }
    assert.matches("BEGIN ENCRYPTED PRIVATE KEY", pem)
    assert.is_true(crypto.read_key(pem, { password = "open sesame" }):is_private())
    assert.are.same({ n = 3, nil, "read_key: the password is wrong", "invalid" },
      table.pack(crypto.read_key(pem, { password = "open barley" })))
    assert.are.same({ n = 3, nil, "read_key: it is encrypted, and there is no password", "invalid" },
      table.pack(crypto.read_key(pem)))
  end)

  it("is refused when it is none, or of another kind", function()
    local place <close> = folder.new()
    assert.are.equal(0, (openssl(place, "genpkey", "-algorithm", "X25519", "-out", "@x")))
    for text, err in pairs {
      [""] = "there is neither a private nor a public key in PEM",
      ["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] =
        "there is neither a private nor a public key in PEM",
      [place:read "x"] = "neither Ed25519 nor RSA nor EC",
    } do
      assert.are.same({ n = 3, nil, "read_key: " .. err, "invalid" }, table.pack(crypto.read_key(text)))
    end
    assert.are.equal("too_large", select(3, crypto.read_key((" "):rep(65537))))
  end)

  it("has the vector of RFC 8032", function()
    local der = unhex("302e020100300506032b657004220420"
      .. "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    local pem = codec.base64_encode(der, { line = 64 })
    local key = assert(crypto.read_key(
      "-----BEGIN PRIVATE KEY-----\n" .. pem .. "-----END PRIVATE KEY-----\n"))
    assert.are.equal("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
      .. "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b", hex(key:sign ""))
  end)

  it("agrees with openssl about signatures, both ways", function()
    local place <close> = folder.new()
    place:write("data", "what is signed")
    local pss = { "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest" }
    for _, case in ipairs {
      { "rsa", { bits = 2048 }, {}, pss },
      { "rsa", { bits = 2048 }, { padding = "pkcs1" }, {} },
      { "ec", {}, {}, {} },
    } do
      local key = assert(crypto.generate_key(case[1], case[2]))
      place:write("key", key:private_pem())
      place:write("public", key:public_pem())
      place:write("signature", key:sign("what is signed", case[3]))
      local function dgst(...)
        local words = table.move(case[4], 1, #case[4], 3, { "dgst", "-sha256" })
        return openssl(place, table.unpack(table.move({ ... }, 1, 5, #words + 1, words)))
      end
      local status, output = dgst("-verify", "@public", "-signature", "@signature", "@data")
      assert.are.same({ 0, "Verified OK\n" }, { status, output })
      assert.are.equal(0, (dgst("-sign", "@key", "-out", "@theirs", "@data")))
      assert.is_true(key:verify("what is signed", place:read "theirs", case[3]))
    end
  end)

  it("tells the two paddings of RSA apart", function()
    local key = assert(crypto.generate_key("rsa", { bits = 2048 }))
    assert.is_false(key:verify("data", key:sign("data", { padding = "pkcs1" })))
    assert.is_false(key:verify("data", key:sign "data", { padding = "pkcs1" }))
    assert.is_false(key:verify("data", key:sign("data", { digest = "sha512" })))
    assert.is_true(key:verify("data", key:sign("data", { digest = "sha512" }), { digest = "sha512" }))
  end)

  it("raises for options of another kind of key", function()
    local key = assert(crypto.generate_key "ed25519")
    for problem, misuse in pairs {
      ["option 'padding' is for RSA keys"] = function() key:sign("", { padding = "pss" }) end,
      ["option 'digest' is not for Ed25519 keys"] = function() key:sign("", { digest = "sha256" }) end,
      ["option 'bits' is for RSA keys"] = function() crypto.generate_key("ec", { bits = 2048 }) end,
      ["option 'curve' is for EC keys"] = function() crypto.generate_key("rsa", { curve = "p-256" }) end,
      ["option 'bits': 1024 is not within 2048..8192"] = function()
        crypto.generate_key("rsa", { bits = 1024 })
      end,
      ["invalid option 'dsa'"] = function() crypto.generate_key("dsa") end,
    } do
      assert.is_truthy(raised(misuse):find(problem, 1, true))
    end
  end)
end)
