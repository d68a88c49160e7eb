local net = require "moonwire.net"
local show = require "moonwire.repl.show"

describe("a value at the prompt", function()
  it("reads as it is written in Lua", function()
    for value, text in pairs {
      [1] = "1", [1.5] = "1.5", [math.huge] = "inf", [true] = "true", [""] = '""',
      ["a\n\t\"\\\0\200"] = [["a\n\t\"\\\x00\xc8"]], ["äöü 漢字"] = '"äöü 漢字"', ["\27[2J"] = [["\x1b[2J"]],
    } do
      assert.are.equal(text, show.value(value))
    end
    assert.are.equal("nil", show.value(nil))
    assert.is_truthy(show.value(print):find "^function: ")
  end)

  it("shows tables with their keys in order", function()
    assert.are.equal("{}", show.value {})
    assert.are.equal("{ 1, 2, { 3 } }", show.value { 1, 2, { 3 } })
    assert.are.equal('{ 1, [0] = 0, [2.5] = 2, a = 1, ["b c"] = 2, ["end"] = 3, [true] = 4 }',
      show.value { 1, [0] = 0, [2.5] = 2, a = 1, ["b c"] = 2, ["end"] = 3, [true] = 4 })
  end)

  it("breaks what is too wide for a line", function()
    assert.are.equal(('{\n  "%s",\n  x = {\n    "%s",\n    "%s",\n  },\n}'):format(
      ("a"):rep(70), ("b"):rep(40), ("c"):rep(40)),
      show.value { ("a"):rep(70), x = { ("b"):rep(40), ("c"):rep(40) } })
  end)

  it("cuts what is deep, long or contains itself", function()
    local own = { name = "own" }
    own.own = own
    assert.are.equal('{ name = "own", own = {…} (itself) }', show.value(own))
    assert.are.equal("{ { { { {…} } } } }", show.value { { { { { {} } } } } })
    assert.are.equal(('"%s"… (5000 bytes)'):format(("x"):rep(1000)), show.value(("x"):rep(5000)))
    local many = {}
    for i = 1, 100000 do
      many[i] = i
    end
    assert.is_truthy(show.value(many):find "… 99900 more")
    local wide = {}
    for i = 1, 50 do
      wide[i] = many
    end
    assert.is_true(#show.value(wide) < 20000)
    local deep = {}
    for _ = 1, 100000 do
      deep = { deep }
    end
    assert.is_true(#show.value(deep) < 100)
  end)

  it("calls no metamethod but __tostring", function()
    local function never() error "called" end
    local guarded = setmetatable({ 1, a = 2 }, {
      __index = never, __len = never, __pairs = never, __eq = never, __name = "x", __call = never,
    })
    assert.are.equal("{ 1, a = 2 }", show.value(guarded))
    local function with_tostring(fn)
      return show.value(setmetatable({}, { __tostring = fn }))
    end
    assert.are.equal("a point", with_tostring(function() return "a point" end))
    assert.is_truthy(with_tostring(never):find "__tostring fails")
    assert.is_truthy(with_tostring(function() return {} end):find "__tostring fails")
    local locked = setmetatable({ 1 }, { __metatable = false })
    assert.are.equal("{ 1 }", show.value(locked))
  end)

  it("shows objects as they show themselves", function()
    local a, b = net.pair()
    assert.is_truthy(show.value(a):find "^moonwire.stream: ")
    a:close()
    b:close()
  end)

  it("shows several on one line if each has one", function()
    assert.are.equal('1\tnil\t"x"', show.values(1, nil, "x"))
    local wide = { ("a"):rep(80) }
    assert.are.equal(('1\n{\n  "%s",\n}'):format(wide[1]), show.values(1, wide))
  end)
end)
