local process = require "spec.support.process"
local session = require "spec.examples.session"

describe("examples/rpc_server.lua", function()
  it("answers the clients in Python and Node of its head", function()
    local server <close> = session.start "rpc_server"
    assert.are.equal(2, #server.commands)
    for _, command in ipairs(server.commands) do
      assert.are.same({ 0, "42\n", "" }, { process.run { "sh", "-c", command, seconds = 60 } })
    end
  end)
end)
