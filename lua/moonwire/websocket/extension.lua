--- permessage-deflate as client and server agree on it (RFC 7692 section 7). Not for scripts.
local extension = {}

local NAME <const> = "permessage-deflate"
local WIDEST <const>, LEAST <const> = 15, 8
local OWN_LEAST <const> = 9 -- zlib compresses with no smaller window

local TOKEN <const> = "^[%w!#$%%&'*+%-.^_`|~]+"

-- The parts of a list, quoted strings whole; nil when a quote is left open.
local function split(text, separator)
  local parts, part, quoted, at = {}, {}, false, 1
  while at <= #text do
    local byte = text:sub(at, at)
    if quoted and byte == "\\" then
      byte, at = text:sub(at, at + 1), at + 1
    elseif byte == '"' then
      quoted = not quoted
    end
    if byte == separator and not quoted then
      parts[#parts + 1], part = table.concat(part), {}
    else
      part[#part + 1] = byte
    end
    at = at + 1
  end
  parts[#parts + 1] = table.concat(part)
  return not quoted and parts or nil
end

local function trim(text)
  return text:match("^[ \t]*(.-)[ \t]*$")
end

-- name, value of a parameter; value true without one; nil when it is none.
local function read_parameter(text)
  local name = text:match(TOKEN)
  local rest = name and trim(text:sub(#name + 1))
  if not name or rest == "" then
    return name and name:lower(), true
  end
  local value = rest:match("^=[ \t]*(.*)$")
  value = value and (value:match('^"(.*)"$') or value)
  if not value or value:match(TOKEN) ~= value then
    return nil
  end
  return name:lower(), value
end

-- One extension of a header as { name =, parameters = { [name] = value } }; nil when it is malformed.
local function read_one(text)
  local parts = split(text, ";")
  local name = parts and trim(parts[1])
  if not name or name:match(TOKEN) ~= name then
    return nil
  end
  local parameters = {}
  for i = 2, #parts do
    local key, value = read_parameter(trim(parts[i]))
    if not key or parameters[key] ~= nil then
      return nil
    end
    parameters[key] = value
  end
  return { name = name:lower(), parameters = parameters }
end

--- The extensions of a Sec-WebSocket-Extensions field.
---@param text string
---@return { name: string, parameters: table<string, string|true> }[]? list nil when the field is malformed
function extension.parse(text)
  local list = {}
  local parts = split(text, ",")
  for _, part in ipairs(parts or {}) do
    if trim(part) ~= "" then
      local one = read_one(part)
      if not one then
        return nil
      end
      list[#list + 1] = one
    end
  end
  return parts and list
end

-- A window as a parameter says it; nil: wrong.
local function read_window(value)
  local bits = type(value) == "string" and value:find("^[1-9]%d?$") and math.tointeger(tonumber(value))
  return bits and bits >= LEAST and bits <= WIDEST and bits or nil
end

local KNOWN <const> = {
  server_no_context_takeover = function(value) return value == true end,
  client_no_context_takeover = function(value) return value == true end,
  server_max_window_bits = read_window,
  client_max_window_bits = function(value) return value == true or read_window(value) end,
}

local function is_good(parameters)
  for name, value in pairs(parameters) do
    if not KNOWN[name] or not KNOWN[name](value) then
      return false
    end
  end
  return true
end

-- The settings as the functions below take them.
local function settings_of(option)
  local settings = option == true and {} or option
  return {
    level = settings.level, threshold = settings.threshold, context = settings.context ~= false,
    peer_context = settings.peer_context ~= false,
    window = math.max(settings.window or WIDEST, OWN_LEAST), peer_window = settings.peer_window or WIDEST,
  }
end

-- What one offer of a client comes to: the answer and what is agreed on; nil: it cannot be taken.
local function accept_offer(parameters, settings)
  local own = math.min(read_window(parameters.server_max_window_bits) or WIDEST, settings.window)
  if not is_good(parameters) or own < OWN_LEAST then
    return nil
  end
  local may_limit = parameters.client_max_window_bits
  local peer = math.min(read_window(may_limit) or WIDEST, may_limit and settings.peer_window or WIDEST)
  local agreed = {
    level = settings.level, threshold = settings.threshold, own_window = own, peer_window = peer,
    own_context = settings.context and not parameters.server_no_context_takeover,
    peer_context = settings.peer_context and not parameters.client_no_context_takeover,
  }
  local answer = { NAME }
  answer[#answer + 1] = not agreed.own_context and "server_no_context_takeover" or nil
  answer[#answer + 1] = not agreed.peer_context and "client_no_context_takeover" or nil
  answer[#answer + 1] = own < WIDEST and "server_max_window_bits=" .. own or nil
  answer[#answer + 1] = peer < WIDEST and "client_max_window_bits=" .. peer or nil
  return table.concat(answer, "; "), agreed
end

--- What a server answers to the offers of a client: the first that it can take.
---@param list table of extension.parse
---@param option true|moonwire.websocket_deflate
---@return string? answer nil: none is taken
---@return table? agreed
function extension.accept(list, option)
  local settings = settings_of(option)
  for _, one in ipairs(list) do
    if one.name == NAME then
      local answer, agreed = accept_offer(one.parameters, settings)
      if answer then
        return answer, agreed
      end
    end
  end
end

--- What a client offers.
---@param option true|moonwire.websocket_deflate
---@return string
function extension.offer(option)
  local settings = settings_of(option)
  local offer = { NAME }
  offer[#offer + 1] = not settings.context and "client_no_context_takeover" or nil
  offer[#offer + 1] = not settings.peer_context and "server_no_context_takeover" or nil
  offer[#offer + 1] = settings.peer_window < WIDEST and "server_max_window_bits=" .. settings.peer_window
    or nil
  offer[#offer + 1] = settings.window < WIDEST and "client_max_window_bits=" .. settings.window
    or "client_max_window_bits"
  return table.concat(offer, "; ")
end

local function refuses(parameters, settings)
  local peer = parameters.server_max_window_bits
  local own = read_window(parameters.client_max_window_bits)
  if not is_good(parameters) or parameters.client_max_window_bits == true then
    return "parameters that are wrong"
  elseif (settings.peer_window < WIDEST and (not peer or read_window(peer) > settings.peer_window))
    or (not settings.peer_context and not parameters.server_no_context_takeover) then
    return "less than was asked for"
  elseif own and own < OWN_LEAST then
    return "a window that is too small"
  end
end

--- What the answer of a server means for the client that has offered `option`.
---@param list table of extension.parse
---@param option true|moonwire.websocket_deflate|nil
---@return table|false? agreed false: nothing; nil: the answer is wrong
---@return string? why
function extension.confirm(list, option)
  if #list == 0 then
    return false
  elseif #list > 1 or not option or list[1].name ~= NAME then
    return nil, "an extension that was not offered"
  end
  local settings, parameters = settings_of(option), list[1].parameters
  local why = refuses(parameters, settings)
  if why then
    return nil, why
  end
  return {
    level = settings.level, threshold = settings.threshold,
    own_window = math.min(read_window(parameters.client_max_window_bits) or WIDEST, settings.window),
    peer_window = read_window(parameters.server_max_window_bits) or WIDEST,
    own_context = settings.context and not parameters.client_no_context_takeover,
    peer_context = not parameters.server_no_context_takeover,
  }
end

return extension
