-- Clients in other languages and a server of ours.
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"

local COMMANDS <const> = {
  python = { "python3", "examples/rpc_client.py" }, node = { "node", "examples/rpc_client.js" },
}

local server

local function call(command, ...)
  return process.run {
    command[1], command[2], "127.0.0.1", tostring(server.port), seconds = 60, ...,
  }
end

describe("a server of rpc", function()
  setup(function()
    server = moonwire.serve [[
      return require "moonwire.rpc".handler {
        add = function(params) return params[1] + params[2] end,
        same = function(params) return params end,
        deny = function() return nil, "not you", "denied" end,
      }]]
  end)

  teardown(function()
    server:stop()
  end)

  for language, command in pairs(COMMANDS) do
    it("answers " .. language, function()
      assert.are.same({ 0, "42\n", "" }, { call(command, "add", "[2, 40]") })
      local status, output = call(command, "same", '{"text":"Zoë 🌙"}')
      assert.are.equal(0, status)
      assert.is_truthy(output:find "text")
    end)

    it("tells errors to " .. language, function()
      assert.are.same({ 1, "", "denied: not you\n" }, { call(command, "deny") })
      assert.are.same({ 1, "", "not_found: no such method\n" }, { call(command, "other") })
    end)
  end
end)
