local folder = require "spec.support.folder"
local ipset = require "moonwire.ipset"

local function refusal(...)
  local ok, message = pcall(...)
  assert.is_false(ok)
  return message
end

describe("an ipset", function()
  it("finds the most specific network, and its value", function()
    local set = ipset.of {
      "192.0.2.0/24", "2001:db8::/32", ["192.0.2.7"] = "printer", ["192.0.2.8"] = 8,
    }
    assert.are.equal("printer", set:find "192.0.2.7")
    assert.are.equal(8, set:find "192.0.2.8")
    assert.is_true(set:find "192.0.2.9")
    assert.is_true(set:find "2001:db8::1")
    assert.is_nil(set:find "198.51.100.1")
    assert.are.equal(4, set:count())
  end)

  it("takes addresses as peers have them", function()
    local set = ipset.of { "192.0.2.7", "::1" }
    for _, address in ipairs {
      "192.0.2.7", "192.0.2.7:4711", "::1", "[::1]", "[::1]:80", "::ffff:192.0.2.7",
    } do
      assert.is_true(set:find(address), address)
    end
    for _, address in ipairs {
      "", "unix://", "pipe", "example.org:80", "[::1", "::1/128", ":", "192.0.2.70",
    } do
      assert.is_nil(set:find(address), address)
    end
  end)

  it("is empty without networks", function()
    assert.is_nil(ipset.of():find "192.0.2.7")
    assert.are.equal(0, ipset.of({}):count())
  end)

  it("reads lists, of which the last line on a network holds", function()
    local set = ipset.of { "10.0.0.0/8" }
    assert.is_true(set:parse
      "# drop\n192.0.2.0/24 ; SBL1\r\n198.51.100.1 scanner, slow\n192.0.2.0/24 again\n")
    assert.are.equal("again", set:find "192.0.2.1")
    assert.are.equal("scanner, slow", set:find "198.51.100.1")
    assert.is_nil(set:find "10.0.0.1")
  end)

  it("stays as it is when a list is wrong", function()
    local set = ipset.of { "10.0.0.0/8" }
    local ok, err, code = set:parse "::1\n10.0.0.1/8\n"
    assert.is_nil(ok)
    assert.matches("^line 2: the address has bits behind the prefix", err)
    assert.are.equal("invalid", code)
    assert.is_true(set:find "10.1.1.1")
  end)

  it("loads files", function()
    local place <close> = folder.new()
    local set = ipset.of { "10.0.0.0/8" }
    assert.is_true(set:load(place:write("list", "::1 me\n")))
    assert.are.equal("me", set:find "::1")
    local _, err, code = set:load(place:write("bad", "host.example\n"))
    assert.are.equal("invalid", code)
    assert.matches("/bad: line 1: no network", err)
    assert.are.equal("not_found", select(3, set:load(place.path .. "/none")))
    assert.are.equal("too_large", select(3, set:load(place.path .. "/list", { max = 3 })))
    assert.are.equal("me", set:find "::1")
  end)

  it("tells the network of an address", function()
    local narrow = { ipv4_prefix = 24, ipv6_prefix = 64 }
    assert.are.equal("192.0.2.7", ipset.network "192.0.2.7:4711")
    assert.are.equal("192.0.2.0/24", ipset.network("192.0.2.7:4711", narrow))
    assert.are.equal("2001:db8::/64", ipset.network("[2001:db8::1]:80", narrow))
    assert.are.equal("2001:db8::1", ipset.network "2001:db8::1")
    assert.are.equal("0.0.0.0/0", ipset.network("192.0.2.7", { ipv4_prefix = 0 }))
    assert.is_nil(ipset.network "unix://")
    local message = refusal(function() ipset.network("::1", { ipv6_prefix = 129 }) end)
    assert.matches("ipset_spec.lua:%d+: .*'ipv6_prefix': an integer from 0 to 128", message)
  end)

  it("is replaced whole", function()
    local set = ipset.of { "10.0.0.0/8" }
    assert.are.equal(set, set:replace { ["::1"] = "me" })
    assert.is_nil(set:find "10.0.0.1")
    local message = refusal(function() set:replace { "x" } end)
    assert.matches("ipset_spec.lua:%d+: .*'replace' %(x: no network", message)
    assert.are.equal("me", set:find "::1")
  end)

  it("refuses what is no network, and blames the caller", function()
    local function new(networks)
      return function() local _ = ipset.of(networks) end
    end
    local message = refusal(new { "10.0.0.1/8" })
    assert.matches("ipset_spec.lua:%d+: bad argument #1 to 'of' %(10.0.0.1/8: .*bits behind", message)
    assert.matches("no text", refusal(new { 7 }))
    assert.matches("no text", refusal(new { [true] = 1 }))
    assert.matches("table expected, got string", refusal(new "10.0.0.0/8"))
    local set = ipset.of()
    assert.matches("string expected, got nil", refusal(function() set:find() end)) ---@diagnostic disable-line
    assert.matches("unknown option 'most'", refusal(function() set:load("x", { most = 1 }) end))
    assert.matches("call it with a colon", refusal(function() set.find "::1" end))
  end)
end)
