-- Clients in other languages and a server of ours.
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"

local COMMANDS <const> = {
  python = { "python3", "examples/rpc_client.py", work = "spec/rpc/client_work.py" },
  node = { "node", "examples/rpc_client.js", work = "spec/rpc/client_work.js" },
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
      local rpc = require "moonwire.rpc"
      local task = require "moonwire.task"
      return function(conn)
        local handler = rpc.handler {
          add = function(params) return params[1] + params[2] end,
          same = function(params) return params end,
          deny = function() return nil, "not you", "denied" end,
          ["repeat"] = function(count) return ("x"):rep(count) end,
          wait = function(seconds) task.sleep(seconds) end,
          quit = function() conn:abort() end,
        }
        return handler(conn)
      end]]
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

    it("is called at once, with much, and again after it was lost, by " .. language, function()
      local status, output, errors = process.run { command[1], command.work, server.port, seconds = 60 }
      assert.are.same({ 0, "" }, { status, errors })
      assert.are.equal("True\nTrue too_large too_large\ntimeout next\nclosed again\n", output)
    end)

    it("tells errors to " .. language, function()
      assert.are.same({ 1, "", "denied: not you\n" }, { call(command, "deny") })
      assert.are.same({ 1, "", "not_found: no such method\n" }, { call(command, "other") })
    end)
  end
end)
