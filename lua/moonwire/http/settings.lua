--- The settings of clients and the options of requests. Not for scripts.
local url = require "moonwire.http.url"

local settings = {}

--- Of a client; those below are of its requests, too.
local CLIENT <const> = { connections = "integer", connections_per_host = "integer", keep_alive = "number",
  cookies = true, agent = "string" }

local REQUEST <const> = {
  headers = "table", timeout = "seconds", connect_timeout = "seconds", read_timeout = "seconds",
  redirects = "count", insecure_redirects = "boolean", body_max = "count", head_max = "integer",
  fields_max = "integer", retries = "count", compression = "boolean", proxy = true, no_proxy = "table",
  tls = "table", connection = "table", expect_continue = true,
}

local OF_ONE <const> = {
  method = "string", url = "string", body = true, form = "table", json = true, query = "table",
  length = "count", stream = "boolean", address = "string", upgrade = "string", on_interim = "function",
}

local DEFAULTS <const> = {
  timeout = false, connect_timeout = 10, read_timeout = 60, redirects = 10, insecure_redirects = false,
  body_max = 10 * 1024 * 1024, retries = 1, compression = true, expect_continue = 1 << 20, proxy = false,
  connections = 256, connections_per_host = 16, keep_alive = 60, cookies = false, agent = "moonwire",
}

local function sorted_names(...)
  local names = {}
  for _, known in ipairs { ... } do
    for name in next, known do
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return table.concat(names, ", ")
end

local function is_of_kind(kind, value)
  if kind == true then
    return true
  elseif kind == "seconds" then
    return value == false or type(value) == "number" and value >= 0
  elseif kind == "count" then
    return value == false or math.type(value) == "integer" and value >= 0
  elseif kind == "integer" then
    return math.type(value) == "integer" and value > 0
  end
  return type(value) == kind
end

local function problem_of(options, ...)
  local known = { ... }
  for key, value in next, options do
    local kind
    for _, keys in ipairs(known) do
      kind = kind or keys[key]
    end
    if not kind then
      return ("unknown option '%s' (known: %s)"):format(tostring(key), sorted_names(...))
    elseif not is_of_kind(kind, value) then
      return ("option '%s': %s expected, got %s"):format(key, kind, type(value))
    end
  end
end

local function read_proxy(chosen, options)
  if type(options.proxy) == "string" and options.proxy ~= "environment" then
    local parts, err = url.parse(options.proxy)
    if not parts then
      return "option 'proxy': " .. err
    end
    chosen.proxy = parts
  end
end

--- The settings of a client, from what its script has given.
---@param options? table
---@return table? chosen
---@return string? problem
function settings.of_client(options)
  options = options or {}
  local chosen = setmetatable({}, { __index = DEFAULTS })
  local problem = problem_of(options, CLIENT, REQUEST)
  if problem then
    return nil, problem
  end
  for key, value in next, options do
    chosen[key] = value
  end
  problem = read_proxy(chosen, options)
  return not problem and chosen or nil, problem
end

--- Options with others in their place; nothing of the caller's is changed.
---@param options? table
---@param own table
---@return table
function settings.merge(options, own)
  local all = {}
  for key, value in next, options or {} do
    all[key] = value
  end
  for key, value in next, own do
    all[key] = value
  end
  return all
end

--- What holds for one request.
---@param client table of of_client
---@param options table
---@return table? chosen
---@return string? problem
function settings.of_request(client, options)
  local problem = problem_of(options, REQUEST, OF_ONE)
  if problem then
    return nil, problem
  end
  local chosen = setmetatable({}, { __index = function(_, key)
    local value = options[key]
    if value == nil then
      return client[key]
    end
    return value
  end })
  problem = read_proxy(chosen, options)
  return not problem and chosen or nil, problem
end

return settings
