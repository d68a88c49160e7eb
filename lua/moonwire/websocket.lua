--- WebSockets (RFC 6455), as server and as client, with compression (RFC 7692).
local check = require "moonwire.check"
local core = require "moonwire.core"
local extension = require "moonwire.websocket.extension"
local handshake = require "moonwire.websocket.handshake"
local net = require "moonwire.net"
local task = require "moonwire.task"

local websocket = {}

local HEAD_MOST <const> = 16384 -- bytes of the answer to a client's handshake
local TIMEOUT_DEFAULT <const> = 10

local LIMITS <const> = {
  max = "integer", frames_max = "integer", ping_interval = "seconds", ping_timeout = "seconds",
  close_timeout = "seconds",
}

local DEFLATE <const> = {
  level = "integer", threshold = "integer", window = "integer", peer_window = "integer", context = "boolean",
  peer_context = "boolean",
}

---@class moonwire.websocket_deflate
---@field level? integer 1 (fast) to 9 (small); default 6
---@field threshold? integer bytes of a message from which on it is compressed; default 32
---@field window? integer bits of the window that we compress with, 9 to 15; default 15
---@field peer_window? integer and that the peer is asked to, 8 to 15; default 15
--- Keep what was sent before as context: smaller messages for 256 KiB a connection. Default true.
---@field context? boolean
---@field peer_context? boolean let the peer keep its context: 40 KiB a connection; default true

---@class moonwire.websocket_limits
---@field max? integer bytes of a message at most; default 1048576; past it the peer gets 1009
---@field frames_max? integer frames of one message at most; default 100000
--- Seconds of silence after which the peer is asked whether it is still there, while a task receives. Default 30;
--- false: never, and a receive times out after the read_timeout of the connection.
---@field ping_interval? number|false
---@field ping_timeout? number|false seconds that it has for an answer; default 30
---@field close_timeout? number|false seconds that the peer has to close when we do; default 5

---@class moonwire.websocket_accept_options: moonwire.websocket_limits
---@field protocols? string[] subprotocols, the one liked best first
--- Which pages of browsers may connect: those of the same host (default), any, these, or as the function says.
---@field origins? "same"|"any"|string[]|fun(origin: string, request: moonwire.http.request): any
---@field deflate? boolean|moonwire.websocket_deflate compress when the client can; default false

---@class moonwire.websocket_connect_options: moonwire.websocket_limits
---@field protocols? string[] subprotocols that are offered
---@field headers? table<string, string> fields of the request
---@field origin? string its Origin
---@field deflate? boolean|moonwire.websocket_deflate offer compression; default false
---@field timeout? number|false seconds for name, connection and handshake; default 10
---@field tls? table options of TLS, as of net.connect, for wss://

-- The limits among options, as core takes them.
local function limits_of(options, role)
  local settings = { role = role }
  for name in pairs(LIMITS) do
    settings[name] = options[name]
  end
  return settings
end

local function known(more)
  for name, kind in pairs(LIMITS) do
    more[name] = kind
  end
  return more
end

local ACCEPT <const> = known { protocols = "table", origins = "any", deflate = "any" }
local CONNECT <const> = known {
  protocols = "table", headers = "table", origin = "string", deflate = "any", timeout = "seconds", tls = "table",
}

-- What is wrong with the option `deflate`; nil: nothing.
local function deflate_problem(deflate)
  if deflate == nil or type(deflate) == "boolean" then
    return nil
  elseif type(deflate) ~= "table" then
    return "option 'deflate': boolean or table expected, got " .. type(deflate)
  end
  for name, value in pairs(deflate) do
    if not DEFLATE[name] then
      return ("option 'deflate': unknown option '%s'"):format(tostring(name))
    elseif DEFLATE[name] == "integer" and math.type(value) ~= "integer" or
      DEFLATE[name] == "boolean" and type(value) ~= "boolean" then
      return ("option 'deflate.%s': %s expected, got %s"):format(name, DEFLATE[name], type(value))
    end
  end
  local level, window, peer = deflate.level or 6, deflate.window or 15, deflate.peer_window or 15
  if level < 1 or level > 9 or window < 9 or window > 15 or peer < 8 or peer > 15 or (deflate.threshold or 0) < 0 then
    return "option 'deflate': out of range (level 1 to 9, window 9 to 15, peer_window 8 to 15)"
  end
