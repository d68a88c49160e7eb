-- Says each message back, text or binary.
--   moonwire run examples/websocket_echo.lua --listen tcp://127.0.0.1:7000
--   python3 -m websockets ws://127.0.0.1:7000/
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
