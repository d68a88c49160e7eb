--- Cookies that a client keeps for the next request (RFC 6265).
local check = require "moonwire.check"
local dial = require "moonwire.http.dial"

---@class moonwire.cookie_jar
local Jar = { __name = "moonwire.cookie_jar" }
Jar.__index = Jar

local cookie_jar = {}

local COOKIE_MOST <const> = 4096 -- bytes of one
local PER_HOST <const>, ALL <const> = 50, 3000
local DATE <const> = "(%d%d?)[ -](%a%a%a)%a*[ -](%d%d%d?%d?)%s+(%d%d?):(%d%d):(%d%d)"
local MONTHS <const> = { jan = 1, feb = 2, mar = 3, apr = 4, may = 5, jun = 6, jul = 7, aug = 8, sep = 9,
  oct = 10, nov = 11, dec = 12 }

--- A jar without cookies.
---@return moonwire.cookie_jar
function cookie_jar.new()
  return setmetatable({ hosts = {}, count = 0, serial = 0 }, Jar)
end

-- --- reading

-- RFC 6265 section 5.1.1, for the forms that are in use. Seconds since 1970, or nil.
local function read_date(text)
  local day, name, year, hour, minute, second = text:match(DATE)
  local month = name and MONTHS[name:lower()]
  year = tonumber(year)
  if not month or not year then
    return nil
  end
  if year < 100 then
    year = year + (year < 70 and 2000 or 1900)
  end
  local before = month <= 2 and year - 1 or year
  local shifted = month <= 2 and month + 9 or month - 3
  local days = 365 * before + before // 4 - before // 100 + before // 400
  days = days + (153 * shifted + 2) // 5 + day - 719469
  return days * 86400 + hour * 3600 + minute * 60 + second
end

-- "/docs/page" is "/docs".
local function default_path(path)
  local folder = path:match("^(/.*)/[^/]*$")
  return folder or "/"
end

local function is_address(host)
  return host:find(":", 1, true) ~= nil or host:find("^%d+%.%d+%.%d+%.%d+$") ~= nil
end

local function covers(domain, host)
  return host == domain or (host:sub(-#domain - 1) == "." .. domain and not is_address(host))
end

local function read_attributes(text)
  local attributes = {}
  for name, value in text:gmatch(";%s*([^=;]*)=?([^;]*)") do
    attributes[name:match("^(.-)%s*$"):lower()] = value:match("^%s*(.-)%s*$")
  end
  return attributes
end

-- When it ends: false for the end of the client.
local function expiry_of(attributes, now)
  local age = attributes["max-age"]
  if age and age:find("^-?%d+$") then
    return tonumber(age) <= 0 and 0 or now + math.min(tonumber(age), 400 * 86400)
  end
  return attributes.expires and read_date(attributes.expires) or false
end

-- A cookie of a line of Set-Cookie, or nil.
local function read_cookie(line, from, now)
  local name, value, rest = line:match("^%s*([^=;]-)%s*=%s*([^;]-)%s*(;.*)$")
  if not name then
    name, value, rest = line:match("^%s*([^=;]-)%s*=%s*(.-)%s*$")
  end
  if not name or name == "" or #line > COOKIE_MOST or (name .. value):find("[%c]") then
    return nil
  end
  local attributes = read_attributes(rest or "")
  local secure = dial.is_secure(from.scheme)
  local cookie = { name = name, value = value, path = attributes.path, secure = attributes.secure ~= nil,
    host_only = true, domain = from.host, expires = expiry_of(attributes, now) }
  if not cookie.path or cookie.path:sub(1, 1) ~= "/" then
    cookie.path = default_path(from.path)
  end
  local domain = (attributes.domain or ""):lower():gsub("^%.", "")
  if domain ~= "" and domain ~= from.host then
    if not domain:find("%.[^.]") or not covers(domain, from.host) then
      return nil -- another's, or a whole top-level domain
    end
    cookie.domain, cookie.host_only = domain, false
  elseif domain ~= "" then
    cookie.host_only = is_address(domain)
  end
  if cookie.secure and not secure or name:find("^__Secure%-") and not cookie.secure then
    return nil
  end
  if name:find("^__Host%-") and not (cookie.secure and cookie.host_only and attributes.path == "/") then
    return nil
  end
  return cookie
end

-- --- keeping

local function remove(jar, domain, key)
  local cookies = jar.hosts[domain]
  if cookies and cookies[key] then
    cookies[key] = nil
    jar.count = jar.count - 1
    if not next(cookies) then
      jar.hosts[domain] = nil
    end
  end
end

-- The oldest of one host goes when it has too many.
local function make_room(jar, domain)
  local count, oldest, at = 0, nil, nil
  for key, cookie in next, jar.hosts[domain] or {} do
    count = count + 1
    if not oldest or cookie.since < oldest then
      oldest, at = cookie.since, key
    end
  end
  if count >= PER_HOST then
    remove(jar, domain, at)
  end
  return jar.count < ALL
end

--- Takes in a field Set-Cookie. What its server has no right to is left out.
---@param from moonwire.url where the answer came from
---@param line string
---@return boolean kept
function Jar:set(from, line)
  check.object(self, Jar, "set")
  check.type(line, "string", 2, "set")
  local now = os.time()
  local cookie = read_cookie(line, from, now)
  if not cookie then
    return false
  end
  local key = cookie.name .. "\0" .. cookie.path
  local before = self.hosts[cookie.domain] and self.hosts[cookie.domain][key]
  if before and before.secure and not dial.is_secure(from.scheme) then
    return false
  end
  remove(self, cookie.domain, key)
  if cookie.expires and cookie.expires <= now or not make_room(self, cookie.domain) then
    return false
  end
  self.serial = self.serial + 1
  cookie.since = before and before.since or self.serial
  self.hosts[cookie.domain] = self.hosts[cookie.domain] or {}
  self.hosts[cookie.domain][key] = cookie
  self.count = self.count + 1
  return true
end

local function path_covers(path, target)
  local behind = target:sub(#path + 1, #path + 1)
  return target == path or target:sub(1, #path) == path and (path:sub(-1) == "/" or behind == "/")
end

-- Cookies of one domain that go to a URL.
local function gather(jar, domain, to, found)
  local now, secure = os.time(), dial.is_secure(to.scheme)
  for key, cookie in next, jar.hosts[domain] or {} do
    if cookie.expires and cookie.expires <= now then
      remove(jar, domain, key)
    elseif (secure or not cookie.secure) and (domain == to.host or not cookie.host_only)
      and path_covers(cookie.path, to.path) then
      found[#found + 1] = cookie
    end
  end
end

local function goes_first(one, other)
  if #one.path ~= #other.path then
    return #one.path > #other.path
  end
  return one.since < other.since
end

--- The value of the field Cookie for a request; nil: there are none for it.
---@param to moonwire.url
---@return string?
function Jar:get(to)
  check.object(self, Jar, "get")
  local found, domain = {}, to.host
  while domain do
    gather(self, domain, to, found)
    domain = not is_address(to.host) and domain:match("^[^.]*%.(.+)$")
  end
  table.sort(found, goes_first)
  for index, cookie in ipairs(found) do
    found[index] = cookie.name .. "=" .. cookie.value
  end
  return #found > 0 and table.concat(found, "; ") or nil
end

--- Forgets all cookies.
function Jar:clear()
  check.object(self, Jar, "clear")
  self.hosts, self.count = {}, 0
end

return cookie_jar
