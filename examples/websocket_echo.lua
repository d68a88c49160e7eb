-- examples/websocket_echo.lua — says each message back, text or binary, compressed for who wants that.
--
--   build/moonwire run examples/websocket_echo.lua --listen tcp://127.0.0.1:7020
-- In another terminal:
--   python3 -m websockets ws://127.0.0.1:7020/
local server = require "moonwire.http.server"
local websocket = require "moonwire.websocket"

return server.service(function(request, response)
  local ws = websocket.accept(request, response, { origins = "any", deflate = true })
  if not ws then
    return
  end
  for message, kind in ws:messages() do
    ws:send(message, kind)
  end
end)
