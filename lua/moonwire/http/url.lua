--- URLs of http and https: taken apart, put together, resolved (RFC 3986). Strict where browsers guess.
local check = require "moonwire.check"
local codec = require "moonwire.codec"

local url = {}

local MOST <const> = 8192 -- bytes
local PORTS <const> = { http = 80, https = 443, ws = 80, wss = 443 }

---@class moonwire.url
---@field scheme string "http", "https", "ws", "wss"
---@field host string lower-case, without brackets
---@field port integer
---@field path string begins with "/", percent-encoded
---@field query? string behind the "?"
---@field fragment? string behind the "#"
---@field user? string decoded
---@field password? string decoded

local function refuse(text, why)
  return nil, ("%s: %s"):format(text:sub(1, 100):gsub("%c", "?"), why), "invalid"
end

-- What cannot stand in a URL is escaped; escapes that are there stay.
local function escape(text)
  text = text:gsub("[^%w%-._~!$&'()*+,;=:@/?%%]", function(byte) return ("%%%02X"):format(byte:byte()) end)
  return (text:gsub("%%(%x?%x?)", function(digits) return #digits < 2 and "%25" .. digits or nil end))
end

-- RFC 3986 section 5.2.4.
local function without_dots(path)
  local segments, size = {}, 0
  local last = path:match("[^/]*$")
  for segment in path:gmatch("/([^/]*)") do
    local plain = segment:gsub("%%2[eE]", ".")
    if plain == ".." then
      size = math.max(size - 1, 0)
    elseif plain ~= "." then
      size = size + 1
      segments[size] = segment
    end
  end
  last = last:gsub("%%2[eE]", ".")
  local tail = (last == "." or last == "..") and "/" or ""
  return "/" .. table.concat(segments, "/", 1, size) .. (size > 0 and tail or "")
end

local function read_host(text, host)
  local v6 = host:match("^%[([%x:.]+)%]$")
  if v6 and v6:find(":", 1, true) then
    return v6:lower()
  end
  if host:find("[\x80-\xff]") then
    return refuse(text, "a host of other letters than ASCII: write it as xn--…")
  end
  if host == "" or #host > 255 or host:find("[^%w%-._]") then
    return refuse(text, "no host")
  end
  return host:lower()
end

local function read_port(text, scheme, digits)
  local port = digits == "" and PORTS[scheme] or tonumber(digits)
  if not port or #digits > 5 or port < 1 or port > 65535 then
    return refuse(text, "a port from 1 to 65535 expected")
  end
  return port
end

-- The colons of an IPv6 address are within brackets.
local function split_port(text)
  if text:find("^%[") then
    return text:match("^(%b[]):?(%d*)$")
  end
  return text:match("^([^:]*):?(%d*)$")
end

-- user:password@host:port
local function read_authority(text, authority, parts)
  local userinfo, place = authority:match("^(.*)@([^@]*)$")
  local host, digits = split_port(place or authority)
  if not host then
    return refuse(text, "no host")
  end
  local err, code
  parts.host, err, code = read_host(text, host)
  if not parts.host then
    return nil, err, code
  end
  parts.port, err, code = read_port(text, parts.scheme, digits)
  if not parts.port then
    return nil, err, code
  end
  if userinfo then
    local user, password = userinfo:match("^([^:]*):?(.*)$")
    parts.user, parts.password = codec.url_decode(user), codec.url_decode(password)
    if not parts.user or not parts.password then
      return refuse(text, "bad escapes before the host")
    end
  end
  return true
end

local function check_text(text)
  if #text > MOST then
    return refuse(text, ("longer than %d bytes"):format(MOST))
  end
  if text:find("[%c\\]") then
    return refuse(text, "control characters or backslashes")
  end
  return true
end

--- Takes a URL apart.
---@param text string "http://user:password@host:8080/path?query#fragment"
---@return moonwire.url? parts
---@return string? err
---@return moonwire.code? code "invalid"
function url.parse(text)
  check.type(text, "string", 1, "parse")
  local ok, err, code = check_text(text)
  if not ok then
    return nil, err, code
  end
  local scheme, authority, rest = text:match("^(%a[%w+.-]*)://([^/?#]*)(.*)$")
  scheme = scheme and scheme:lower()
  if not PORTS[scheme] then
    return refuse(text, "a URL such as http://host/path expected")
  end
  local parts = { scheme = scheme }
  ok, err, code = read_authority(text, authority, parts)
  if not ok then
    return nil, err, code
  end
  local path, query, fragment = rest:match("^([^?#]*)%??([^#]*)#?(.*)$")
  parts.path = without_dots(escape(path == "" and "/" or path))
  parts.query = rest:find("^[^#]*%?") and escape(query) or nil
  parts.fragment = rest:find("#", 1, true) and escape(fragment) or nil
  return parts
end

local function bracketed(host)
  return host:find(":", 1, true) and "[" .. host .. "]" or host
end

--- The host with its port, as in the field Host: the port only where it is not that of the scheme.
---@param parts moonwire.url
---@return string
function url.authority(parts)
  if parts.port == PORTS[parts.scheme] then
    return bracketed(parts.host)
  end
  return bracketed(parts.host) .. ":" .. parts.port
end

--- The path with its query, as a request has them.
---@param parts moonwire.url
---@return string
function url.target(parts)
  return parts.query and parts.path .. "?" .. parts.query or parts.path
end

--- Where a URL leads to, as far as what is secret goes: scheme, host and port (RFC 6454).
---@param parts moonwire.url
---@return string
function url.origin(parts)
  return parts.scheme .. "://" .. bracketed(parts.host) .. ":" .. parts.port
end

--- Puts a URL together, without user and password.
---@param parts moonwire.url
---@return string
function url.build(parts)
  local text = parts.scheme .. "://" .. url.authority(parts) .. url.target(parts)
  return parts.fragment and text .. "#" .. parts.fragment or text
end

-- The path and query of a reference that has no scheme and no host.
local function merge(base, reference)
  local path, behind = reference:match("^([^?#]*)(.*)$")
  if path == "" then
    local query = base.query and not behind:find("^%?") and "?" .. base.query or ""
    return base.path .. query .. behind
  end
  if path:sub(1, 1) ~= "/" then
    path = base.path:match("^(.*/)") .. path
  end
  return path .. behind
end

--- Resolves a reference, as in a link or the field Location, against the URL that it was found at.
---@param base moonwire.url
---@param reference string "../other?a=1", "//host/path", "https://host/"
---@return moonwire.url? parts
---@return string? err
---@return moonwire.code? code "invalid"
function url.resolve(base, reference)
  check.type(base, "table", 1, "resolve")
  check.type(reference, "string", 2, "resolve")
  if reference:find("^%a[%w+.-]*:") then
    return url.parse(reference)
  end
  if reference:find("^//") then
    return url.parse(base.scheme .. ":" .. reference)
  end
  local ok, err, code = check_text(reference)
  if not ok then
    return nil, err, code
  end
  return url.parse(base.scheme .. "://" .. bracketed(base.host) .. ":" .. base.port .. merge(base, reference))
end

return url
