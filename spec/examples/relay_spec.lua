local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"

local function shell(command)
  return process.run { "sh", "-c", command }
end

describe("examples/relay.lua", function()
  it("joins a connection to the target", function()
    local relay <close> = session.start "relay"
    local nc <close> = terminal.open(relay.commands[1])
    nc:type "through two servers"
    nc:sees "through two servers\n"
    nc:type "and back"
    nc:sees "and back\n"
  end)

  it("passes on everything, and the end of it", function()
    local relay <close> = session.start "relay"
    local place <close> = folder.new()
    local numbers = {}
    for i = 1, 200000 do
      numbers[i] = i
    end
    local path = place:write("numbers", table.concat(numbers, "\n") .. "\n")
    local command = ("nc -N 127.0.0.1 %d < %s | cmp - %s"):format(relay.servers[2].port, path, path)
    assert.are.same({ 0, "", "" }, { shell(command) })
  end)

  it("closes the connection when the target does not answer, and says so", function()
    local target = "tcp://127.0.0.1:" .. session.free_port()
    local relay <close> = moonwire.serve {
      script = "examples/relay.lua", options = { "--set", "target=" .. target },
    }
    local status, output = process.run { "nc", "127.0.0.1", relay.port }
    assert.are.same({ 0, "" }, { status, output })
    assert.is_truthy(relay:wait_for_log("cannot be reached"):find("refused", 1, true))
  end)

  it("does not start without a target", function()
    local status, _, errors = process.run {
      moonwire.binary, "run", "examples/relay.lua", "--listen", "tcp://127.0.0.1:0",
    }
    assert.are.equal(1, status)
    assert.is_truthy(errors:find("--set target=tcp://HOST:PORT", 1, true))
  end)
end)
