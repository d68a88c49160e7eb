local complete = require "moonwire.repl.complete"
local net = require "moonwire.net"
local words = require "moonwire.repl.words"

local function names(text)
  local _, found = complete.names(text)
  return table.concat(found, " ")
end

local function never()
  error "called"
end

describe("completion at the prompt", function()
  local globals

  before_each(function()
    globals = setmetatable({ apple = { core = { seed = 1 } }, apricot = 1 }, { __index = never })
    words.set(globals)
  end)

  it("finds globals, Moonwire's modules and keywords", function()
    assert.are.equal("apple apricot", names "print(ap")
    assert.are.equal("task then timer true", names "t")
    assert.are.equal("while", names "whi")
    assert.are.equal("", names "nothing_begins_like_this")
  end)

  it("finds fields", function()
    assert.are.equal("core", names "x = apple.")
    assert.are.equal("seed", names "apple.core.s")
    assert.are.equal("connect connect_datagram", names "net.co")
    assert.are.equal("", names "apple.core.seed.x")
    assert.are.equal("", names "f().co")
    assert.are.equal("", names "apple[1].co")
    assert.are.equal("seed", names "return apple.core.")
    assert.are.equal("seed", names "'x'..apple.core.")
    assert.are.equal("apple apricot", names "'x' .. ap")
    assert.are.equal("", names "f().apple.")
    assert.are.equal("", names "f().ap")
    assert.are.equal("seed", names "apple.core.x + apple.core.")
  end)

  it("finds methods of tables, strings and objects, along __index", function()
    globals.text = "abc"
    assert.are.equal("rep reverse", names "text:re")
    local base = { greet = never, name = "x" }
    local middle = setmetatable({}, { __index = base })
    globals.object = setmetatable({ own = never, size = 1 }, { __index = middle })
    assert.are.equal("greet own", names "object:")
    assert.are.equal("greet name own size", names "object.")
    local a, b = net.pair()
    globals.conn = a
    assert.are.equal("read read_all read_line read_some read_until", names "conn:re")
    a:close()
    b:close()
  end)

  it("calls nothing", function()
    globals.guarded = setmetatable({ field = 1 }, { __index = never, __pairs = never, __len = never })
    assert.are.equal("field", names "guarded.f")
    assert.are.equal("", names "guarded.missing.x")
    assert.are.equal("", names "missing_global.x")
  end)

  it("follows a circle of __index for a while only", function()
    local one, two = {}, {}
    globals.one = setmetatable(one, { __index = setmetatable(two, { __index = one }) })
    assert.are.equal("", names "one.x")
  end)

  it("leaves out what cannot be written after a dot, and what is hidden until it is asked for", function()
    globals.odd = { ["a b"] = 1, ["end"] = 1, [1] = 1, fine = 1, __hidden = 1 }
    assert.are.equal("fine", names "odd.")
    assert.are.equal("__hidden", names "odd.__")
  end)

  it("gives what all have in common", function()
    assert.are.equal("connect", complete.common { "connect", "connect_datagram" })
    assert.are.equal("", complete.common { "a", "b" })
  end)
end)
