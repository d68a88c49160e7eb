-- What all examples have in common. Each has a spec of its own beside this one, which runs it as its first
-- lines say, with the programs that people use.
local lfs = require "lfs"
local session = require "spec.examples.session"

local function names()
  local list = {}
  for entry in lfs.dir("examples") do
    list[#list + 1] = entry:match("^(.*)%.lua$")
  end
  table.sort(list)
  return list
end

local function lines_of(path)
  local list = {}
  for line in io.lines(path) do
    list[#list + 1] = line
  end
  return list
end

describe("the examples", function()
  it("have a spec each", function()
    assert.is_true(#names() >= 9)
    for _, name in ipairs(names()) do
      assert.is_truthy(lfs.attributes(("spec/examples/%s_spec.lua"):format(name)), name .. " has no spec")
    end
  end)

  it("say in their first lines what they are and what to type", function()
    for _, name in ipairs(names()) do
      local path = ("examples/%s.lua"):format(name)
      local beginning = ("-- %s — "):format(path)
      assert.are.equal(beginning, lines_of(path)[1]:sub(1, #beginning))
      assert.is_truthy(session.commands(path)[1], path)
    end
  end)

  it("are a page each at most, but for the demo, which starts services", function()
    for _, name in ipairs(names()) do
      local count, most = #lines_of(("examples/%s.lua"):format(name)), name == "demo" and 150 or 60
      assert.is_true(count >= 10 and count <= most, ("%s has %d lines"):format(name, count))
    end
  end)
end)
