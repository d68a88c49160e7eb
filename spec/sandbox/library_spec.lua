-- The bounded functions against the originals.
local moonwire = require "spec.support.moonwire"

local SAME <const> = "spec/sandbox/same.lua"

local function results(...)
  local status, errors, output = moonwire.run { script = SAME, options = { "--stdio", ... }, seconds = 60 }
  assert.are.equal(0, status, errors)
  return output
end

describe("the library of a sandbox", function()
  it("gives the results and errors of the original functions", function()
    local original = results()
    local bounded = results("--sandbox")
    assert.is_true(select(2, original:gsub("\n", "")) >= 12000)
    local theirs = bounded:gmatch("[^\n]*")
    for line in original:gmatch("[^\n]*") do
      assert.are.equal(line, theirs())
    end
    assert.is_nil(theirs())
  end)
end)
