--- Commands of Redis as bytes, and which of them need a connection of their own. Not for scripts.
local command = {}

-- Whose answers are no single reply, or that end the connection.
local NEVER <const> = {
  SUBSCRIBE = true, PSUBSCRIBE = true, SSUBSCRIBE = true, UNSUBSCRIBE = true, PUNSUBSCRIBE = true,
  SUNSUBSCRIBE = true, MONITOR = true, SYNC = true, PSYNC = true, HELLO = true, RESET = true, QUIT = true,
  ["CLIENT REPLY"] = true,
}

-- What they make of the connection. It stays "changed"; the others last until one of those that end them.
local STATES <const> = {
  MULTI = "multi", WATCH = "watch", EXEC = "end", DISCARD = "end", UNWATCH = "unwatch",
  SELECT = "changed", AUTH = "changed", READONLY = "changed", READWRITE = "changed", ASKING = "changed",
  ["CLIENT TRACKING"] = "changed", ["CLIENT CACHING"] = "changed", ["CLIENT SETNAME"] = "changed",
}

-- Where commands that wait say for how long, in which unit; counted from the end when negative.
local WAITS <const> = {
  BLPOP = { -1, 1 }, BRPOP = { -1, 1 }, BRPOPLPUSH = { -1, 1 }, BLMOVE = { -1, 1 }, BZPOPMIN = { -1, 1 },
  BZPOPMAX = { -1, 1 }, BLMPOP = { 2, 1 }, BZMPOP = { 2, 1 }, WAIT = { -1, 1000 }, WAITAOF = { -1, 1000 },
}
local STREAM_READS <const> = { XREAD = true, XREADGROUP = true }

-- The shortest text that is the same number again.
local function show_number(number)
  if math.type(number) == "integer" then
    return ("%d"):format(number)
  end
  for digits = 15, 16 do
    local text = ("%." .. digits .. "g"):format(number)
    if tonumber(text) == number then
      return text
    end
  end
  return ("%.17g"):format(number)
end

local function to_text(value)
  if type(value) == "string" then
    return value
  elseif type(value) == "number" and value == value then
    return show_number(value)
  end
end

--- A command as it goes over the connection.
---@param parts table with n, or a list: the name and arguments, strings and numbers
---@return string? bytes
---@return integer? position of what is neither
---@return string? problem
function command.encode(parts)
  local count = parts.n or #parts
  if type(parts[1]) ~= "string" or parts[1] == "" then
    return nil, 1, "name of a command expected"
  end
  local pieces = { "*" .. count .. "\r\n" }
  for index = 1, count do
    local text = to_text(parts[index])
    if not text then
      local what = parts[index] ~= parts[index] and "nan" or type(parts[index])
      return nil, index, "string or number expected, got " .. what
    end
    pieces[index + 1] = "$" .. #text .. "\r\n" .. text .. "\r\n"
  end
  return table.concat(pieces)
end

-- In capitals; with its second word where that makes the difference.
local function name_of(parts)
  local name = parts[1]:upper()
  return name == "CLIENT" and type(parts[2]) == "string" and name .. " " .. parts[2]:upper() or name
end

--- A command as it goes over the connection, unless a script may not give it.
---@param parts table
---@param is_own? boolean over a connection of the task's own
---@return string? bytes
---@return integer? position of what is wrong
---@return string? problem
function command.prepare(parts, is_own)
  local bytes, position, problem = command.encode(parts)
  if not bytes then
    return nil, position, problem
  end
  local name = name_of(parts)
  if NEVER[name] then
    return nil, 1, name .. " cannot be called: the client does that itself"
  elseif STATES[name] and not is_own then
    return nil, 1, name .. " is about one connection: call it in client:exclusive"
  end
  return bytes
end

--- The state of a connection after a command.
---@param state? string nil: as new
---@param parts table
---@return string?
function command.next_state(state, parts)
  local made = STATES[name_of(parts)]
  if state == "changed" or not made then
    return state
  elseif made == "end" or made == "unwatch" and state ~= "multi" then
    return nil
  elseif made == "unwatch" or made == "watch" and state == "multi" then
    return state
  end
  return made
end

--- How long a command may wait at the server.
---@param parts table
---@return number? seconds math.huge: for ever; nil: it does not wait
function command.waits(parts)
  local name, count = name_of(parts), parts.n or #parts
  local place, unit = table.unpack(WAITS[name] or {})
  if STREAM_READS[name] then
    for index = 2, count do
      if type(parts[index]) == "string" and parts[index]:upper() == "BLOCK" then
        place, unit = index + 1, 1000
        break
      end
    end
  end
  if place then
    local given = tonumber(parts[place < 0 and count + 1 + place or place]) or 0
    return given > 0 and given / unit or math.huge
  end
end

--- A list of commands, none of which may wait.
---@param commands table[]
---@param is_own? boolean
---@return string[]? pieces
---@return string? problem
function command.prepare_list(commands, is_own)
  local pieces = {}
  for index, parts in ipairs(commands) do
    if type(parts) ~= "table" then
      return nil, ("command %d: list expected, got %s"):format(index, type(parts))
    end
    local bytes, position, problem = command.prepare(parts, is_own)
    if bytes and command.waits(parts) then
      position, problem = 1, name_of(parts) .. " waits: call it by itself"
    end
    if problem then
      return nil, ("command %d, argument %d: %s"):format(index, position, problem)
    end
    pieces[index] = bytes
  end
  return pieces
end

--- The command that carries out a script.
---@param name "EVAL"|"EVALSHA"
---@param script string its text or digest
---@param keys table
---@param arguments table
---@return string? bytes
---@return integer? position of the list that is wrong, as an argument of client:script
---@return string? problem
function command.prepare_script(name, script, keys, arguments)
  local parts = { name, script, #keys }
  table.move(keys, 1, #keys, 4, parts)
  table.move(arguments, 1, #arguments, #parts + 1, parts)
  local bytes, position, problem = command.encode(parts)
  if not bytes then
    local is_key = position <= #keys + 3
    return nil, is_key and 2 or 3, ("[%d]: %s"):format(position - 3 - (is_key and 0 or #keys), problem)
  end
  return bytes
end

-- Where the first key stands, when it is not the first argument.
local KEYS <const> = {
  EVAL = 4, EVALSHA = 4, EVAL_RO = 4, EVALSHA_RO = 4, FCALL = 4, FCALL_RO = 4, BLMPOP = 4, BZMPOP = 4,
  LMPOP = 3, ZMPOP = 3, SINTERCARD = 3, ZUNION = 3, ZINTER = 3, ZDIFF = 3, ZINTERCARD = 3, OBJECT = 3,
  MEMORY = 3, XGROUP = 3, XINFO = 3, BITOP = 3,
}

--- The first key of a command, for a cluster: a guess, which a wrong server sets right.
---@param parts table
---@return string|number|nil
function command.key(parts)
  local name = name_of(parts)
  if STREAM_READS[name] then
    for index = 2, #parts do
      if type(parts[index]) == "string" and parts[index]:upper() == "STREAMS" then
        return parts[index + 1]
      end
    end
  end
  return parts[KEYS[name] or 2]
end

return command
