local process = require "spec.support.process"
local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"
local websocket = require "moonwire.websocket"

describe("examples/websocket_broadcast.lua", function()
  it("is a room", function()
    local room <close> = session.start "websocket_broadcast"
    local ann <close> = terminal.open((room.commands[1]:gsub("^python3", "/usr/bin/python3")))
    ann:sees " joined"
    local bob <close> = assert(websocket.connect(room:translate "ws://127.0.0.1:7021/room"))
    local name = bob:local_address()
    assert.are.equal("* " .. name .. " joined", (bob:receive()))
    ann:sees("* " .. name .. " joined")
    ann:type "hello bob"
    assert.matches("^127%.0%.0%.1:%d+: hello bob$", (bob:receive()))
    bob:send "hello ann"
    ann:sees(name .. ": hello ann")
    assert.is_true(bob:close())
    ann:sees("* " .. name .. " left")
  end)

  it("has a page, which other pages cannot speak for", function()
    local room <close> = session.start "websocket_broadcast"
    local _, page = process.run { "curl", "-si", room:translate "http://127.0.0.1:7021/" }
    assert.matches("^HTTP/1.1 200 .*new WebSocket%(", page)
    local _, other = process.run { "curl", "-si", room:translate "http://127.0.0.1:7021/other" }
    assert.matches("^HTTP/1.1 404 ", other)
    local ws, err = websocket.connect(room:translate "ws://127.0.0.1:7021/room",
      { origin = "http://evil.example" })
    assert.is_nil(ws)
    assert.matches("status 403$", err)
  end)
end)
