local process = require "spec.support.process"
local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"

local function shell(command)
  return process.run { "sh", "-c", command }
end

describe("examples/echo.lua", function()
  it("sends back what is typed", function()
    local echo <close> = session.start "echo"
    local nc <close> = terminal.open(echo.commands[1])
    nc:type "hello"
    nc:sees "hello\n"
    nc:type "again"
    nc:sees "hello\nagain\n"
  end)

  it("sends back a file unchanged", function()
    local echo <close> = session.start "echo"
    assert.is_truthy(echo.commands[2]:find("| cmp ", 1, true))
    assert.are.same({ 0, "", "" }, { shell(echo.commands[2]) })
  end)
end)
