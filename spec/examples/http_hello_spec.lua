local process = require "spec.support.process"
local session = require "spec.examples.session"

describe("examples/http_hello.lua", function()
  it("greets by name, and everybody else", function()
    local hello <close> = session.start "http_hello"
    local function shell(command)
      local status, output = process.run { "sh", "-c", command }
      assert.equal(0, status)
      return output
    end
    assert.equal("Hello, Ann!\n", shell(hello.commands[1]))
    assert.equal("Hello, World!\n", shell(hello:translate "curl -s http://127.0.0.1:7010/"))
  end)
end)
