local contract = assert(loadfile("spec/store/contract.lua", "t", _ENV))()
local store = require "moonwire.store"

contract("memory", function()
  return store.open "memory:"
end, {
  small = function()
    return store.open "memory:?size=1M"
  end,
})

describe("store.open", function()
  local function refusal(url)
    local ok, message = pcall(function() store.open(url) end)
    assert.is_false(ok)
    return message
  end

  it("refuses what is no URL of a store and blames the line", function()
    assert.is_truthy(refusal("nowhere"):find "^spec/store/memory_spec.lua:%d+: .*no URL of a store")
    assert.is_truthy(refusal("nosuch://x"):find("no store of the kind 'nosuch:'", 1, true))
    assert.is_truthy(refusal("handle:"):find("no store of the kind 'handle:'", 1, true))
    assert.is_truthy(refusal("memory:/x"):find("memory: has no path", 1, true))
    assert.is_truthy(refusal("memory:?size=2"):find("size: from 1M", 1, true))
    assert.is_truthy(refusal("memory:?size=2M&size=3M"):find("twice", 1, true))
    assert.is_truthy(refusal("memory:?sise=2M"):find("unknown option 'sise' (known: size)", 1, true))
    assert.is_truthy(refusal("memory:?size"):find("is no option", 1, true))
  end)

  it("gives each its own keys, and the module has the default", function()
    local one, other = store.open "memory:", store.open "memory:"
    one:set("a", 1)
    other:set("a", 2)
    store.set("a", 3)
    assert.are.same({ 1, 2, 3 }, { one:get "a", other:get "a", store.get "a" })
    assert.are.equal(4, store.incr "a")
    assert.is_true(store.compare_and_set("a", 4, 5))
    assert.is_true(store.expire("a", 10))
    local keys = {}
    for key, value in store.scan "a" do
      keys[key] = value
    end
    assert.are.same({ a = 5 }, keys)
    assert.is_true(store.delete "a")
    local ok, message = pcall(function() store.get "" end)
    assert.is_false(ok)
    assert.is_truthy(message:find "^spec/store/memory_spec.lua:%d+:")
  end)
end)
