--- The side of the client in a handshake: request, answer, and what is made of it. Not for scripts.
local core = require "moonwire.core"
local extension = require "moonwire.websocket.extension"
local handshake = require "moonwire.websocket.handshake"
local net = require "moonwire.net"
local options = require "moonwire.websocket.options"
local task = require "moonwire.task"

local client = {}

local HEAD_MOST <const> = 16384 -- bytes of the answer

-- The head of the request.
local function compose(parts, key, given)
  local lines = {
    ("GET %s HTTP/1.1"):format(parts.target), "Host: " .. parts.authority, "Upgrade: websocket",
    "Connection: Upgrade", "Sec-WebSocket-Key: " .. key, "Sec-WebSocket-Version: 13",
  }
  local function add(name, value)
    lines[#lines + 1] = value and name .. ": " .. value or nil
  end
  add("Origin", given.origin)
  local protocols = table.concat(given.protocols or {}, ", ")
  add("Sec-WebSocket-Protocol", protocols ~= "" and protocols)
  add("Sec-WebSocket-Extensions", given.deflate and extension.offer(given.deflate))
  for name, value in pairs(given.headers or {}) do
    add(name, value)
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- What the answer comes to: the settings of the WebSocket, or nil and what is wrong with it.
local function judge(head, key, given)
  local status, headers = core.websocket.parse_response(head .. "\r\n\r\n")
  local why = headers -- where there is no status
  if status then
    why = handshake.answer_problem(status, headers, key, given.protocols)
  end
  if why then
    return nil, why
  end
  local settings = options.settings(given, "client")
  local list = extension.parse(headers["sec-websocket-extensions"] or "")
  if not list then
    return nil, "malformed Sec-WebSocket-Extensions"
  end
  local agreed, problem = extension.confirm(list, given.deflate)
  settings.deflate = agreed or nil
  settings.protocol = headers["sec-websocket-protocol"]
  if agreed == nil then
    return nil, problem
  end
  return settings
end

-- The connection is closed unless it becomes a WebSocket, whatever is raised meanwhile.
local function shake_hands(conn, parts, given)
  local ws
  local _ <close> = setmetatable({}, { __close = function() return not ws and conn:close() end })
  local key = handshake.new_key()
  local ok, err, code = conn:write(compose(parts, key, given))
  local head
  if ok then
    head, err, code = conn:read_until("\r\n\r\n", HEAD_MOST)
  end
  if not head then
    return nil, err, code
  end
  local settings, why = judge(head, key, given)
  if not settings then
    return nil, ("connect %s:%s: %s"):format(parts.host, parts.port, why), "invalid"
  end
  ws, err, code = core.websocket.wrap(conn, settings)
  return ws, err, code
end

local function connect(parts, given)
  local scheme = parts.secure and "tls" or "tcp"
  local address = ("%s://%s:%s"):format(scheme, parts.host, parts.port)
  local conn, err, code = net.connect(address, { timeout = false, tls = parts.secure and given.tls or nil })
  if not conn then
    return nil, err, code
  end
  return shake_hands(conn, parts, given)
end

--- Connects and shakes hands, in so many seconds (false: any).
---@param seconds number|false
---@param parts table of handshake.parse_url
---@param given moonwire.websocket_connect_options checked
---@return moonwire.websocket? ws
---@return string? err
---@return moonwire.code? code
function client.connect(seconds, parts, given)
  if not seconds then
    return connect(parts, given)
  end
  local results = table.pack(pcall(task.with_timeout, seconds, connect, parts, given))
  if results[1] then
    return table.unpack(results, 2, results.n)
  end
  local code, message = core.is_fault(results[2])
  if code == "timeout" then
    return nil, message, code
  end
  error(results[2], 0)
end

return client
