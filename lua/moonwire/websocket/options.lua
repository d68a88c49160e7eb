--- Options of WebSockets: what may be wrong with them, and what core takes of them. Not for scripts.
local core = require "moonwire.core"

local options = {}

local LIMITS <const> = {
  max = "integer", frames_max = "integer", ping_interval = "seconds", ping_timeout = "seconds",
  close_timeout = "seconds",
}

local DEFLATE <const> = {
  level = "integer", threshold = "integer", window = "integer", peer_window = "integer", context = "boolean",
  peer_context = "boolean",
}

local function known(more)
  for name, kind in pairs(LIMITS) do
    more[name] = kind
  end
  return more
end

options.ACCEPT = known { protocols = "table", origins = "any", deflate = "any" }
options.CONNECT = known {
  protocols = "table", headers = "table", origin = "string", deflate = "any", timeout = "seconds",
    tls = "table",
}

--- The settings of a WebSocket, as core takes them, with the limits among options.
---@param given table
---@param role "server"|"client"
---@return table
function options.settings(given, role)
  local settings = { role = role }
  for name in pairs(LIMITS) do
    settings[name] = given[name]
  end
  return settings
end

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
  local function value(name, default)
    return rawget(deflate, name) or default
  end
  local level, window, peer = value("level", 6), value("window", 15), value("peer_window", 15)
  if level < 1 or level > 9 or window < 9 or window > 15 or peer < 8 or peer > 15
    or value("threshold", 0) < 0 then
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

-- Fields that the handshake itself has.
local OWN_FIELDS <const> = {
  host = true, upgrade = true, connection = true, ["sec-websocket-key"] = true,
    ["sec-websocket-version"] = true,
  ["sec-websocket-protocol"] = true, ["sec-websocket-extensions"] = true, ["content-length"] = true,
  ["transfer-encoding"] = true,
}

local function field_problem(given)
  for name, value in pairs(given.headers or {}) do
    if type(name) ~= "string" or type(value) ~= "string" or not core.websocket.is_field(name, value) then
      return "option 'headers': names and values of fields expected"
    elseif OWN_FIELDS[name:lower()] then
      return ("option 'headers': the field %s is the handshake's own"):format(name)
    end
  end
  if given.origin and not core.websocket.is_field("Origin", given.origin) then
    return "option 'origin': not the value of a field"
  end
end

--- What is wrong with the options of either role.
---@param given table
---@return string? problem nil: nothing
function options.problem(given)
  return deflate_problem(given.deflate) or protocol_problem(given.protocols) or field_problem(given)
end

return options
