local process = require "spec.support.process"
local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"

describe("examples/line_echo.lua", function()
  it("says each line back", function()
    local echo <close> = session.start "line_echo"
    local nc <close> = terminal.open(echo.commands[1])
    nc:type "one"
    nc:type "two"
    nc:sees "one\ntwo\n"
  end)

  it("ends the connection of a line that is too long, and no other", function()
    local echo <close> = session.start "line_echo"
    local nc <close> = terminal.open(echo.commands[1])
    nc:type "before"
    nc:sees "before\n"
    local port = echo.servers[1].port
    local _, output = process.run { "nc", "127.0.0.1", port, input = ("x"):rep(5000) .. "\n" }
    assert.are.equal("", output)
    echo.servers[1]:wait_for_log("too_large")
    nc:type "after"
    nc:sees "after\n"
  end)
end)
