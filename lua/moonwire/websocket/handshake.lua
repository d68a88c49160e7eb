--- The handshake of WebSockets (RFC 6455 section 4), as text. Not for scripts.
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"

local handshake = {}

local MAGIC <const> = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
local KEY_BYTES <const> = 16
local DEFAULT_PORTS <const> = { http = "80", https = "443", ws = "80", wss = "443" }

--- Whether a comma-separated value has the token, in any case.
---@param value string?
---@param token string in lower case
---@return boolean
function handshake.has_token(value, token)
  for word in (value or ""):lower():gmatch("[^,]+") do
    if word:match("^[ \t]*(.-)[ \t]*$") == token then
      return true
    end
  end
  return false
end

--- The proof that the key of a client was understood.
---@param key string
---@return string
function handshake.accept_key(key)
  return codec.base64_encode(crypto.digest("sha1", key .. MAGIC))
end

---@return string
function handshake.new_key()
  return codec.base64_encode(crypto.random_bytes(KEY_BYTES))
end

local function is_key(text)
  local bytes = text and codec.base64_decode(text)
  return bytes and #bytes == KEY_BYTES
end

--- What is wrong with a request that should open a WebSocket.
---@param request moonwire.http.request
---@return integer? status to answer with; nil: it is good
---@return string? why
function handshake.problem(request)
  if not handshake.has_token(request:header("upgrade"), "websocket")
    or not handshake.has_token(request:header("connection"), "upgrade") then
    return 426, "not a WebSocket handshake"
  elseif request.method ~= "GET" or request.version ~= "1.1" then
    return 400, "not a GET of HTTP/1.1"
  elseif not is_key(request:header("sec-websocket-key")) then
    return 400, "no key, or a wrong one"
  elseif request:header("sec-websocket-version") ~= "13" then
    return 426, "another version than 13"
  elseif (request.length or 0) > 0 or request:header("transfer-encoding") then
    return 400, "a body"
  end
end

-- "example.org:8080" of an origin or an authority; the port of the scheme left out.
local function host_of(authority, scheme)
  local host, port = authority:lower():match("^(.-):(%d+)$")
  return port and port == DEFAULT_PORTS[scheme] and host or authority:lower()
end

local function is_same(origin, request)
  local scheme, authority = origin:match("^(%a[%w+.-]*)://([^/]*)$")
  scheme = scheme and scheme:lower()
  return authority and request.authority and
    host_of(authority, scheme) == host_of(request.authority, scheme) or false
end

--- Whether the page that a browser asks for may do so. Requests of others have no Origin.
---@param request moonwire.http.request
---@param policy "same"|"any"|string[]|fun(origin: string, request: moonwire.http.request): any
---@return boolean
function handshake.is_allowed(request, policy)
  local origin = request:header("origin")
  if not origin or policy == "any" then
    return true
  elseif type(policy) == "function" then
    return policy(origin, request) and true or false
  elseif type(policy) ~= "table" then
    return is_same(origin, request)
  end
  for _, allowed in ipairs(policy) do
    if allowed:lower() == origin:lower() then
      return true
    end
  end
  return false
end

--- The first of our subprotocols that the client offers.
---@param offered string? value of the field
---@param own string[]?
---@return string?
function handshake.choose_protocol(offered, own)
  local names = {}
  for name in (offered or ""):gmatch("[^,]+") do
    names[name:match("^[ \t]*(.-)[ \t]*$")] = true
  end
  for _, name in ipairs(own or {}) do
    if names[name] then
      return name
    end
  end
end

--- What is wrong with the answer of a server.
---@param status integer
---@param headers table<string, string>
---@param key string that was sent
---@param protocols string[]? that were offered
---@return string? why nil: it is good
function handshake.answer_problem(status, headers, key, protocols)
  if status ~= 101 then
    return ("status %d"):format(status)
  elseif not handshake.has_token(headers.upgrade, "websocket")
    or not handshake.has_token(headers.connection, "upgrade") then
    return "an upgrade to something else"
  elseif headers["sec-websocket-accept"] ~= handshake.accept_key(key) then
    return "a wrong Sec-WebSocket-Accept"
  end
  local protocol = headers["sec-websocket-protocol"]
  if protocol and not handshake.choose_protocol(protocol, protocols) then
    return "a subprotocol that was not offered"
  elseif protocol and protocol:find(",", 1, true) then
    return "several subprotocols"
  end
end

--- The parts of a ws:// or wss:// URL.
---@param url string
---@return { secure: boolean, host: string, port: string, authority: string, target: string }? parts
function handshake.parse_url(url)
  local scheme, rest = url:match("^(%a+)://([^#]*)$")
  scheme = scheme and scheme:lower()
  local authority, target = (rest or ""):match("^([^/?]+)(.*)$")
  local is_good = authority and not authority:find("[@%c ]") and not target:find("[%c \x7f-\xff]")
  if (scheme ~= "ws" and scheme ~= "wss") or not is_good then
    return nil
  end
  local host, port = authority:match("^(%[[%x:.]+%]):?(%d*)$")
  if not host then
    host, port = authority:match("^([^:%[%]]+):?(%d*)$")
  end
  if not host then
    return nil
  end
  port = port ~= "" and port or DEFAULT_PORTS[scheme]
  target = target:find("^/") and target or "/" .. target
  return {
    secure = scheme == "wss", host = host, port = port, target = target,
    authority = port == DEFAULT_PORTS[scheme] and host or host .. ":" .. port,
  }
end

return handshake
