local core = require "moonwire.core"
local json = require "moonwire.json"
local net = require "moonwire.net"
local process = require "spec.support.process"
local task = require "moonwire.task"

local function raised(fn, ...)
  local ok, problem = pcall(fn, ...)
  assert.is_false(ok)
  return type(problem) == "string" and problem or (core.is_fault(problem))
end

-- A generator that gives the same values in every run.
local function generator(seed)
  local state = seed
  return function(below)
    state = state * 6364136223846793005 + 1442695040888963407
    return (state >> 33) % below
  end
end

local function random_string(random)
  local parts = {}
  for i = 1, random(12) do
    local points = { random(128), random(0x800), 0x4E00 + random(0x1000), 0x1F300 + random(0x100) }
    parts[i] = utf8.char(points[random(4) + 1])
  end
  return table.concat(parts)
end

local function random_value(random, depth)
  local kind = random(depth > 4 and 6 or 8)
  if kind == 0 then
    return json.null
  elseif kind == 1 then
    return random(2) == 0
  elseif kind == 2 then
    return (random(1 << 31) << 33) | random(1 << 31) << 2
  elseif kind == 3 then
    return (random(1 << 31) - (1 << 30)) / (random(1000) + 1) * 10.0 ^ (random(40) - 20)
  elseif kind < 6 then
    return random_string(random)
  end
  local value = {}
  for i = 1, random(5) do
    value[kind == 6 and i or random_string(random)] = random_value(random, depth + 1)
  end
  return kind == 6 and json.array(value) or value
end

describe("json.decode", function()
  it("gives each kind of value", function()
    assert.are.same({ { 1, 2.5, "x" }, true, false, { a = { b = {} } } },
      json.decode ' [[1, 2.5, "x"], true, false, {"a": {"b": {}}}]\r\n\t')
    assert.are.equal(json.null, json.decode "null")
    assert.are.equal(json.null, json.decode('{"a":null}').a)
    assert.are.equal("é😀\0/", json.decode [["\u00e9\ud83d\ude00\u0000\/"]])
    assert.are.equal("", json.decode '""')
  end)

  it("keeps integers, up to 64 bits, apart from floats", function()
    for text, value in pairs {
      ["9007199254740993"] = 9007199254740993, ["9223372036854775807"] = math.maxinteger,
      ["-9223372036854775808"] = math.mininteger, ["0"] = 0,
    } do
      assert.are.equal("integer", math.type(json.decode(text)))
      assert.are.equal(value, json.decode(text))
    end
    for text, value in pairs {
      ["1.0"] = 1.0, ["1e2"] = 100.0, ["9223372036854775808"] = 2.0 ^ 63, ["1E-2"] = 0.01,
    } do
      assert.are.equal("float", math.type(json.decode(text)))
      assert.are.equal(value, json.decode(text))
    end
    assert.are.equal("-0.0", tostring(json.decode "-0"))
  end)

  it("says line, column and byte of what is wrong", function()
    local cases = {
      { '{"a": 1,\n "b" 2}', "line 2, column 6: a colon expected", 15 },
      { '["é" x]', "line 1, column 6: a comma or ']' expected", 7 },
      { '{"a":1,"a":2}', "line 1, column 8: a key that the object has already", 8 },
      { "[1,]", "line 1, column 4: a value expected", 4 },
      { "01", "line 1, column 1: a number with a leading zero", 1 },
      { '"\t"', "line 1, column 2: a control character in a string", 2 },
      { '"\xff"', "line 1, column 2: bytes that are no UTF-8", 2 },
      { "[1", "line 1, column 3: the text ends too early", 3 },
      { "[] []", "line 1, column 4: something behind the value", 4 },
      { "1e999", "line 1, column 1: a number that is out of range", 1 },
    }
    for _, case in ipairs(cases) do
      assert.are.same({ n = 4, nil, "decode JSON at " .. case[2], "invalid", case[3] },
        table.pack(json.decode(case[1])))
    end
  end)

  it("has limits", function()
    local function nested(depth)
      return ("["):rep(depth) .. ("]"):rep(depth)
    end
    assert.is_table(json.decode(nested(128)))
    assert.are.same({ n = 4, nil, "too_large", "too_large", 129 }, table.pack(json.decode(nested(129))))
    assert.is_table(json.decode(nested(1000), { depth = 1000 }))
    assert.is_nil((json.decode(nested(1001), { depth = 1000 })))
    assert.are.equal("too_large", select(3, json.decode("[" .. (" "):rep(1024 * 1024), {})))
    assert.are.equal("too_large", select(3, json.decode("123", { max = 2 })))
    assert.are.equal(123, json.decode("123", { max = 3 }))
  end)

  it("replaces what is no UTF-8 when told to", function()
    assert.are.same({ "a\u{FFFD}", "\u{FFFD}" }, json.decode('["a\xff","\\udc00"]', { replace = true }))
    local long = ("\xff"):rep(1000)
    assert.are.equal(("\u{FFFD}"):rep(1000), json.decode('"' .. long .. '"', { replace = true }))
  end)

  it("raises for misuse, and blames the caller", function()
    assert.matches("json_spec.lua:%d+: bad argument #1 to 'decode'", raised(function() json.decode() end))
    assert.matches("json_spec.lua:%d+: bad argument #2 to 'decode' %(unknown option 'dept'",
      raised(function() json.decode("1", { dept = 1 }) end))
  end)
end)

