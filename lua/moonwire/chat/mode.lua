--- How the modes of a room change. Not for scripts.
local name = require "moonwire.chat.name"

local mode = {}

local FLAGS <const> = { i = true, m = true, n = true, s = true, t = true }
local KEY_MOST <const> = 23 -- bytes, as RFC 2812 has it
local MASK_MOST <const> = 200
local LIMIT_MOST <const> = 1000000

local setters = {}

-- Each returns { is_new =, word = }, or nil, err, code.
function setters.k(_, room, is_on, word)
  if is_on and not (type(word) == "string" and #word <= KEY_MOST and word:find "^[!-+--~]+$") then
    return nil, "not a key", "invalid"
  end
  local before = room.key
  room.key = is_on and word or nil
  return { is_new = before ~= room.key, word = is_on and word or "*" }
end

function setters.l(_, room, is_on, word)
  local limit = is_on and type(word) == "string" and word:find "^%d+$" and math.tointeger(tonumber(word))
  if is_on and not (limit and limit > 0 and limit <= LIMIT_MOST) then
    return nil, "not a limit", "invalid"
  end
  local before = room.limit
  room.limit = limit or nil
  return { is_new = before ~= room.limit, word = is_on and tostring(limit) or nil }
end

-- "bob" is "bob!*@*", "*@host" is "*!*@host".
local function whole_mask(word)
  local nick, rest = word:match "^([^!@]*)(.*)$"
  if rest:find "^!" then
    return rest:find("@", 1, true) and word or word .. "@*"
  elseif rest:find "^@" then
    return "*!" .. word
  end
  return nick .. "!*@*"
end

local function find(list, mask)
  for i, one in ipairs(list) do
    if name.fold(one) == name.fold(mask) then
      return i
    end
  end
end

function setters.b(hall, room, is_on, word)
  local is_good = type(word) == "string" and #word <= MASK_MOST and utf8.len(word) and word:find "^[!-\255]+$"
  if not is_good or word:find "^:" then
    return nil, "not a mask", "invalid"
  end
  local mask = whole_mask(word)
  local at = find(room.bans, mask)
  if is_on and not at and #room.bans >= hall.limits.bans_max then
    return nil, "too many bans", "full"
  elseif is_on and not at then
    table.insert(room.bans, mask)
  elseif not is_on and at then
    table.remove(room.bans, at)
  end
  return { is_new = is_on == not at, word = mask }
end

local function set_status(field)
  return function(hall, room, is_on, word)
    local other = type(word) == "string" and hall:member(word)
    local status = other and room.members[other]
    if not status then
      return nil, "nobody of that name in the room", "not_there"
    end
    local before = status[field]
    status[field] = is_on
    room.epoch = room.epoch + 1
    return { is_new = before ~= is_on, word = other.nick, whom = other.id }
  end
end

setters.o, setters.v = set_status "operator", set_status "voice"

--- Changes one mode.
---@param hall moonwire.hall
---@param room moonwire.room
---@param letter string
---@param is_on boolean
---@param word? string
---@return { is_new: boolean, word?: string, whom?: string }? changed `whom` is the id of a member
---@return string? err
---@return string? code
function mode.set(hall, room, letter, is_on, word)
  if setters[letter] then
    return setters[letter](hall, room, is_on, word)
  elseif not FLAGS[letter] then
    return nil, "no such mode", "unknown"
  end
  local before = room.flags[letter] or false
  room.flags[letter] = is_on or nil
  return { is_new = before ~= is_on }
end

return mode
