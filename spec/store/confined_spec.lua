-- The part of a store that a sandbox has.
local confined = require "moonwire.store.confined"
local contract = assert(loadfile("spec/store/contract.lua", "t", _ENV))()
local memory = require "moonwire.store.memory"
local Store = require "moonwire.store.handle"

local MIB <const> = 1 << 20

local function new_memory()
  return memory.open { url = "memory:", scheme = "memory", rest = "", options = {} }
end

local function open(backend, name)
  return Store.new(confined.new(backend, name), "memory:")
end

contract("confined", function()
  return open(new_memory(), "guest")
end, { key_most = 500 - #"sandbox/guest/" })

describe("a store of a sandbox", function()
  it("has the keys below the name of its service, and no others", function()
    local inner = new_memory()
    local all, one, two = Store.new(inner, "memory:"), open(inner, "one"), open(inner, "two")
    all:set("secret", 1)
    all:set("sandbox/two", 2)
    one:set("a", "of one")
    two:set("a", "of two")
    assert.are.equal("of one", one:get "a")
    for _, key in ipairs { "secret", "../secret", "two/a", "/../two/a", "sandbox/two/a" } do
      assert.are.equal("not_found", select(3, one:get(key)), key)
      assert.is_false(one:delete(key))
    end
    local seen = {}
    for key in one:scan "" do
      seen[#seen + 1] = key
    end
    assert.are.same({ "a" }, seen)
    assert.are.equal("of two", all:get "sandbox/two/a")
  end)

  it("has shorter keys", function()
    local guest = open(new_memory(), "guest")
    local key = ("k"):rep(500)
    assert.are.equal("too_large", select(3, guest:set(key, 1)))
    assert.are.equal("too_large", select(3, guest:incr(key)))
    assert.are.equal("too_large", select(3, guest:compare_and_set(key, nil, 1)))
    assert.are.equal("not_found", select(3, guest:get(key)))
    assert.are.equal("not_found", select(3, guest:expire(key, 1)))
    assert.is_false(guest:delete(key))
    assert.is_nil(guest:scan(key)())
    assert.is_true(guest:set(("k"):rep(400), 1))
  end)

  it("has room for so many bytes, whoever wrote them", function()
    local inner = new_memory()
    local one, again = open(inner, "guest"), open(inner, "guest")
    local text = ("x"):rep(MIB - 100)
    for i = 1, 4 do
      assert.is_true(one:set("big" .. i, text))
    end
    assert.are.equal("full", select(3, one:set("big5", text)))
    assert.are.equal("full", select(3, again:set("big5", text)))
    assert.is_true(one:set("big1", text .. "y")) -- in place of another
    assert.is_true(one:delete "big2")
    assert.is_true(open(inner, "guest"):set("big5", text))
    assert.is_true(open(inner, "other"):set("big", text))
  end)

  it("has room for so many keys", function()
    local inner = new_memory()
    local guest, count = open(inner, "guest"), 0
    while guest:set("key" .. count, 1) do
      count = count + 1
    end
    assert.are.equal(10000, count)
    assert.is_true(guest:set("key1", 2))
    assert.are.equal("full", select(3, guest:incr "another"))
    assert.are.equal("full", select(3, guest:compare_and_set("another", nil, 1)))
    assert.are.equal("full", select(3, open(inner, "guest"):set("another", 1)))
  end)
end)
