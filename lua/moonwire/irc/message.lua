--- The grammar of IRC: a line as a message, a message as a line (RFC 2812 section 2.3.1, IRCv3 message
--- tags). Not for scripts.
local message = {}

local PARAMS_MOST <const> = 15
local TAGS_MOST <const> = 100

local UNESCAPES <const> = { [":"] = ";", s = " ", ["\\"] = "\\", r = "\r", n = "\n" }
local ESCAPES <const> = { [";"] = "\\:", [" "] = "\\s", ["\\"] = "\\\\", ["\r"] = "\\r", ["\n"] = "\\n" }

local function parse_tags(text)
  local tags, count = {}, 0
  for item in text:gmatch "[^;]+" do
    local key, value = item:match "^(%+?[%w./-]+)=?(.*)$"
    count = count + 1
    if not key or count > TAGS_MOST then
      return nil
    end
    tags[key] = value:gsub("\\(.?)", function(byte) return UNESCAPES[byte] or byte end)
  end
  return tags
end

-- The words behind the command; nil when they are too many.
local function parse_params(rest)
  local params = {}
  while rest ~= "" do
    if rest:find "^:" or #params == PARAMS_MOST - 1 then
      params[#params + 1] = rest:gsub("^:", "")
      break
    end
    local word, behind = rest:match "^([^ ]+) *(.*)$"
    params[#params + 1] = word
    rest = behind
  end
  return params
end

--- Takes a line apart.
---@param line string without its end
---@return moonwire.irc_message? message
---@return string? err
---@return string? code
function message.parse(line)
  local tags, source, command, rest
  local text = line
  if text:find "[%z\r\n]" then
    return nil, "a control byte in a line", "invalid"
  end
  if text:find "^@" then
    tags, rest = text:match "^@([^ ]+) +(.*)$"
    tags = tags and parse_tags(tags)
    if not tags then
      return nil, "malformed tags", "invalid"
    end
    text = rest
  end
  if text:find "^:" then
    source, rest = text:match "^:([^ ]+) +(.*)$"
    if not source then
      return nil, "nothing but a source", "invalid"
    end
    text = rest
  end
  command, rest = text:match "^(%w+) *(.*)$"
  local is_good = command and (command:find "^%a+$" or command:find "^%d%d%d$")
  if not is_good or not text:find("^" .. command .. "%f[ \0]") then
    return nil, "no command", "invalid"
  end
  return { tags = tags, source = source, command = command:upper(), params = parse_params(rest) }
end

local function format_tags(tags)
  local items = {}
  for key, value in pairs(tags) do
    local escaped = tostring(value):gsub("[; \\\r\n]", ESCAPES)
    items[#items + 1] = escaped ~= "" and key .. "=" .. escaped or key
  end
  table.sort(items)
  return #items > 0 and "@" .. table.concat(items, ";") .. " " or ""
end

local function is_table(value)
  return value == nil or type(value) == "table"
end

local function problem_of_params(params)
  if #params > PARAMS_MOST then
    return "15 parameters at most"
  end
  for i, param in ipairs(params) do
    if type(param) ~= "string" then
      return "parameters that are strings expected"
    elseif param:find "[%z\r\n]" then
      return "CR, LF or NUL in a parameter"
    elseif i < #params and not param:find "^[^ :][^ ]*$" then
      return "only the last parameter may be empty, have blanks or begin with a colon"
    end
  end
end

local function problem_of(given)
  local command, source = given.command, given.source
  if type(command) ~= "string" or not (command:find "^%a+$" or command:find "^%d%d%d$") then
    return "a command of letters, or three digits, expected"
  elseif source ~= nil and not (type(source) == "string" and source:find "^[^%z\r\n ]+$") then
    return "not a source"
  elseif not is_table(given.params) or not is_table(given.tags) then
    return "params and tags that are tables expected"
  end
  for key, value in pairs(given.tags or {}) do
    if type(key) ~= "string" or not key:find "^%+?[%w./-]+$" then
      return "not the name of a tag"
    elseif type(value) ~= "string" or value:find "%z" then
      return "not the value of a tag"
    end
  end
  return problem_of_params(given.params or {})
end

--- Composes a line.
---@param given moonwire.irc_message
---@return string? line without its end
---@return string? problem
function message.format(given)
  local problem = problem_of(given)
  if problem then
    return nil, problem
  end
  local params = table.move(given.params or {}, 1, #(given.params or {}), 1, {})
  local last = params[#params]
  if last and (last == "" or last:find "^:" or last:find(" ", 1, true)) then
    params[#params] = ":" .. last
  end
  return (given.tags and format_tags(given.tags) or "") .. (given.source and ":" .. given.source .. " " or "")
    .. given.command .. (#params > 0 and " " .. table.concat(params, " ") or "")
end

return message
