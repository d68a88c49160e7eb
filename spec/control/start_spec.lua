-- The command lines of start and check; what they do is told of elsewhere.
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"

local function run(...)
  return process.run { moonwire.binary, ... }
end

describe("moonwire start and check", function()
  it("refuse what they do not know", function()
    for _, case in ipairs {
      { "unrecognized option '--wathc'", "start", "--wathc" },
      { "start takes no argument, got 'x.lua' (the config follows -c)", "start", "x.lua" },
      { "unrecognized option '--log-level'", "start", "--log-level", "debug" }, -- the config says it
      { "option '--config' requires an argument", "check", "--config" },
      { "unrecognized option '--watch'", "check", "--watch" },
      { "check takes no argument, got 'x.lua' (the config follows -c)", "check", "x.lua" },
    } do
      assert.are.same({ 2, "", ("moonwire: %s\nTry 'moonwire %s --help'.\n"):format(case[1], case[2]) },
        { run(table.unpack(case, 2)) })
    end
  end)

  it("read the config that -c names", function()
    local place <close> = folder.new()
    local config = place:write("conf.lua", "workerz = 1\n")
    for _, command in ipairs { "start", "check" } do
      for _, words in ipairs { { "-c", config }, { "-c" .. config }, { "--config=" .. config } } do
        local status, _, errors = run(command, table.unpack(words))
        assert.are.equal(1, status)
        assert.is_not_nil(errors:find(config .. ":1: ", 1, true), errors)
      end
    end
  end)
end)
