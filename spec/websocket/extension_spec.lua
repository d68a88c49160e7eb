local extension = require "moonwire.websocket.extension"

-- What a server answers to offers, with its option.
local function answer(offers, option)
  return (extension.accept(assert(extension.parse(offers)), option or true))
end

local function agreed(offers, option)
  local _, settings = extension.accept(assert(extension.parse(offers)), option or true)
  return settings
end

local PMD <const> = "permessage-deflate"

describe("permessage-deflate", function()
  it("takes the first offer that it can", function()
    assert.equal(PMD, answer(PMD))
    assert.equal(PMD, answer("foo; bar=1, " .. PMD .. ", " .. PMD .. "; server_no_context_takeover"))
    assert.equal(PMD, answer(PMD .. "; nonsense, " .. PMD))
    assert.equal(PMD .. "; server_max_window_bits=10",
      answer(PMD .. "; server_max_window_bits=8, " .. PMD .. "; server_max_window_bits=10"))
    assert.is_nil(answer("x-webkit-deflate-frame"))
    assert.is_nil(answer(""))
  end)

  it("agrees to all four parameters", function()
    assert.equal(PMD
      .. "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
      .. "client_max_window_bits=11", answer(PMD
        .. '; server_no_context_takeover ;client_no_context_takeover; '
      .. 'server_max_window_bits="10"; client_max_window_bits = 11'))
    assert.same({ own_window = 10, peer_window = 15, own_context = false, peer_context = true },
      agreed(PMD .. "; server_max_window_bits=10; server_no_context_takeover"))
    assert.same({ own_window = 15, peer_window = 8, own_context = true, peer_context = true },
      agreed(PMD .. "; client_max_window_bits=8"))
  end)

  it("asks for what its option says, as far as the client lets it", function()
    local option = { window = 12, peer_window = 9, context = false, peer_context = false }
    assert.equal(PMD
      .. "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; "
      .. "client_max_window_bits=9", answer(PMD .. "; client_max_window_bits", option))
    assert.equal(15, agreed(PMD, option).peer_window)
    assert.equal(9, agreed(PMD .. "; client_max_window_bits=15", option).peer_window)
  end)

  for _, parameters in ipairs {
    "server_max_window_bits", "server_max_window_bits=7", "server_max_window_bits=16",
    "server_max_window_bits=010",
    "server_max_window_bits=8", "client_max_window_bits=0", "client_max_window_bits=x",
    "client_max_window_bits=99",
    "server_no_context_takeover=1", "client_no_context_takeover=true", "unknown", "unknown=1",
  } do
    it("declines an offer with " .. parameters, function()
      assert.is_nil(answer(PMD .. "; " .. parameters))
    end)
  end

  for _, field in ipairs { PMD .. ";", PMD .. "; a; a", "a b", PMD .. "; x=", PMD .. '; x="1', "; x", PMD
    .. "; =1" } do
    it("knows that this is malformed: " .. field, function()
      assert.is_nil(extension.parse(field))
    end)
  end

  local function confirm(field, option)
    return extension.confirm(extension.parse(field), option)
  end

  it("offers what the option of a client says", function()
    assert.equal(PMD .. "; client_max_window_bits", extension.offer(true))
    assert.equal(PMD
      .. "; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=10; "
      .. "client_max_window_bits=9", extension.offer { context = false, peer_context = false,
        peer_window = 10, window = 9 })
  end)

  it("takes the answer of a server that keeps to the offer", function()
    assert.is_false(confirm("", true))
    assert.is_false(confirm("", nil))
    assert.same({ own_window = 15, peer_window = 15, own_context = true, peer_context = true }, confirm(PMD,
      true))
    assert.same({ own_window = 10, peer_window = 9, own_context = false, peer_context = false },
      confirm(PMD .. "; client_max_window_bits=10; server_max_window_bits=9; client_no_context_takeover; "
        .. "server_no_context_takeover", true))
  end)

  it("refuses any other", function()
    assert.is_nil(confirm(PMD, nil))
    assert.is_nil(confirm("foo", true))
    assert.is_nil(confirm(PMD .. ", " .. PMD, true))
    assert.is_nil(confirm(PMD .. "; client_max_window_bits", true))
    assert.is_nil(confirm(PMD .. "; unknown", true))
    assert.is_nil(confirm(PMD .. "; client_max_window_bits=8", true))
    assert.is_nil(confirm(PMD, { peer_context = false }))
    assert.is_nil(confirm(PMD, { peer_window = 10 }))
    assert.is_nil(confirm(PMD .. "; server_max_window_bits=11", { peer_window = 10 }))
  end)
end)
