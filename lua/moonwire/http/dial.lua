--- Connecting a client to where a request goes: straight, or by a proxy. Not for scripts.
local codec = require "moonwire.codec"
local core = require "moonwire.core"
local net = require "moonwire.net"
local url = require "moonwire.http.url"

local dial = {}

local SECURE <const> = { https = true, wss = true }

--- Whether requests of a scheme go over TLS.
---@param scheme string
---@return boolean
function dial.is_secure(scheme)
  return SECURE[scheme] or false
end

-- All that makes one table of options another than the next, in a fixed order.
local function describe(value)
  if type(value) ~= "table" then
    return tostring(value)
  end
  local keys = {}
  for key in next, value do
    keys[#keys + 1] = tostring(key)
  end
  table.sort(keys)
  for index, key in ipairs(keys) do
    local entry = value[key]
    if entry == nil then
      entry = value[tonumber(key)]
    end
    keys[index] = ("%q=%s"):format(key, describe(entry))
  end
  return "{" .. table.concat(keys, ",") .. "}"
end

--- What makes two connections the same: where to, by which way, with which identity and checks.
---@param way table see dial.open
---@return string
function dial.key(way)
  local key = url.origin(way.to)
  if way.proxy or way.address or way.tls or way.connection then
    key = ("%s %s %s %s %s"):format(key, way.address or "-", way.proxy and url.origin(way.proxy) or "-",
      describe(way.tls), describe(way.connection))
    if way.proxy and way.proxy.user then
      key = ("%s %q %q"):format(key, way.proxy.user, way.proxy.password)
    end
  end
  return key
end

--- The credentials of a URL as a field value, nil without any.
---@param parts moonwire.url
---@return string?
function dial.basic(parts)
  if parts.user then
    return "Basic " .. codec.base64_encode(parts.user .. ":" .. parts.password)
  end
end

local function address_of(parts)
  local host = parts.host:find(":", 1, true) and "[" .. parts.host .. "]" or parts.host
  return ("%s://%s:%d"):format(dial.is_secure(parts.scheme) and "tls" or "tcp", host, parts.port)
end

local function options_of(way, secure, tls)
  local options = { timeout = way.timeout, read_timeout = way.read_timeout, tls = secure and tls or nil }
  for key, value in next, way.connection or {} do
    options[key] = value
  end
  return options
end

-- RFC 9110 section 9.3.6.
local function ask_tunnel(stream, way)
  local host = way.to.host:find(":", 1, true) and "[" .. way.to.host .. "]" or way.to.host
  local authority = host .. ":" .. way.to.port
  local credentials = dial.basic(way.proxy)
  stream:write("CONNECT ", authority, " HTTP/1.1\r\nHost: ", authority, "\r\n",
    credentials and "Proxy-Authorization: " .. credentials .. "\r\n" or "", "\r\n")
  local reply, err, code = core.http.reply(stream, "CONNECT")
  if not reply then
    return nil, err, code
  end
  local status, reason = reply:status()
  reply:leave()
  if status // 100 ~= 2 then
    return nil, ("connect %s by proxy %s: %d %s"):format(authority, url.authority(way.proxy), status, reason),
      status == 407 and "denied" or "unreachable"
  end
  return true
end

local function tunnel(way)
  local stream, err, code = net.connect(address_of(way.proxy), options_of(way, way.proxy.scheme == "https"))
  if not stream then
    return nil, err, code
  end
  local ok
  ok, err, code = ask_tunnel(stream, way)
  if ok then
    local options = { name = way.to.host }
    for key, value in next, way.tls or {} do
      options[key] = value
    end
    ok, err, code = stream:start_tls(options)
  end
  if not ok then
    stream:close()
    return nil, err, code
  end
  return stream
end

--- Connects. `way` has the fields `to` (a URL), `proxy` (a URL), `address` (to connect to instead), `tls` and
--- `connection` (options of net.connect), `timeout`, `read_timeout`.
---@param way table
---@return moonwire.stream?
---@return string? err
---@return moonwire.code? code
function dial.open(way)
  local secure = dial.is_secure(way.to.scheme)
  if way.proxy and secure then
    return tunnel(way)
  elseif way.proxy then
    return net.connect(address_of(way.proxy), options_of(way, way.proxy.scheme == "https"))
  end
  return net.connect(way.address or address_of(way.to), options_of(way, secure, way.tls))
end

return dial
