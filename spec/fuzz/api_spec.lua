-- A few thousand random calls of the Lua API: see spec/fuzz/api.lua.
local moonwire = require "spec.support.moonwire"
local test = require "moonwire.test"

local CALLS <const> = 4000
local SECONDS <const> = 120 -- some seeds meet costly arguments

test.deadline(SECONDS)

describe("the Lua API under random calls", function()
  for seed = 1, 2 do
    it(("keeps its promises, with seed %d"):format(seed), function()
      local status, errors = moonwire.run {
        script = "spec/fuzz/api.lua", seconds = SECONDS,
        env = { LSAN_OPTIONS = "suppressions=spec/fuzz/api/leaks.supp:print_suppressions=0" },
        options = {
          "--set", "calls=" .. CALLS, "--set", "seed=" .. seed, "--log-file", "/dev/null",
        },
      }
      assert.are.equal(0, status, errors)
      local calls = errors:match "fuzz api: (%d+) calls of %d%d%d functions, .* 0 faults"
      assert.is_truthy(calls, errors)
      assert.is_true(tonumber(calls) > CALLS * 0.99) -- a task that ends itself is not counted
    end)
  end
end)