describe("json.encode", function()
  it("writes each kind of value", function()
    local list = { 1, -2.5, "x", true, false, json.null, {} }
    assert.are.equal('[1,-2.5,"x",true,false,null,{}]', json.encode(list))
    assert.are.equal('{"a":{"b":[[]]}}', json.encode { a = { b = { json.array {} } } })
    assert.are.equal([["\"\\\b\f\n\r\t\u0000\u001f\u007f/é😀"]], json.encode '"\\\b\f\n\r\t\0\31\127/é😀')
  end)

  it("writes numbers so that they come back", function()
    for text, value in pairs {
      ["9223372036854775807"] = math.maxinteger, ["-9223372036854775808"] = math.mininteger,
      ["1.0"] = 1.0,
      ["0.1"] = 0.1, ["0.30000000000000004"] = 0.1 + 0.2, ["1e+300"] = 1e300, ["-0.0"] = -0.0,
      ["9007199254740992.0"] = 2.0 ^ 53,
    } do
      assert.are.equal(text, json.encode(value))
      assert.are.equal(value, json.decode(text))
    end
  end)

  it("keeps empty arrays that were decoded", function()
    local value = json.decode '{"list":[1],"none":[]}'
    table.remove(value.list)
    assert.are.equal('{"list":[],"none":[]}', json.encode(value, { sorted = true }))
  end)

  it("gives equal texts for equal values when sorted", function()
    local one, other = {}, {}
    for i = 1, 200 do
      one["key" .. i], other["key" .. 201 - i] = i, 201 - i
    end
    one.b, one.a, one["a\0"], one[""] = { z = 1, y = 2 }, 1, 1, 1
    other[""], other["a\0"], other.a, other.b = 1, 1, 1, { y = 2, z = 1 }
    local text = json.encode(one, { sorted = true })
    assert.are.equal(text, json.encode(other, { sorted = true }))
    assert.matches('^{"":1,"a":1,"a\\u0000":1,"b":{"y":2,"z":1},"key1":1,"key10":10,', text)
  end)

  it("indents", function()
    assert.are.equal('{\n  "a": [\n    1,\n    {}\n  ],\n  "b": {\n    "c": []\n  }\n}',
      json.encode({ a = { 1, {} }, b = { c = json.array {} } }, { indent = 2, sorted = true }))
  end)

  it("names the way to what JSON has not", function()
    local recursive = {}
    recursive.self = recursive
    local cases = {
      { { items = { 1, 2, { callback = print } } }, "items[3].callback: a value of type function" },
      { { a = { b = 0 / 0 } }, "a.b: not a number" },
      { { math.huge }, "[1]: an infinite number" },
      { { a = { 1, nil, 3 } }, "a: an array with gaps" },
      { { a = { 1, b = 2 } }, "a: a table with elements and other keys" },
      { { a = { [true] = 1 } }, "a: a table with a key that is neither" },
      { { a = { [1.5] = 1 } }, "a: a table with a key that is neither" },
      { { a = { [0] = 1 } }, "a: a table with a key that is neither" },
      { { a = "\xff" }, "a: a string that is not UTF-8" },
      { { ["\xff"] = 1 }, "a string that is not UTF-8" },
      { coroutine.create(print), "a value of type thread" },
      { io.stdout, "a value of type userdata" },
      { recursive, "nested too deeply, or a table within itself" },
    }
    for _, case in ipairs(cases) do
      for _, sorted in ipairs { true, false } do
        local problem = raised(function() json.encode(case[1], { sorted = sorted }) end)
        assert.is_truthy(problem:find(case[2], 1, true), problem)
        assert.matches("json_spec.lua:%d+: bad argument #1 to 'encode'", problem)
      end
    end
  end)

  it("has a limit of depth, and replaces when told to", function()
    assert.is_string(json.encode({ { { 1 } } }, { depth = 3 }))
    assert.matches("nested too deeply", raised(json.encode, { { { {} } } }, { depth = 3 }))
    assert.are.equal('"a\u{FFFD}b"', json.encode("a\xffb", { replace = true }))
  end)

  it("gives back what decode gives, whatever it is", function()
    local random = generator(20)
    for _ = 1, 500 do
      local value = random_value(random, 0)
      local text = json.encode(value, { sorted = true })
      assert.are.equal(text, json.encode(json.decode(text), { sorted = true }))
      local pretty = json.encode(value, { sorted = true, indent = 3 })
      assert.are.equal(text, json.encode(json.decode(pretty), { sorted = true }))
    end
  end)

  it("agrees with Python about what a text means", function()
    local random, lines = generator(4), {}
    for i = 1, 200 do
      lines[i] = json.encode(random_value(random, 0), { sorted = true })
    end
    local text = table.concat(lines, "\n") .. "\n"
    local status, output = process.run { "python3", "-c", [[
import json, sys
for line in sys.stdin.buffer:
    print(json.dumps(json.loads(line), separators=(",", ":")))]], input = text }
    assert.are.equal(0, status)
    local count = 0
    for line in output:gmatch("[^\n]+") do
      count = count + 1
      assert.are.equal(lines[count], json.encode(json.decode(line), { sorted = true }))
    end
    assert.are.equal(#lines, count)
  end)
end)

describe("json.array", function()
  it("refuses what is no table, and a table with a metatable", function()
    assert.is_false((pcall(json.array, 1)))
    assert.is_false((pcall(json.array, setmetatable({}, {}))))
    local list = json.array {}
    assert.are.equal(list, json.array(list))
  end)

  it("goes with values of lua-cjson: it has the same null", function()
    local cjson = require "cjson"
    assert.are.equal(cjson.null, json.null)
    local text = '{"a":[1,null,"x"],"b":{"c":true}}'
    assert.are.same(json.decode(text), cjson.decode(json.encode(cjson.decode(text))))
  end)
end)

describe("JSON on a stream", function()
  local a, b

  before_each(function()
    a, b = net.pair()
  end)

  it("is a value a line", function()
    assert.is_true(json.write_line(a, { n = 1 }))
    json.write_line(a, json.null)
    json.write_line(a, "two\nlines")
    a:write("  \r\n[3]\r\n")
    a:shutdown_write()
    local values = {}
    for value in json.lines(b) do
      values[#values + 1] = value
    end
    assert.are.same({ { n = 1 }, json.null, "two\nlines", { 3 } }, values)
  end)

  it("stops at a line that is no JSON, and says which", function()
    a:write("1\n\n{]\n")
    local next_value = json.lines(b)
    assert.are.equal(1, next_value())
    local _, fault = pcall(next_value)
    assert.are.same({ "invalid", "line 3: decode JSON at line 1, column 2: a key in quotes expected" },
      { core.is_fault(fault) })
  end)

  it("refuses at once what no line could be decoded with", function()
    assert.error_matches(function() json.read_line(a, { depth = 4096 }) end,
      "bad argument #2 to 'read_line' .*not within 1..1000")
    assert.error_matches(function() json.lines(b, { depth = 0 }) end, "bad argument #2 to 'lines'")
  end)

  it("raises what ends it otherwise", function()
    a:write('"long"\n')
    assert.are.equal("too_large", raised(json.lines(b, { max = 5 })))
    assert.are.equal("long", json.read_line(b, { max = 6 }))
    a:write("1")
    a:shutdown_write()
    assert.are.equal("eof", raised(json.lines(b)))
  end)

  it("consumes nothing when time is up", function()
    a:write('{"a"')
    b:configure { read_timeout = 0.01 }
    assert.are.same({ n = 3, nil, "timeout", "timeout" }, table.pack(json.read_line(b)))
    a:write(":1}\n")
    assert.are.same({ a = 1 }, json.read_line(b))
  end)

  it("uses a bad line up, and goes on behind it", function()
    a:write("nul\n2\n")
    assert.are.equal("invalid", select(3, json.read_line(b)))
    assert.are.equal(2, json.read_line(b))
  end)

  it("hands values between tasks as they come", function()
    local reader = task.spawn(function()
      local sum = 0
      for value in json.lines(b) do
        sum = sum + value.n
        json.write_line(b, { sum = sum })
      end
    end)
    for n = 1, 3 do
      json.write_line(a, { n = n })
    end
    assert.are.same({ sum = 1 }, json.read_line(a))
    assert.are.same({ sum = 3 }, json.read_line(a))
    assert.are.same({ sum = 6 }, json.read_line(a))
    a:shutdown_write()
    reader:join()
  end)

  it("raises for misuse", function()
    for problem, misuse in pairs {
      ["#1 to 'lines' %(stream expected"] = function() json.lines(nil) end,
      ["#2 to 'lines' %(unknown option 'sort'"] = function() json.lines(a, { sort = 1 }) end,
      ["#2 to 'write_line' %(a%.b: a value"] = function() json.write_line(a, { a = { b = print } }) end,
      ["#3 to 'write_line' %(unknown option 'sort'"] = function() json.write_line(a, 1, { sort = true }) end,
    } do
      assert.matches("json_spec.lua:%d+: bad argument " .. problem, raised(misuse))
    end
    local cause = {}
    local function refuse() error(cause) end
    local hostile = setmetatable({}, { __index = refuse, __pairs = refuse })
    local _, seen = pcall(json.write_line, a, 1, hostile)
    assert.equal(cause, seen)
  end)
end)
