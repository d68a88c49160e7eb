--- Which proxy a request goes by, if any. Not for scripts.
local dial = require "moonwire.http.dial"
local url = require "moonwire.http.url"

local proxy_choice = {}

local function split(text)
  local names = {}
  for name in (text or ""):gmatch("[^,%s]+") do
    names[#names + 1] = name
  end
  return names
end

-- A name covers itself and all below it; "*" covers everything.
local function is_exempt(to, names)
  for _, name in ipairs(names) do
    local host, port = name:lower():match("^%.?([^:]*):?(%d*)$")
    host, port = host or name:lower(), port or ""
    local covered = name == "*" or to.host == host or to.host:sub(-#host - 1) == "." .. host
    if covered and (port == "" or tonumber(port) == to.port) then
      return true
    end
  end
  return false
end

-- HTTP_PROXY in capitals is left out: a CGI program has it from its client.
local function of_environment(to)
  local secure = dial.is_secure(to.scheme)
  local text = secure and (os.getenv "https_proxy" or os.getenv "HTTPS_PROXY") or not secure
    and os.getenv "http_proxy"
  if not text or text == "" or is_exempt(to, split(os.getenv "no_proxy" or os.getenv "NO_PROXY")) then
    return nil
  end
  return url.parse(text:find("://", 1, true) and text or "http://" .. text)
end

--- The proxy for a URL; nil: none.
---@param to moonwire.url
---@param proxy moonwire.url|"environment"|false
---@param no_proxy? string[]
---@return moonwire.url?
---@return string? err
function proxy_choice.of(to, proxy, no_proxy)
  if not proxy or is_exempt(to, no_proxy or {}) then
    return nil
  elseif proxy == "environment" then
    return of_environment(to)
  end
  return proxy
end

return proxy_choice
