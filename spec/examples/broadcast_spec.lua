local net = require "moonwire.net"
local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"

describe("examples/broadcast.lua", function()
  it("tells everybody what one says", function()
    local broadcast <close> = session.start "broadcast"
    local ann <close> = terminal.open(broadcast.commands[1])
    ann:type "is anybody there?"
    ann:sees ": is anybody there?\n"
    local bob <close> = terminal.open(broadcast.commands[1])
    bob:type "me"
    bob:sees ": me\n"
    ann:sees ": me\n"
    ann:type "hello bob"
    bob:sees ": hello bob\n"
    local heard = bob:output():gsub("127%.0%.0%.1:%d+", "ADDRESS")
    assert.are.equal("said.here ADDRESS: me\nsaid.here ADDRESS: hello bob\n", heard)
  end)

  it("goes on when somebody leaves", function()
    local broadcast <close> = session.start "broadcast"
    local ann <close> = assert(net.connect(broadcast.servers[1].address))
    local bob = assert(net.connect(broadcast.servers[1].address))
    bob:write "hello\n"
    assert.is_truthy(bob:read_line():find "hello$")
    bob:close()
    for i = 1, 10 do
      ann:write(i, "\n")
      repeat
        local line = ann:read_line()
      until line:find(": " .. i .. "$")
    end
  end)
end)