end

local function protocol_problem(protocols)
  for _, name in ipairs(protocols or {}) do
    if type(name) ~= "string" or not core.websocket.is_field(name, "") then
      return "option 'protocols': a list of tokens expected"
    end
  end
end

local function answer(response, status, why)
  response:status(status)
  if status == 426 then
    response:header("Upgrade", "websocket")
    response:header("Sec-WebSocket-Version", "13")
  end
  response:send(why .. "\n")
  return nil, "accept: " .. why, status == 403 and "denied" or "invalid"
end

-- What the client offers of compression comes to: the field to answer with, the settings; false: its field is malformed.
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

local function upgrade(request, response, options)
  local settings, field = limits_of(options, "server"), nil
  field, settings.deflate = agree(request, options.deflate)
  if field == false then
    return answer(response, 400, "malformed Sec-WebSocket-Extensions")
  end
  settings.protocol = handshake.choose_protocol(request:header("sec-websocket-protocol"), options.protocols)
  response:header("Sec-WebSocket-Accept", handshake.accept_key(request:header("sec-websocket-key")))
  response:header("Sec-WebSocket-Protocol", settings.protocol)
  response:header("Sec-WebSocket-Extensions", field)
  local stream, err, code = response:upgrade("websocket")
  if not stream then
    return nil, err, code
  end
  return core.websocket.wrap(stream, settings)
end

--- Answers the handshake of a client; the connection is a WebSocket from then on. What is no handshake, or comes from a
--- page that may not, is answered with 400, 403 or 426.
---@param request moonwire.http.request
---@param response moonwire.http.response whose other fields were set before
---@param options? moonwire.websocket_accept_options
---@return moonwire.websocket? ws closes with the task of the request
---@return string? err
---@return moonwire.code? code "invalid", "denied", "closed", "reset"
function websocket.accept(request, response, options)
  check.options(options, ACCEPT, 3, "accept")
  options = options or {}
  local problem = deflate_problem(options.deflate) or protocol_problem(options.protocols)
  if problem then
    check.refuse(3, "accept", problem)
  end
  local status, why = handshake.problem(request)
  if status then
    return answer(response, status, why)
  elseif not handshake.is_allowed(request, options.origins or "same") then
    return answer(response, 403, "not for pages of that origin")
  end
  return upgrade(request, response, options)
end

-- Fields that the handshake itself has.
local OWN_FIELDS <const> = {
  host = true, upgrade = true, connection = true, ["sec-websocket-key"] = true, ["sec-websocket-version"] = true,
  ["sec-websocket-protocol"] = true, ["sec-websocket-extensions"] = true, ["content-length"] = true,
  ["transfer-encoding"] = true,
}

local function field_problem(options)
  for name, value in pairs(options.headers or {}) do
    if type(name) ~= "string" or type(value) ~= "string" or not core.websocket.is_field(name, value) then
      return "option 'headers': names and values of fields expected"
    elseif OWN_FIELDS[name:lower()] then
      return ("option 'headers': the field %s is the handshake's own"):format(name)
    end
  end
  if options.origin and not core.websocket.is_field("Origin", options.origin) then
    return "option 'origin': not the value of a field"
  end
end

