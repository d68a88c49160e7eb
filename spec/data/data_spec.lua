local core = require "moonwire.core"
local json = require "moonwire.json"

local data = core.data

local function raised(fn, ...)
  local ok, problem = pcall(fn, ...)
  assert.is_false(ok)
  return problem
end

local function again(value)
  return data.decode(data.encode(value))
end

-- A generator that gives the same values in every run.
local function generator(seed)
  local state = seed
  return function(below)
    state = state * 6364136223846793005 + 1442695040888963407
    return (state >> 33) % below
  end
end

local function random_bytes(random)
  local bytes = {}
  for i = 1, random(20) do
    bytes[i] = string.char(random(256))
  end
  return table.concat(bytes)
end

local function random_value(random, depth)
  local kind = random(depth > 4 and 5 or 7)
  if kind == 0 then
    return random(2) == 0
  elseif kind == 1 then
    return (random(1 << 31) << 33) | random(1 << 31) << 2
  elseif kind == 2 then
    return (random(1 << 31) - (1 << 30)) / (random(1000) + 1)
  elseif kind < 5 then
    return random_bytes(random)
  end
  local value = {}
  for i = 1, random(6) do
    value[kind == 5 and i or random_value(random, 5)] = random_value(random, depth + 1)
  end
  return value
end

describe("plain data", function()
  it("stays what it is", function()
    for _, value in ipairs {
      true, false, 0, -1, 63, 64, math.maxinteger, math.mininteger, 0.0, 1.5, 1e308, -math.huge, "", "text",
      "\0\xff binary", ("x"):rep(100000),
    } do
      local got = again(value)
      assert.are.equal(value, got)
      assert.are.equal(math.type(value), math.type(got))
    end
    assert.is_nil(again(nil))
    assert.are.equal("-0.0", tostring(again(-0.0)))
    local nan = again(0 / 0)
    assert.are_not.equal(nan, nan)
  end)

  it("has tables with all keys there are", function()
    local value = {
      1, 2.0, "three", [-5] = "minus", [1.5] = "float", [true] = "yes", [false] = "no", ["\0"] = "nul",
      nested = { { {} }, { a = { b = { c = "d" } } } }, [math.maxinteger] = {},
    }
    assert.are.same(value, again(value))
    assert.are.equal("integer", math.type(next(again { [7] = true })))
  end)

  it("comes back whatever it is", function()
    for seed = 1, 300 do
      local value = random_value(generator(seed), 0)
      assert.are.same(value, again(value))
    end
  end)

  it("keeps what JSON means by its values", function()
    local text = '{"list":[],"null":null,"nulls":[null,1,null],"object":{}}'
    local value = again(json.decode(text))
    assert.are.equal(json.null, value.null)
    assert.are.equal(text, json.encode(value, { sorted = true }))
    assert.is_nil(again(json.null))
  end)

  it("is copied as often as it occurs", function()
    local shared = { "x" }
    local value = again { shared, shared, { shared } }
    assert.are.same({ { "x" }, { "x" }, { { "x" } } }, value)
    assert.are_not.equal(value[1], value[2])
  end)

  it("calls no metamethod and looks behind none", function()
    local list = setmetatable({}, { __index = function() error "called" end, __pairs = error })
    local why = "value is a table with a metatable; only plain data can be passed on"
    assert.matches(why, raised(data.encode, list), 1, true)
  end)
end)

describe("what is no plain data", function()
  local function refusal(value)
    local problem = raised(data.encode, value, "state")
    local why = problem:match "^spec/data/data_spec%.lua:%d+: (.*)$" or problem
    return (why:gsub("; only plain data can be passed on$", ""))
  end

  it("is refused with the way to it", function()
    assert.are.equal("state is a function", refusal(print))
    assert.are.equal("state is a thread", refusal(coroutine.create(print)))
    assert.are.equal("state is a userdata", refusal(io.stdout))
    assert.are.equal("state.players[3].conn is a userdata",
      refusal { players = { {}, {}, { conn = io.stdout } } })
    assert.are.equal('state[true][1.5]["a b"] is a function',
      refusal { [true] = { [1.5] = { ["a b"] = print } } })
    assert.are.equal("state[\"1st\"][\"??\"] is a function", refusal { ["1st"] = { ["\0\xff"] = print } })
    assert.are.equal("state.x has a key that is a table", refusal { x = { [{}] = 1 } })
    assert.are.equal("state has a key that is a function", refusal { [print] = 1 })
    local err = core.fault("closed", "closed")
    assert.are.equal("state.err is a table with a metatable", refusal { err = err })
    assert.are.equal("state.aaaaaaaaaaaaaaaaaaaaaaaa... is a function", refusal { [("a"):rep(1000)] = print })
    assert.are.equal('state[""] is a function', refusal { [""] = print })
  end)

  it("is refused when it is within itself", function()
    local game = { players = { {} } }
    game.players[1].game = game
    assert.are.equal("state.players[1].game is a table that it is within (a cycle)", refusal(game))
  end)

  it("is refused when it nests too deep", function()
    local value = {}
    for _ = 2, 100 do
      value = { a = value }
    end
    assert.are.same(value, again(value))
    assert.are.equal("state....a.a.a.a.a.a is nested more than 100 tables deep, too deep to be passed on",
      refusal { a = value })
  end)

  it("is refused when it is too large", function()
    local mebi = ("x"):rep(1 << 20)
    local pieces = {}
    for i = 1, 64 do
      pieces[i] = mebi
    end
    assert.are.equal("state is too large: more than 64 MiB cannot be passed on", refusal(pieces))
    assert.are.equal("state is too large: more than 64 MiB cannot be passed on", refusal(mebi:rep(65)))
    pieces[64] = nil
    assert.are.equal(63, #again(pieces))
    local again_and_again = {}
    for _ = 1, 60 do
      again_and_again = { again_and_again, again_and_again }
    end
    assert.are.equal("state is too large: more than 64 MiB cannot be passed on", refusal(again_and_again))
  end)

  it("blames the line that is asked for", function()
    local function pass(value, level)
      data.encode(value, "it", level)
      return true
    end
    local here = debug.getinfo(1, "l").currentline + 1
    local problem = raised(function() return pass(print, 2), 0 end)
    local why = "spec/data/data_spec.lua:" .. here .. ": it is a function; only plain data can be passed on"
    assert.are.equal(why, problem)
  end)
end)

describe("bytes that are no data", function()
  local REFUSED <const> = { n = 3, nil, "decode data: these bytes are no whole message of data", "invalid" }

  it("are refused", function()
    for _, bytes in ipairs { "", "\x09", "\0\0", "\3", "\5\4abc", "\6\2\0\0\0\0\1" } do
      assert.are.same(REFUSED, table.pack(data.decode(bytes)))
    end
  end)

  it("are refused wherever a message is cut", function()
    local bytes = data.encode { name = "x", list = { 1, 2.5, { true } } }
    for size = 0, #bytes - 1 do
      assert.are.same(REFUSED, table.pack(data.decode(bytes:sub(1, size))))
    end
  end)

  it("harm nobody whatever they are", function()
    local random = generator(7)
    local whole = data.encode { name = "x", list = { 1, 2.5, { true } }, [-1] = "y" }
    for _ = 1, 20000 do
      local at = random(#whole) + 1
      local bytes = whole:sub(1, at - 1) .. string.char(random(256)) .. whole:sub(at + 1)
      local value, err, code = data.decode(bytes)
      assert.is_true(value ~= nil and not err or code == "invalid" or bytes == "\0")
    end
  end)
end)
