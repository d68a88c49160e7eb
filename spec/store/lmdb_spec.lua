local condition = require "spec.support.condition"
local contract = assert(loadfile("spec/store/contract.lua", "t", _ENV))()
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local store = require "moonwire.store"

local places = {}

local function url(options)
  local place = folder.new()
  places[#places + 1] = place
  return "lmdb://" .. place.path .. "/store" .. (options or "")
end

local function clean()
  for _, place in ipairs(places) do
    place:remove()
  end
  places = {}
end

describe("over a file:", function()
  after_each(clean)

  contract("lmdb", function()
    return store.open(url())
  end, {
    small = function()
      return store.open(url "?size=1M")
    end,
  })
end)

-- Counts so many times in a store, and keeps and forgets texts there.
local COUNTER <const> = [[
local url, times = ...
local store = require "moonwire.store"
local opened = assert(store.open(url))
local text = ("x"):rep(3000)
for i = 1, math.tointeger(tonumber(times)) do
  assert(opened:incr "count")
  assert(opened:set("text/" .. i % 50, text, { expire = 0.01 * (i % 7) }))
end
]]

describe("a store, lmdb,", function()
  after_each(clean)

  local function counter(at, count)
    local place = folder.new()
    places[#places + 1] = place
    local script = place:write("count.lua", COUNTER)
    local words = { moonwire.binary, "run", script, "--cpu-limit", "0", "--", at, ("%d"):format(count) }
    return process.start(words)
  end

  it("counts right when several processes do", function()
    local at = url()
    local running = {}
    for i = 1, 3 do
      running[i] = counter(at, 500)
    end
    for _, one in ipairs(running) do
      condition.wait_until(function() return one:status() end, 60)
      assert.are.equal("", one:errors())
      one:stop()
    end
    local opened <close> = assert(store.open(at))
    assert.are.equal(1500, opened:get "count")
  end)

  it("goes on when processes are killed in the middle of writing", function()
    local at = url()
    local opened <close> = assert(store.open(at))
    local before = 0
    for _ = 1, 5 do
      local victims = { counter(at, 1000000000), counter(at, 1000000000) }
      condition.wait_until(function() return (opened:get "count" or 0) > before + 100 end, 60)
      for _, victim in ipairs(victims) do
        victim:signal "KILL"
      end
      for _, victim in ipairs(victims) do
        condition.wait_until(function() return victim:status() end, 20)
        victim:stop()
      end
      -- Who was killed right behind a change has not told readers of it: the next writer does.
      local count = opened:get "count"
      before = opened:incr "count"
      assert.is_true(before == count + 1 or before == count + 2)
      assert.are.equal(before, opened:get "count")
      local texts = 0
      for _, text in opened:scan "text/" do
        assert.are.equal(3000, #text)
        texts = texts + 1
      end
      assert.is_true(texts <= 50)
    end
  end)

  it("is there again when it is opened again", function()
    local at = url()
    local first = assert(store.open(at))
    first:set("a", { 1, 2 })
    local second = assert(store.open(at))
    first:close()
    assert.are.same({ 1, 2 }, second:get "a")
    second:close()
    local third <close> = assert(store.open(at))
    assert.are.same({ 1, 2 }, third:get "a")
  end)

  -- As after a fall of the machine: what has not reached the disk is anything.
  local function fall(place)
    assert(place:read "store/saved.mdb")
    place:write("store/live.mdb", ("\xff"):rep(100000))
    place:write("store/boot", "another")
  end

  it("begins from what was saved when the machine has fallen", function()
    local at = url()
    local place = places[#places]
    local first = assert(store.open(at))
    for i = 1, 500 do
      first:set("k" .. i, ("x"):rep(i))
    end
    first:set("past", 1, { expire = 0.001 })
    first:close()
    fall(place)
    local second = assert(store.open(at))
    for i = 1, 500 do
      assert.are.equal(("x"):rep(i), second:get("k" .. i))
    end
    assert.are.equal(1, second:incr "count")
    second:close()
    fall(place)
    local last <close> = assert(store.open(at))
    assert.are.equal(1, last:get "count")
  end)

  it("is saved while it is open, soon after a change", function()
    local at = url()
    local place = places[#places]
    local opened <close> = assert(store.open(at))
    opened:set("a", ("marked"):rep(10))
    local function is_saved(text)
      return (place:read "store/saved.mdb" or ""):find(text, 1, true)
    end
    condition.wait_until(function() return is_saved "markedmarked" end, 30)
    opened:set("b", ("again"):rep(10))
    condition.wait_until(function() return is_saved "againagain" end, 30)
  end)

  it("begins empty when nothing was saved before the fall", function()
    local at = url()
    local place = places[#places]
    place:write("store/live.mdb", "nonsense")
    local opened <close> = assert(store.open(at))
    assert.is_nil(opened:get "a")
    assert.is_true(opened:set("a", 1))
  end)

  it("says what is wrong with its address or folder", function()
    local opened, err, code = store.open "lmdb:///proc/none/store"
    assert.is_nil(opened)
    assert.are.equal("not_found", code)
    assert.is_truthy(err:find("open store /proc/none/store", 1, true))
    local ok, message = pcall(store.open, "lmdb://relative/path")
    assert.is_false(ok)
    assert.is_truthy(message:find("an absolute path expected", 1, true))
  end)
end)
