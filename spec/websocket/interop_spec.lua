-- WebSockets with programs that others wrote, in both roles.
local condition = require "spec.support.condition"
local process = require "spec.support.process"
local raw = require "spec.websocket.raw"
local websocket = require "moonwire.websocket"

-- node finds its modules where Debian has them.
local PEERS <const> = {
  ["python3-websockets"] = { "/usr/bin/python3", "spec/websocket/peer.py" },
  ["ws of Node"] = { "node", "spec/websocket/peer.js",
    env = { NODE_PATH = "/usr/share/nodejs:/usr/lib/nodejs" } },
}

local MESSAGES <const> = { "", "hello", "größe κόσμε", ("x"):rep(126), ("y"):rep(65536),
  ("z"):rep(500000) }

local function command(peer, ...)
  local options = { env = peer.env, table.unpack(peer) }
  for _, argument in ipairs { ... } do
    options[#options + 1] = argument
  end
  return options
end

for name, peer in pairs(PEERS) do
  describe("WebSockets and " .. name, function()
    it("talk to each other when we serve", function()
      local listener <close> = raw.serve { deflate = true, protocols = { "echo" } }
      local _, output = process.run(command(peer, "talk", raw.url(listener)))
      assert.equal("good\n", output)
    end)

    it("talk to each other when they serve", function()
      local server <close> = process.start(command(peer, "serve"))
      local port = condition.wait_until(function() return server:output():match "%d+" end)
      for _, deflate in ipairs { false, true, { context = false, peer_context = false }, { window = 10,
        peer_window = 10 } } do
        local ws <close> = assert(websocket.connect(("ws://127.0.0.1:%s/"):format(port), {
          deflate = deflate, protocols = { "echo" },
        }))
        assert.equal(deflate ~= false, ws:is_compressed())
        for _, kind in ipairs { "text", "binary" } do
          for _, message in ipairs(MESSAGES) do
            assert(ws:send(message, kind))
            local answer, answer_kind = ws:receive()
            assert.is_true(answer == message and answer_kind == kind)
          end
        end
        ws:write "one "
        ws:write "two "
        ws:finish "three"
        assert.equal("one two three", (ws:receive()))
        assert(ws:ping "are you there?")
        assert.is_true(ws:close(3001, "enough"))
        assert.equal(3001, ws:close_code())
      end
    end)
  end)
end
