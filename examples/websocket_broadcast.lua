-- examples/websocket_broadcast.lua — a room for browsers: what one says all hear, but who is too slow.
--
--   build/moonwire run examples/websocket_broadcast.lua --listen tcp://127.0.0.1:7021
-- Open http://127.0.0.1:7021/ in a browser, twice, or type in another terminal:
--   python3 -m websockets ws://127.0.0.1:7021/room
local server = require "moonwire.http.server"
local websocket = require "moonwire.websocket"

local PAGE <const> = [[
<!doctype html>
<meta charset="utf-8">
<title>A room</title>
<form><input autofocus placeholder="Say something"></form>
<ul></ul>
<script>
const socket = new WebSocket(`${location.protocol == "https:" ? "wss" : "ws"}://${location.host}/room`)
const list = document.querySelector("ul"), input = document.querySelector("input")
const show = text => { list.prepend(Object.assign(document.createElement("li"), { textContent: text })) }
socket.onmessage = event => show(event.data)
socket.onclose = () => show("* the connection has ended")
document.querySelector("form").onsubmit = event => {
  event.preventDefault()
  socket.send(input.value)
  input.value = ""
}
</script>
]]

local room = {}

local function tell(text)
  local _, missed = websocket.broadcast(room, text)
  for ws in pairs(missed or {}) do
    ws:abort()
  end
end

local function talk(ws, name)
  room[ws] = true
  local _ <close> = setmetatable({}, { __close = function()
    room[ws] = nil
    tell("* " .. name .. " left")
  end })
  tell("* " .. name .. " joined")
  for text in ws:messages() do
    tell(name .. ": " .. text)
  end
end

return server.service(function(request, response)
  if request.path == "/" then
    return response:header("Content-Type", "text/html; charset=utf-8"):send(PAGE)
  elseif request.path ~= "/room" then
    return response:status(404):send "there is only / and /room\n"
  end
  local ws <close> = websocket.accept(request, response, { max = 4096, deflate = { context = false } })
  if ws then
    talk(ws, request.peer)
  end
end)