-- The head of the request.
local function compose(parts, key, options)
  local lines = {
    ("GET %s HTTP/1.1"):format(parts.target), "Host: " .. parts.authority, "Upgrade: websocket",
    "Connection: Upgrade", "Sec-WebSocket-Key: " .. key, "Sec-WebSocket-Version: 13",
  }
  local function add(name, value)
    lines[#lines + 1] = value and name .. ": " .. value or nil
  end
  add("Origin", options.origin)
  add("Sec-WebSocket-Protocol", options.protocols and options.protocols[1] and table.concat(options.protocols, ", "))
  add("Sec-WebSocket-Extensions", options.deflate and extension.offer(options.deflate))
  for name, value in pairs(options.headers or {}) do
    add(name, value)
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- What the answer comes to: the settings of the WebSocket, or nil and what is wrong with it.
local function judge(head, key, options)
  local status, headers = core.websocket.parse_response(head .. "\r\n\r\n")
  local why = status and handshake.answer_problem(status, headers, key, options.protocols) or not status and headers
  if why then
    return nil, why
  end
  local settings = limits_of(options, "client")
  local list = extension.parse(headers["sec-websocket-extensions"] or "")
  if not list then
    return nil, "malformed Sec-WebSocket-Extensions"
  end
  local agreed, problem = extension.confirm(list, options.deflate)
  settings.deflate = agreed or nil
  settings.protocol = headers["sec-websocket-protocol"]
  if agreed == nil then
    return nil, problem
  end
  return settings
end

-- The connection is closed unless it becomes a WebSocket, whatever is raised meanwhile.
local function shake_hands(conn, parts, options)
  local ws
  local _ <close> = setmetatable({}, { __close = function() return not ws and conn:close() end })
  local key = handshake.new_key()
  local ok, err, code = conn:write(compose(parts, key, options))
  local head
  if ok then
    head, err, code = conn:read_until("\r\n\r\n", HEAD_MOST)
  end
  if not head then
    return nil, err, code
  end
  local settings, why = judge(head, key, options)
  if not settings then
    return nil, ("connect %s:%s: %s"):format(parts.host, parts.port, why), "invalid"
  end
  ws, err, code = core.websocket.wrap(conn, settings)
  return ws, err, code
end

local function connect(parts, options)
  local scheme = parts.secure and "tls" or "tcp"
  local address = ("%s://%s:%s"):format(scheme, parts.host, parts.port)
  local conn, err, code = net.connect(address, { timeout = false, tls = parts.secure and options.tls or nil })
  if not conn then
    return nil, err, code
  end
  return shake_hands(conn, parts, options)
end

-- The scope of the time-out raises what is returned here as all else that fails.
local function within(seconds, parts, options)
  if not seconds then
    return connect(parts, options)
  end
  local results = table.pack(pcall(task.with_timeout, seconds, connect, parts, options))
  if results[1] then
    return table.unpack(results, 2, results.n)
  end
  local code, message = core.is_fault(results[2])
  if code == "timeout" then
    return nil, message, code
  end
  error(results[2], 0)
end

--- Connects to a server of WebSockets. Redirects are not followed.
---@param url string "ws://host:port/path?query", "wss://host/"
---@param options? moonwire.websocket_connect_options
---@return moonwire.websocket? ws closes with the task that opened it
---@return string? err
---@return moonwire.code? code as of net.connect; "invalid" when the answer is not the right one, "too_large", "eof"
function websocket.connect(url, options)
  check.type(url, "string", 1, "connect")
  check.options(options, CONNECT, 2, "connect")
  options = options or {}
  local problem = deflate_problem(options.deflate) or protocol_problem(options.protocols) or field_problem(options)
  if problem then
    check.refuse(2, "connect", problem)
  end
  local parts = handshake.parse_url(url)
  if not parts then
    check.refuse(1, "connect", "a URL such as ws://host:port/path expected")
  end
  local timeout = options.timeout
  return within(timeout == nil and TIMEOUT_DEFAULT or timeout, parts, options)
end

--- A message that is encoded once and can be sent to many with ws:send, ws:try_send and broadcast.
---@param message string
---@param kind? "text"|"binary" default "text"
---@return moonwire.websocket_frame
websocket.frame = core.websocket.frame

--- Sends one message to many WebSockets, encoded and compressed once, and waits for none of them: whoever is slow, or
--- closed, is left out.
---@param sockets table WebSockets as its keys, or as its values
---@param message string|moonwire.websocket_frame
---@param kind? "text"|"binary" default "text"
---@return integer count of those that it was queued for
---@return table<moonwire.websocket, string>? missed the others, with the code of try_send
websocket.broadcast = core.websocket.broadcast

return websocket
