local process = require "spec.support.process"
local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"

describe("examples/calculator.lua", function()
  -- The answers to some lines, in one connection.
  local function answers(lines)
    local calculator <close> = session.start "calculator"
    local input = table.concat(lines, "\n") .. "\n"
    local _, output = process.run { "nc", "-N", "127.0.0.1", calculator.servers[1].port, input = input }
    local list = {}
    for line in output:gmatch("([^\n]*)\n") do
      list[#list + 1] = line
    end
    return list
  end

  it("answers the sums of its header", function()
    local calculator <close> = session.start "calculator"
    local nc <close> = terminal.open(calculator.commands[1])
    nc:type "x = 2 ^ 10"
    nc:sees "1024\n"
    nc:type "(x - 24) / 3 * -1"
    nc:sees "-333.3333333\n"
    nc:type "2 * (3 +"
    nc:sees "        ^ not understood\n"
  end)

  it("counts as people do", function()
    assert.are.same({ "7", "5", "512", "-4", "2.5", "3", "6.283185307", "-0.5", "inf" }, answers {
      "1 + 2 * 3", "10 - 2 - 3", "2 ^ 3 ^ 2", "-2 ^ 2", "10 / 2 / 2", "((3))", "2*pi", "2^-1 * -1", "1/0",
    })
  end)

  it("knows names, and the last result, in one connection", function()
    local lines = { "n = 3", "n * 4", "last * 2", "m + 1" }
    assert.are.same({ "3", "12", "24", "^ not understood" }, answers(lines))
    assert.are.same({ "^ not understood" }, answers { "n" })
  end)

  it("shows where a mistake is, and goes on", function()
    assert.are.same({
      "  ^ not understood", "^ not understood", "   ^ not understood", "    ^ not understood", "3",
    }, answers { "1 2", "", "1 +", "(1+2", "1+2" })
    local deep = answers { ("("):rep(99) .. "1" .. (")"):rep(99), "1+2" }
    assert.matches("not understood$", deep[1])
    assert.are.equal("3", deep[2])
  end)
end)
