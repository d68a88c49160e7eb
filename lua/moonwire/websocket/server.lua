--- The server's side of a handshake: what is answered, and the WebSocket. Not for scripts.
local core = require "moonwire.core"
local extension = require "moonwire.websocket.extension"
local handshake = require "moonwire.websocket.handshake"
local options = require "moonwire.websocket.options"

local server = {}

local function answer(response, status, why)
  response:status(status)
  if status == 426 then
    response:header("Upgrade", "websocket")
    response:header("Sec-WebSocket-Version", "13")
  end
  response:send(why .. "\n")
  return nil, "accept: " .. why, status == 403 and "denied" or "invalid"
end

-- What the client offers of compression comes to: the field to answer with, the settings; false: its field is
-- malformed.
local function agree(request, option)
  local offers = option and request:header("sec-websocket-extensions")
  if not offers then
    return nil
  end
  local list = extension.parse(offers)
  if not list then
    return false
  end
  return extension.accept(list, option)
end

local function upgrade(request, response, given)
  local settings = options.settings(given, "server")
  local field, agreed = agree(request, given.deflate)
  if field == false then
    return answer(response, 400, "malformed Sec-WebSocket-Extensions")
  end
  settings.deflate = agreed
  settings.protocol = handshake.choose_protocol(request:header("sec-websocket-protocol"), given.protocols)
  response:header("Sec-WebSocket-Accept", handshake.accept_key(request:header("sec-websocket-key")))
  response:header("Sec-WebSocket-Protocol", settings.protocol)
  response:header("Sec-WebSocket-Extensions", field)
  local stream, err, code = response:upgrade("websocket")
  if not stream then
    return nil, err, code
  end
  return core.websocket.wrap(stream, settings)
end

--- Answers a request, which becomes a WebSocket or is refused.
---@param request moonwire.http.request
---@param response moonwire.http.response
---@param given moonwire.websocket_accept_options checked
---@return moonwire.websocket? ws
---@return string? err
---@return moonwire.code? code
function server.accept(request, response, given)
  local status, why = handshake.problem(request)
  if status then
    return answer(response, status, why)
  elseif not handshake.is_allowed(request, given.origins or "same") then
    return answer(response, 403, "not for pages of that origin")
  end
  return upgrade(request, response, given)
end

return server
