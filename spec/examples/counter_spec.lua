local daemon = require "spec.support.daemon"
local net = require "moonwire.net"
local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"

describe("examples/counter.lua", function()
  it("counts the lines of each connection and of all", function()
    local counter <close> = session.start "counter"
    local nc <close> = terminal.open(counter.commands[1])
    nc:type "a"
    nc:type "b"
    nc:sees "1 of 1: a\n2 of 2: b\n"
    local other <close> = terminal.open(counter.commands[1])
    other:type "c"
    other:sees "1 of 3: c\n"
  end)

  it("goes on counting in new code", function()
    local file <close> = assert(io.open "examples/counter.lua")
    local code = file:read "a"
    local d <close> = daemon.start { workers = 1, scripts = { ["counter.lua"] = code } }
    local conn <close> = assert(net.connect(d:address "counter"))
    local other <close> = assert(net.connect(d:address "counter"))
    conn:write "a\n"
    assert.equal("1 of 1: a", conn:read_line())
    other:write "b\n"
    assert.equal("1 of 2: b", other:read_line())
    d.folder:write("counter.lua", (code:gsub(" of ", " out of ")))
    assert.is_true(d:reload().ok)
    conn:write "c\n"
    assert.equal("2 out of 3: c", conn:read_line())
  end)
end)
