-- wss://
local authority = require "spec.support.authority"
local folder = require "spec.support.folder"
local server = require "moonwire.http.server"
local websocket = require "moonwire.websocket"

describe("a WebSocket by TLS", function()
  local here, ca, listener, url

  setup(function()
    here = folder.new()
    ca = authority.new(here)
    local www = ca:issue { "localhost", "127.0.0.1" }
    listener = assert(server.serve("tls://127.0.0.1:0", function(request, response)
      local ws = assert(websocket.accept(request, response, { deflate = true }))
      for message, kind in ws:messages() do
        ws:send(message, kind)
      end
    end, { tls = { certificate = www.certificate, key = www.key } }))
    url = "wss://" .. listener:local_address() .. "/"
  end)

  teardown(function()
    listener:close()
    here:remove()
  end)

  it("is one as any other", function()
    local ws <close> = assert(websocket.connect(url, { deflate = true, tls = { authorities = ca.file } }))
    for _, message in ipairs { "", "hello", ("x"):rep(300000) } do
      assert(ws:send(message))
      assert.is_true(ws:receive() == message)
    end
    assert.is_true(ws:close())
  end)

  it("is none with a server that nobody has vouched for", function()
    local ws, _, code = websocket.connect(url)
    assert.is_nil(ws)
    assert.equal("certificate", code)
  end)
end)
