--- Cookies as a server reads and sets them (RFC 6265bis).
local check = require "moonwire.check"

---@class moonwire.http.cookie
local cookie = {}

local NAME <const> = "^[%w!#$%%&'*+.^_`|~-]+$"
local VALUE <const> = "^[!#-+%-.-:<-Z%[%]^-~]*$" -- cookie-octet
local ATTRIBUTE <const> = "^[ -:<-~]*$"
local BYTES_MOST <const> = 4096 -- of name and value: browsers drop what is longer
local LONGEST <const> = 400 * 24 * 3600 -- browsers cut what is to live longer

local SAME_SITE <const> = { strict = "Strict", lax = "Lax", none = "None" }
local KNOWN <const> = {
  path = "string", domain = "string", max_age = "integer", secure = "boolean", http_only = "boolean",
  same_site = { strict = true, lax = true, none = true }, partitioned = "boolean",
}

---@class moonwire.http.cookie_options
---@field path? string below which it is sent; default "/"
---@field domain? string whose hosts get it too; default: only the host that sets it
---@field max_age? integer seconds that it lives, up to 34560000 (400 days); default: until the browser ends
--- Whether it is sent over https only; default of response:cookie: as the request came.
---@field secure? boolean
---@field http_only? boolean whether scripts of pages do not see it; default true
--- When it goes with requests that other sites make: "lax" (default) with links only, "strict" never, "none"
--- always, which asks for `secure`.
---@field same_site? "strict"|"lax"|"none"
---@field partitioned? boolean a jar for each site that embeds this one; default false, asks for `secure`

-- Name and value of a pair between semicolons; nil when it is none.
local function read_pair(pair)
  local name, value = pair:match("^[ \t]*([^=%s]+)[ \t]*=[ \t]*(.-)[ \t]*$")
  return name, value and value:match('^"(.*)"$') or value
end

--- The cookies of a request. Of a name that occurs twice the first counts, which
--- is the one with the narrower path. What is no cookie is skipped.
---@param field? string the field "Cookie"
---@return table<string, string> values
function cookie.parse(field)
  check.type(field or "", "string", 1, "parse")
  local values = {}
  for pair in (field or ""):gmatch("[^;]+") do
    local name, value = read_pair(pair)
    if name and values[name] == nil then
      values[name] = value
    end
  end
  return values
end

--- The value of one cookie of a request.
---@param field string|nil the field "Cookie"
---@param name string
---@return string? value
function cookie.find(field, name)
  check.type(field or "", "string", 1, "find")
  check.type(name, "string", 2, "find")
  if not field or not field:find(name, 1, true) then
    return nil
  end
  for pair in field:gmatch("[^;]+") do
    local found, value = read_pair(pair)
    if found == name then
      return value
    end
  end
end

-- What stands in the way of a cookie; nil: nothing.
local function problem_of(name, options)
  local secure, path = options.secure, options.path or "/"
  if options.same_site == "none" and not secure then
    return "same_site 'none' asks for secure: browsers drop it otherwise"
  elseif options.partitioned and not secure then
    return "partitioned asks for secure: browsers drop it otherwise"
  elseif name:lower():find("^__secure%-") and not secure then
    return "a name with __Secure- asks for secure"
  elseif name:lower():find("^__host%-") and (not secure or options.domain or path ~= "/") then
    return "a name with __Host- asks for secure, the path \"/\", and no domain"
  elseif not path:find("^/") or not path:find(ATTRIBUTE) then
    return ("no path of a cookie: '%s'"):format(path)
  elseif options.domain and not options.domain:find("^[%w.-]+$") then
    return ("no domain: '%s'"):format(options.domain)
  elseif options.max_age and options.max_age > LONGEST then
    return ("max_age: at most %d, got %d"):format(LONGEST, options.max_age)
  end
end

-- What is wrong with name or value, and with which of the two.
local function problem_of_pair(name, value)
  if not name:find(NAME) then
    return ("no name of a cookie: '%s'"):format(name), 1
  elseif not value:find(VALUE) then
    return "a cookie has no blanks, quotes, commas, semicolons, backslashes or other bytes than ASCII: "
      .. "use codec.url_encode or base64url_encode", 2
  elseif #name + #value > BYTES_MOST then
    return ("%d bytes of name and value, more than %d"):format(#name + #value, BYTES_MOST), 2
  end
end

local function write(name, value, options, age)
  local parts = { name .. "=" .. value, "Path=" .. (options.path or "/") }
  local function add(text)
    parts[#parts + 1] = text or nil
  end
  add(options.domain and "Domain=" .. options.domain)
  add(age and "Max-Age=" .. age)
  add(options.secure and "Secure")
  add(options.http_only ~= false and "HttpOnly")
  add("SameSite=" .. SAME_SITE[options.same_site or "lax"])
  add(options.partitioned and "Partitioned")
  return table.concat(parts, "; ")
end

--- The field "Set-Cookie". Raises for what browsers would drop.
---@param name string a token
---@param value string
---@param options? moonwire.http.cookie_options `secure` is false by default here
---@return string field
function cookie.encode(name, value, options)
  check.type(name, "string", 1, "encode")
  check.type(value, "string", 2, "encode")
  check.options(options, KNOWN, 3, "encode")
  options = options or {}
  local problem, position = problem_of_pair(name, value)
  problem, position = problem or problem_of(name, options), position or 3
  if problem then
    check.refuse(position, "encode", problem)
  end
  return write(name, value, options, options.max_age)
end

--- The field "Set-Cookie" that removes a cookie. Path and domain are those that
--- it was set with.
---@param name string
---@param options? moonwire.http.cookie_options
---@return string field
function cookie.encode_removal(name, options)
  check.type(name, "string", 1, "encode_removal")
  check.options(options, KNOWN, 2, "encode_removal")
  options = options or {}
  local problem, position = problem_of_pair(name, "")
  problem, position = problem or problem_of(name, options), position or 2
  if problem then
    check.refuse(position, "encode_removal", problem)
  end
  return write(name, "", options, 0) .. "; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
end

return cookie
