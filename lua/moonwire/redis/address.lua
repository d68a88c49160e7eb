--- URLs of Redis. Not for scripts.
local codec = require "moonwire.codec"

local address = {}

local PORT <const> = 6379
local MOST <const> = 1024 -- bytes
local SCHEMES <const> = { redis = "tcp", rediss = "tls" }

local function decode(text)
  return text and text ~= "" and codec.url_decode(text) or nil
end

-- "host", "host:port", "[::1]:port": with a port.
local function with_port(place)
  local host, port = place:match("^(%[[%x:.]+%]):?(%d*)$")
  if not host then
    host, port = place:match("^([%w%-._]+):?(%d*)$")
  end
  port = port and (port == "" and PORT or #port <= 5 and tonumber(port))
  return host and port and port > 0 and port < 65536 and ("%s:%d"):format(host, port) or nil
end

local function parse(text)
  local path = text:match("^unix://(/%C+)$")
  if path then
    return { address = "unix://" .. path, database = 0 }
  end
  local scheme, rest = text:match("^(%l+)://(%C+)$")
  if not SCHEMES[scheme] then
    return nil
  end
  local authority, database = rest:match("^([^/?#]*)/?(%d*)$")
  local login, place = (authority or ""):match("^(.*)@([^@]*)$")
  place = with_port(place or authority or "")
  local user, password = (login or ""):match("^([^:]*):(.*)$")
  if not place or login and not user or #database > 9 then
    return nil
  end
  return {
    address = ("%s://%s"):format(SCHEMES[scheme], place), database = tonumber(database) or 0,
    user = decode(user), password = decode(password),
  }
end

--- Takes a URL apart: `redis://user:password@host:port/database`, `rediss://…` with TLS, `unix:///path`.
---@param text string
--- With the fields `address` for net.connect, `database`, `user`, `password`.
---@return table? parts
---@return string? err without the text, which may hold a password
---@return moonwire.code? code "invalid"
function address.parse(text)
  local parts = #text <= MOST and parse(text)
  if not parts then
    return nil, "no URL of Redis, as are redis://host:6379/0, rediss://host and unix:///path", "invalid"
  end
  return parts
end

--- The options of TLS that stand behind the "?" of a URL: `authorities=/etc/ssl/cache.pem`.
---@param scheme string
---@param options table<string, string>
---@return table? tls of net.connect; nil: its defaults
---@return string? problem
function address.tls(scheme, options)
  local file = options.authorities
  if file and scheme ~= "rediss" then
    return nil, "the option 'authorities' goes with rediss://"
  end
  return file and { authorities = file } or nil
end

return address
