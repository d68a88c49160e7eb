local condition = require "spec.support.condition"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"

local NAMES <const> = { "line_echo", "irc", "relay", "udp_time", "web", "chat" }

-- The command of the header, with a free port for each service.
local function command()
  local words = { moonwire.binary, "run", "examples/demo.lua" }
  for _, name in ipairs(NAMES) do
    words[#words + 1] = "--set"
    words[#words + 1] = ("%s=%d"):format(name, session.free_port())
  end
  return words
end

-- What the demo says is to be opened or typed: "  nc 127.0.0.1 7001   each line comes back".
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
  local function fetch(url)
    local status, output, errors = process.run { "curl", "-sS", "-f", url }
    assert.are.equal(0, status, errors)
    return output
  end

  it("has services, and what it says is to be opened or typed works", function()
    local demo <close> = start(command())
    local typed = commands(demo)
    assert.are.equal(5, #typed)
    assert.is_truthy(fetch(typed[1]):find("It works", 1, true))
    assert.is_truthy(fetch(typed[1] .. "upload"):find("<form", 1, true))
    assert.is_truthy(fetch(typed[2] .. "client.js"):find("WebSocket", 1, true))
    local chat <close> = terminal.open("nc 127.0.0.1 " .. demo:errors():match "IRC enter it at port (%d+)")
    chat:type "NICK ann\r\nUSER ann 0 * :Ann\r"
    chat:sees " 001 ann "
    local echo <close> = terminal.open(typed[3])
    echo:type "hello"
    echo:sees "hello\n"
    local relay <close> = terminal.open(typed[4])
    relay:type "through the relay"
    relay:sees "through the relay\n"
    local status, output = process.run { "sh", "-c", typed[5] }
    assert.are.equal(0, status)
    assert.is_truthy(output:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ\n$"), output)
  end)

  it("ends with Ctrl-C, and leaves nothing", function()
    local demo <close> = start(command())
    local url = commands(demo)[1]
    local status, _, errors = process.run { "curl", "-sS", "-f", "-F", "file=@README.md", url .. "upload" }
    assert.are.equal(0, status, errors)
    local folder = ("/proc/%d/fd"):format(demo:pid())
    local uploads
    for name in lfs.dir(folder) do
      local target = lfs.symlinkattributes(folder .. "/" .. name, "target") or ""
      uploads = uploads or target:match "^/tmp/moonwire%-demo%-.*"
    end
    assert.is_truthy(lfs.attributes(uploads .. "/README.md"))
    demo:signal "INT"
    assert.are.equal(0, demo:wait())
    assert.is_nil(lfs.attributes(uploads))
  end)

  it("takes other ports when its own are taken", function()
    local listeners = {}
    for port = 7001, 7006 do -- those that are free; others are taken already
      listeners[#listeners + 1] = net.listen("tcp://127.0.0.1:" .. port)
    end
    local demo <close> = start { moonwire.binary, "run", "examples/demo.lua" }
    assert.are_not.equal("http://127.0.0.1:7005/", commands(demo)[1])
    assert.is_truthy(fetch(commands(demo)[1]):find("It works", 1, true))
    for _, listener in ipairs(listeners) do
      listener:close()
    end
  end)

  it("says what to do when a port is taken", function()
    for _, name in ipairs { "web", "udp_time" } do
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
