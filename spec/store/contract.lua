--- What every backend of moonwire.store must do. The spec file of a backend loads this in its own
--- environment and calls it with how to open a store that is empty:
---
---     local contract = assert(loadfile("spec/store/contract.lua", "t", _ENV))()
---     contract("redis", function() return store.open(url) end)
local condition = require "spec.support.condition"
local json = require "moonwire.json"

---@param name string
---@param open fun(): moonwire.store
---@param options? { small?: fun(): moonwire.store, key_most?: integer } `small` opens one of 1 MiB
return function(name, open, options)
  local cache

  local function refusal(...)
    local ok, message = pcall(...)
    assert.is_false(ok)
    return message
  end

  -- The code of a call that failed.
  local function code(...)
    local result, err, word = ...
    assert.is_nil(result)
    assert.are.equal("string", type(err))
    return word
  end

  local function collect(...)
    local keys, values = {}, {}
    for key, value in cache:scan(...) do
      keys[#keys + 1] = key
      values[#values + 1] = value
    end
    return keys, values
  end

  local function is_gone(key)
    return condition.wait_until(function() return select(3, cache:get(key)) == "not_found" end, 20)
  end

  describe("a store, " .. name .. ",", function()
    before_each(function()
      cache = assert(open())
    end)

    after_each(function()
      cache:close()
    end)

    it("gives back what was set", function()
      assert.are.equal("not_found", code(cache:get "a"))
      for _, value in ipairs {
        "text", "", "7", "-12", "007", "\0", "\0\1\2", "a\r\nb\0c", 7, -7, 0, math.maxinteger,
        math.mininteger, 1.5, 1.0, true, false, json.null, { 1, 2, { x = "y" } }, {},
      } do
        assert.is_true(cache:set("a", value))
        local got = cache:get "a"
        assert.are.same(value, got)
        assert.are.equal(math.type(value), math.type(got))
      end
    end)

    it("takes any bytes as keys", function()
      local longest = ("k"):rep(options and options.key_most or 500)
      local keys = { "\0", " ", "a", "a\0", "a b\r\n", "ü*?[a-z]", "\255", longest }
      for i, key in ipairs(keys) do
        assert.is_true(cache:set(key, i))
      end
      for i, key in ipairs(keys) do
        assert.are.equal(i, cache:get(key))
      end
      local all = collect("")
      table.sort(keys)
      assert.are.same(keys, all)
    end)

    it("replaces, keeps what is there, and deletes", function()
      assert.is_true(cache:set("a", 1))
      assert.is_true(cache:set("a", 2))
      assert.are.equal("exists", code(cache:set("a", 3, { only_new = true })))
      assert.are.equal(2, cache:get "a")
      assert.is_true(cache:delete "a")
      assert.is_false(cache:delete "a")
      assert.are.equal("not_found", code(cache:get "a"))
      assert.is_true(cache:set("a", 3, { only_new = true }))
      assert.are.equal(3, cache:get "a")
    end)

    it("counts", function()
      assert.are.equal(1, cache:incr "n")
      assert.are.equal(11, cache:incr("n", 10))
      assert.are.equal(8, cache:incr("n", -3))
      assert.are.equal(8, cache:incr("n", 0))
      assert.are.equal(8, cache:get "n")
      assert.is_true(cache:set("n", 41))
      assert.are.equal(42, cache:incr "n")
      for _, value in ipairs { "text", "7", 1.5, true, {} } do
        assert.is_true(cache:set("n", value))
        assert.are.equal("invalid", code(cache:incr "n"))
        assert.are.same(value, cache:get "n")
      end
      cache:set("n", math.maxinteger - 1)
      assert.are.equal(math.maxinteger, cache:incr "n")
      assert.are.equal("invalid", code(cache:incr "n"))
      cache:set("n", math.mininteger)
      assert.are.equal("invalid", code(cache:incr("n", -1)))
      assert.are.equal(math.mininteger, cache:get "n")
    end)

    it("forgets what is past its time", function()
      cache:set("a", 1, { expire = 0.05 })
      cache:set("b", 1)
      cache:incr("c", 5, { expire = 0.05 })
      assert.is_true(is_gone "a")
      assert.is_true(is_gone "c")
      assert.are.same({ "b" }, (collect("")))
      assert.is_false(cache:delete "a")
      assert.are.equal("not_found", code(cache:expire("a", 10)))
      assert.is_true(cache:set("a", 2, { only_new = true }))
      assert.is_true(cache:compare_and_set("c", nil, 3))
      assert.are.equal(4, cache:incr "c")
      cache:set("d", 1, { expire = 0 })
      assert.is_true(is_gone "d")
    end)

    it("lets the time of a count begin with the first", function()
      cache:incr("n", 1, { expire = 0.05 })
      cache:incr("n", 1, { expire = 1000 })
      assert.is_true(is_gone "n")
      assert.are.equal(1, cache:incr("n", 1, { expire = 1000 }))
    end)

    it("sets and takes away the time of what is there", function()
      cache:set("a", 1, { expire = 1000 })
      assert.is_true(cache:expire("a", 0.05))
      cache:set("b", 1, { expire = 0.05 })
      assert.is_true(cache:expire("b", false))
      cache:set("c", 1, { expire = 0.05 })
      assert.is_true(cache:set("c", 2))
      cache:set("d", 1, { expire = 0.05 })
      assert.is_true(cache:compare_and_set("d", 1, 2))
      assert.is_true(is_gone "a")
      assert.are.same({ "b", "c", "d" }, (collect("")))
      assert.are.equal("not_found", code(cache:expire("nobody", 1)))
      assert.is_true(cache:set("e", 1, { expire = math.huge }))
      assert.are.equal(1, cache:get "e")
    end)

    it("changes only what is as expected", function()
      assert.are.equal("conflict", code(cache:compare_and_set("a", 1, 2)))
      assert.is_true(cache:compare_and_set("a", nil, 1))
      assert.are.equal("conflict", code(cache:compare_and_set("a", nil, 2)))
      assert.are.equal("conflict", code(cache:compare_and_set("a", "1", 2)))
      assert.are.equal("conflict", code(cache:compare_and_set("a", 1.0, 2)))
      assert.is_true(cache:compare_and_set("a", 1, { x = 1, y = { 2 }, z = "z" }))
      assert.are.equal("conflict", code(cache:compare_and_set("a", { x = 1 }, 3)))
      assert.is_true(cache:compare_and_set("a", { z = "z", y = { 2 }, x = 1 }, "text"))
      assert.is_true(cache:compare_and_set("a", "text", nil))
      assert.are.equal("not_found", code(cache:get "a"))
      assert.is_true(cache:compare_and_set("a", nil, nil))
      assert.are.equal("conflict", code(cache:compare_and_set("a", {}, 1)))
    end)

    it("goes through keys in their order", function()
      for i = 1, 250 do
        cache:set(("k/%03d"):format(251 - i), 251 - i)
      end
      cache:set("j", 0)
      cache:set("k0", 0)
      local keys, values = collect("k/")
      assert.are.equal(250, #keys)
      for i = 1, 250 do
        assert.are.equal(("k/%03d"):format(i), keys[i])
        assert.are.equal(i, values[i])
      end
      assert.are.same({ "k/001", "k/002" }, (collect("k/", { max = 2 })))
      assert.are.same({ "k/101", "k/102" }, (collect("k/", { max = 2, after = "k/100" })))
      assert.are.same({ "k/250" }, (collect("k/", { after = "k/249" })))
      assert.are.same({ "k/001" }, (collect("k/", { max = 1, after = "a" })))
      assert.are.same({}, (collect("k/", { after = "l" })))
      assert.are.same({}, (collect "x"))
      assert.are.same({ "j", "k/001" }, (collect("", { max = 2 })))
      assert.are.equal(100, #collect("k/", { max = 100 }))
    end)

    it("goes on while keys come and go", function()
      for i = 1, 150 do
        cache:set(("k%03d"):format(i), i)
      end
      local seen = 0
      for key in cache:scan "k" do
        seen = seen + 1
        cache:delete(key)
      end
      assert.are.equal(150, seen)
      assert.are.same({}, (collect "k"))
    end)

    it("keeps values of 1 MiB and no larger ones", function()
      local text = ("x"):rep(1 << 20)
      assert.is_true(cache:set("a", text))
      assert.are.equal(text, cache:get "a")
      assert.are.equal("too_large", code(cache:set("a", text .. "x")))
      assert.are.equal("too_large", code(cache:set("a", { text })))
      assert.are.equal("too_large", code(cache:compare_and_set("a", text, text .. "x")))
      assert.are.equal(text, cache:get "a")
      assert.is_true(cache:compare_and_set("a", text, 1))
    end)

    it("refuses mistakes and blames the line", function()
      local message = refusal(function() cache:get "" end)
      assert.is_truthy(message:find "^spec/store/contract.lua:%d+: .*1 to 500 bytes")
      assert.is_truthy(refusal(function() cache:get(("x"):rep(501)) end):find("got 501", 1, true))
      assert.is_truthy(refusal(function() cache:get(1) end):find("string expected", 1, true))
      assert.is_truthy(refusal(function() cache:set("a", nil) end):find("delete takes a key away", 1, true))
      message = refusal(function() cache:set("a", { f = print }) end)
      assert.is_truthy(message:find "^spec/store/contract.lua:%d+: value.f is a function")
      message = refusal(function() cache:set("a", 1, { ttl = 1 }) end)
      assert.is_truthy(message:find("unknown option 'ttl'", 1, true))
      assert.is_truthy(refusal(function() cache:incr("a", 1.5) end):find("integer expected", 1, true))
      assert.is_truthy(refusal(function() cache:expire("a", -1) end):find("seconds", 1, true))
      assert.is_truthy(refusal(function() cache:scan(nil) end):find("string expected", 1, true))
      assert.is_truthy(refusal(function() cache.get("a") end):find("call it with a colon", 1, true))
    end)

    if options and options.small then
      it("is full at its size, and has room again when keys expire or go", function()
        local small = assert(options.small())
        local text, count = ("x"):rep(10000), 0
        local ok, err, word = small:set("k0", text, { expire = 0.3 })
        while ok do
          count = count + 1
          assert.is_true(count < 200)
          ok, err, word = small:set("k" .. count, text, { expire = 0.3 })
        end
        assert.are.same({ "string", "full" }, { type(err), word })
        assert.is_true(count > 50)
        assert.is_true(condition.wait_until(function() return small:set("other", text) end, 20))
        local function is_out() return select(3, small:get "k1") == "not_found" end
        assert.is_true(condition.wait_until(is_out, 20))
        for i = 1, 50 do
          assert.is_true(condition.wait_until(function() return small:set("again" .. i, text) end, 20))
        end
        repeat
          count = count + 1
          ok = small:set("last" .. count, text)
        until not ok
        assert.is_true(small:delete "again1")
        assert.is_true(small:delete "again2")
        assert.is_true(small:set("again1", text))
        small:close()
      end)
    end
  end)
end
