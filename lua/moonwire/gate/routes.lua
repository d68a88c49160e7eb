--- Which server a connection is for, by what its client asks for in clear in its first message of TLS: the
--- name (SNI, RFC 6066 section 3) and the protocol (ALPN, RFC 7301).
local check = require "moonwire.check"

local KNOWN <const> = { server_name = "string", protocol = "string", upstream = "string" }

---@class moonwire.gate_route
---@field server_name? string "www.example.org"; "*.example.org": one label or more; nil: any, or none
---@field protocol? string one of those that the client offers; nil: any, or none
---@field upstream string where it leads

---@class moonwire.gate_routes
---@field private list moonwire.gate_route[]
local Routes = { __name = "moonwire.gate_routes" }
Routes.__index = Routes

-- What is wrong with a route; nil: nothing.
local function problem_of(route)
  if type(route) ~= "table" then
    return "a table expected"
  end
  for key, value in pairs(route) do
    if not KNOWN[key] then
      return ("unknown key '%s' (known: protocol, server_name, upstream)"):format(tostring(key))
    elseif type(value) ~= "string" then
      return ("'%s': string expected"):format(key)
    end
  end
  local name = route.server_name
  if not route.upstream then
    return "'upstream': an address expected"
  elseif name and (name == "" or name:find("[^%w._*-]") or name:gsub("^%*%.", ""):find("*", 1, true)) then
    return "'server_name': a name, or one behind \"*.\", expected"
  end
end

---@param list moonwire.gate_route[]
---@return moonwire.gate_routes? routes
---@return string? problem
local function new(list)
  local routes = {}
  for i, route in ipairs(list) do
    local problem = problem_of(route)
    if problem then
      return nil, ("route %d: %s"):format(i, problem)
    end
    local name = route.server_name and route.server_name:lower()
    routes[i] = {
      name = name, suffix = name and name:match "^%*(%..+)$",
      protocol = route.protocol, upstream = route.upstream,
    }
  end
  return setmetatable({ list = routes }, Routes)
end

local function offers(hello, protocol)
  for _, offered in ipairs(hello.protocols or {}) do
    if offered == protocol then
      return true
    end
  end
  return false
end

local function fits(route, hello)
  local name = hello.server_name or ""
  if route.suffix then
    if #name <= #route.suffix or name:sub(-#route.suffix) ~= route.suffix then
      return false
    end
  elseif route.name and route.name ~= name then
    return false
  end
  return not route.protocol or offers(hello, route.protocol)
end

--- Where the first route leads that fits.
---@param hello table of stream:peek_client_hello
---@return string? upstream nil: none does
function Routes:find(hello)
  check.object(self, Routes, "find")
  check.type(hello, "table", 1, "find")
  for _, route in ipairs(self.list) do
    if fits(route, hello) then
      return route.upstream
    end
  end
end

return { new = new }
