local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"
local websocket = require "moonwire.websocket"

describe("examples/websocket_echo.lua", function()
  it("says each message back", function()
    local echo <close> = session.start "websocket_echo"
    local ann <close> = terminal.open((echo.commands[1]:gsub("^python3", "/usr/bin/python3")))
    ann:sees "Connected to"
    ann:type "hello there"
    ann:sees "< hello there"
  end)

  it("says binary messages back as what they are", function()
    local echo <close> = session.start "websocket_echo"
    local ws <close> = assert(websocket.connect(echo:translate "ws://127.0.0.1:7020/", { deflate = true }))
    assert.is_true(ws:is_compressed())
    ws:send("\xff\0", "binary")
    assert.are.same({ "\xff\0", "binary" }, { ws:receive() })
    assert.is_true(ws:close())
  end)
end)
