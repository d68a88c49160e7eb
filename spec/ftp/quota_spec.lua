-- Quotas that several have together, over the store.
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local ftp = require "moonwire.ftp"
local store = require "moonwire.store"

describe("a quota that is shared", function()
  local place, root

  before_each(function()
    place = folder.new()
    place:write("a", ("x"):rep(60))
    root = assert(file.root(place.path))
  end)

  after_each(function()
    root:close()
    place:remove()
    store.delete "quota"
  end)

  local function open(recount)
    return assert(ftp.quota(root, 100, { shared = "quota", recount = recount }))
  end

  it("counts what all write and remove", function()
    local one, two = open(true), open(false)
    assert.is_true(one:take(30))
    assert.is_false(two:take(11))
    assert.is_true(two:take(10))
    assert.is_false(one:take(1))
    two:give(5)
    assert.is_true(one:take(5))
    assert.are.equal(100, store.get "quota")
  end)

  it("counts anew when it should, unless others write meanwhile", function()
    local one = open(true)
    one:take(10)
    assert.are.equal(70, open(false).used)
    assert.are.equal(60, open(true).used)
    local change = store.compare_and_set
    store.compare_and_set = function(...)
      store.incr("quota", 7) -- somebody is faster
      return change(...)
    end
    local _ <close> = setmetatable({}, { __close = function() store.compare_and_set = change end })
    assert.are.equal(67, open(true).used)
  end)

  it("goes on by itself while the store is away, and tells it later", function()
    local one, incr = open(true), store.incr
    do
      local _ <close> = setmetatable({}, { __close = function() store.incr = incr end })
      store.incr = function() return nil, "away", "unreachable" end
      assert.is_true(one:take(30))
      assert.is_false(one:take(11))
      one:give(10)
      assert.is_true(one:take(5))
      assert.are.equal(60, store.get "quota")
    end
    assert.is_true(one:take(10))
    assert.are.equal(95, store.get "quota")
    assert.are.equal(95, one.used)
  end)

  it("takes again what others have made room for when the store is back", function()
    local one, two, incr = open(true), open(false), store.incr
    do
      local _ <close> = setmetatable({}, { __close = function() store.incr = incr end })
      store.incr = function() return nil, "away", "unreachable" end
      assert.is_true(one:take(40))
      assert.is_false(one:take(1))
    end
    two:give(60)
    assert.is_true(one:take(50))
    assert.are.equal(90, store.get "quota")
  end)

  it("blames callers for what cannot be", function()
    for options, problem in pairs {
      [{ shared = "" }] = "a key of 1 to 500 bytes expected", [{ shard = "x" }] = "unknown option 'shard'",
    } do
      local ok, message = pcall(function() ftp.quota(root, 1, options) end)
      assert.is_false(ok)
      assert.is_truthy(message:find("^spec/ftp/quota_spec.lua:%d+: bad argument #3 to 'quota'"), message)
      assert.is_truthy(message:find(problem, 1, true), message)
    end
  end)
end)
