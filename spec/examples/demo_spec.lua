local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"

local NAMES <const> = { "line_echo", "chat", "relay", "udp_time" }

-- The command of the header, with a free port for each service.
local function command()
  local words = { moonwire.binary, "run", "examples/demo.lua" }
  for _, name in ipairs(NAMES) do
    words[#words + 1] = "--set"
    words[#words + 1] = ("%s=%d"):format(name, session.free_port())
  end
  return words
end

-- What the demo says is to be typed: "  nc 127.0.0.1 7001   each line comes back".
local function commands(demo)
  local list = {}
  for line in demo:errors():gmatch("[^\n]+") do
    list[#list + 1] = line:match("^  (%S.-)   ")
  end
  return list
end

local function start(words)
  local demo = process.start(words)
  condition.wait_until(function()
    return demo:errors():find("Ctrl-C ends it.", 1, true)
  end, 10, function()
    return "the demo does not start; it says: " .. demo:errors()
  end)
  return demo
end

describe("examples/demo.lua", function()
  it("has four services, and what it says is to be typed works", function()
    local demo <close> = start(command())
    local typed = commands(demo)
    assert.are.equal(4, #typed)
    local echo <close> = terminal.open(typed[1])
    echo:type "hello"
    echo:sees "hello\n"
    local chat <close> = terminal.open(typed[2])
    chat:sees "nickname"
    chat:type "ann"
    chat:sees "* here: ann\n"
    local relay <close> = terminal.open(typed[3])
    relay:type "through the relay"
    relay:sees "through the relay\n"
    local status, output = process.run { "sh", "-c", typed[4] }
    assert.are.equal(0, status)
    assert.is_truthy(output:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ\n$"), output)
  end)

  it("ends with Ctrl-C", function()
    local demo <close> = start(command())
    demo:signal "INT"
    assert.are.equal(0, demo:wait())
  end)

  it("says what to do when a port is taken", function()
    for _, name in ipairs(NAMES) do
      local words = command()
      local demo <close> = start { table.unpack(words) }
      local other = command()
      for i, word in ipairs(words) do
        other[i] = word:find(name, 1, true) and word or other[i]
      end
      local status, _, errors = process.run(other)
      assert.are.equal(1, status)
      assert.is_truthy(errors:find("address already in use", 1, true), errors)
      assert.is_truthy(errors:find("--set " .. name .. "=", 1, true), errors)
      assert.is_nil(demo:status())
    end
  end)
end)
