-- Who somebody is: both sides, and the example of RFC 7677.
local auth = require "moonwire.http.auth"
local codec = require "moonwire.codec"
local sasl = require "moonwire.sasl"
local scram = require "moonwire.sasl.scram"

-- A dialogue between two sides: how it ended for the server, and whether the client believes it.
local function converse(mechanism, kept, user, password, tamper)
  local server = assert(sasl.server(mechanism, sasl.credentials(kept)))
  local client = assert(sasl.client(mechanism, { user = user, password = password }))
  local response = client:step(nil)
  while true do
    local what, text, why = server:step(response)
    if what ~= "challenge" then
      return what or why, text, client:is_complete()
    end
    text = tamper and tamper(text) or text
    local answer, err, code = client:step(text ~= "" and text or nil)
    if err then
      return code, err, client:is_complete()
    end
    response = answer
  end
end

local VERIFIER <const> = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
  .. "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

local function with_nonces(nonces, fn)
  local nonce = scram.nonce
  scram.nonce = function()
    return table.remove(nonces, 1)
  end
  local ok, problem = pcall(fn)
  scram.nonce = nonce
  assert(ok, problem)
end

describe("SASL", function()
  local hash

  setup(function()
    hash = assert(auth.hash_password("secret", { n = 1024 }))
  end)

  it("proves who knows the password, by every mechanism and whatever is kept of it", function()
    local users = { ann = "secret", bob = hash, user = VERIFIER }
    for _, mechanism in ipairs { "PLAIN", "LOGIN" } do
      assert.same({ "success", "ann", true }, { converse(mechanism, users, "ann", "secret") })
      assert.same({ "success", "bob", true }, { converse(mechanism, users, "bob", "secret") })
      assert.same({ "success", "user", true }, { converse(mechanism, users, "user", "pencil") })
    end
    assert.same({ "success", "ann", true }, { converse("SCRAM-SHA-256", users, "ann", "secret") })
    assert.same({ "success", "user", true }, { converse("SCRAM-SHA-256", users, "user", "pencil") })
    local name <const>, odd <const> = "a=b,c\u{E4}", "x,y=z"
    assert.same({ "success", name, true }, { converse("SCRAM-SHA-256", { [name] = odd }, name, odd) })
    local function find(user)
      return user == "ann" and "secret" or nil
    end
    assert.same({ "success", "ann", true }, { converse("SCRAM-SHA-256", find, "ann", "secret") })
  end)

  it("refuses who does not know it, and who is not there, alike", function()
    local users = { ann = "secret", bob = hash, user = VERIFIER }
    for _, mechanism in ipairs { "PLAIN", "LOGIN", "SCRAM-SHA-256" } do
      for name in pairs { ann = 1, bob = 1, user = 1, nobody = 1 } do
        local how, why = converse(mechanism, users, name, "wrong")
        assert.same({ "denied", "authenticate: wrong user or password" }, { how, why })
      end
    end
    assert.equal("denied", (converse("SCRAM-SHA-256", users, "bob", "secret")))
    assert.is_false(sasl.credentials(users):has_scram())
    assert.is_true(sasl.credentials({ ann = "secret", user = VERIFIER }):has_scram())
  end)

  it("is what RFC 7677 shows", function()
    local one <const>, two <const> = "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    with_nonces({ one, two }, function()
      local client = sasl.client("SCRAM-SHA-256", { user = "user", password = "pencil" })
      local server = sasl.server("SCRAM-SHA-256", sasl.credentials { user = VERIFIER })
      local first = client:step(nil)
      assert.equal("n,,n=user,r=" .. one, first)
      local _, challenge = server:step(first)
      assert.equal(("r=%s%s,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"):format(one, two), challenge)
      local proof = client:step(challenge)
      assert.equal(("c=biws,r=%s%s,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="):format(one, two), proof)
      local _, signature = server:step(proof)
      assert.equal("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", signature)
      assert.is_false(client:is_complete())
      assert.equal("", client:step(signature))
      assert.is_true(client:is_complete())
      assert.same({ "success", "user" }, { server:step "" })
      assert.equal("closed", select(3, server:step ""))
    end)
  end)

  it("does not believe a server that knows nothing", function()
    local users = { ann = "secret" }
    local function forge(text)
      return (text:gsub("^v=..", "v=AA"))
    end
    assert.equal("protocol", (converse("SCRAM-SHA-256", users, "ann", "secret", forge)))
    local changes = { { "^r=.", "r=" }, { "i=4096", "i=1" }, { "i=4096", "i=99999999" }, { "s=", "t=" } }
    for _, change in ipairs(changes) do
      local how, _, believes = converse("SCRAM-SHA-256", users, "ann", "secret", function(text)
        return (text:gsub(change[1], change[2]))
      end)
      assert.same({ "protocol", false }, { how, believes })
    end
  end)

  it("refuses what is malformed", function()
    local users = sasl.credentials { ann = "secret" }
    local first = {
      PLAIN = {
        "", "ann", "\0ann", "\0ann\0", "\0\0secret", "\0ann\0secret\0", "\0\xFF\0secret", "\0a\nb\0x",
      },
      LOGIN = { "", "\0", "\xFF" },
      ["SCRAM-SHA-256"] = {
        "", "n,,", "n,,n=ann", "n,,n=,r=x", "n,,n=ann,r=", "p=tls-unique,,n=ann,r=x", "n,,m=1,n=ann,r=x",
        "n,,n=a=b,r=x", "n,a=bob,n=ann,r=x", "x,,n=ann,r=x", "n,,n=ann,r=" .. ("x"):rep(257),
        "n,,n=ann,r=\xFF",
      },
    }
    for mechanism, responses in pairs(first) do
      for _, response in ipairs(responses) do
        local what, _, code = sasl.server(mechanism, users):step(response)
        assert.same({ nil, "invalid" }, { what, code }, codec.url_encode(response))
      end
    end
    assert.equal("denied", select(3, sasl.server("PLAIN", users):step "bob\0ann\0secret"))
    for _, final in ipairs {
      "", "c=biws,r=NONCE", "c=eSws,r=NONCE,p=PROOF", "c=biws,r=x,p=PROOF", "c=biws,r=NONCE,p=AA==",
    } do
      local server = sasl.server("SCRAM-SHA-256", users)
      local _, challenge = server:step "n,,n=ann,r=x"
      local proof = codec.base64_encode(("x"):rep(32))
      local text = final:gsub("NONCE", (challenge:match "r=([^,]*)":gsub("%%", "%%%%"))):gsub("PROOF", proof)
      assert.equal("invalid", select(3, server:step(text)), text)
    end
  end)

  it("knows no other mechanisms, and tells mistakes", function()
    local server, _, code = sasl.server("CRAM-MD5", sasl.credentials {})
    assert.same({ nil, "unsupported" }, { server, code })
    local client
    client, _, code = sasl.client("CRAM-MD5", { user = "a", password = "b" })
    assert.same({ nil, "unsupported" }, { client, code })
    assert.error_matches(function()
      sasl.client("PLAIN", { user = "a" })
    end, "'user' and 'password' expected")
    assert.error_matches(function()
      sasl.client("PLAIN", { user = "a\0", password = "b" })
    end, "without NUL")
    for name, argument in pairs { server = sasl.credentials {}, client = { user = "a", password = "b" } } do
      local _, problem = pcall(function() sasl[name]("PLAIN", argument, "no stream") end)
      assert.matches("sasl_spec.lua:%d+: bad argument #3 to '" .. name .. "' %(stream expected", problem)
    end
  end)
end)
