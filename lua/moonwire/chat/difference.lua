--- What those who are in a room are told when it turns out that others know it otherwise. Not for scripts.
local delivery = require "moonwire.chat.delivery"

local difference = {}

local FLAGS <const> = { "i", "m", "n", "s", "t" }
local STATUSES <const> = { { "operator", "o" }, { "voice", "v" } }
local NONE <const> = { operator = false, voice = false }

local function set_of(list)
  local set = {}
  for _, value in ipairs(list) do
    set[value] = true
  end
  return set
end

-- What one list has and the other has not.
local function add_missing(changes, list, other, is_on)
  local known = set_of(other)
  for _, mask in ipairs(list) do
    changes[#changes + 1] = not known[mask] and { mode = "b", on = is_on, word = mask } or nil
  end
end

-- The modes that differ, as events name them.
local function modes(before, room)
  local changes = {}
  for _, letter in ipairs(FLAGS) do
    local is_on = room.flags[letter] or false
    changes[#changes + 1] = is_on ~= (before.flags[letter] or false) and { mode = letter, on = is_on } or nil
  end
  if before.key ~= room.key then
    changes[#changes + 1] = { mode = "k", on = room.key ~= nil, word = room.key or "*" }
  end
  if before.limit ~= room.limit then
    local limit = room.limit and tostring(room.limit)
    changes[#changes + 1] = { mode = "l", on = limit ~= nil, word = limit }
  end
  add_missing(changes, before.bans, room.bans, false)
  add_missing(changes, room.bans, before.bans, true)
  return changes
end

local function tell(member, room, kind, event)
  event.room = room.name
  delivery.tell_room(member.hall, room, delivery.event(member, kind, event))
end

--- Tells of the topic and the modes.
---@param room moonwire.room
---@param before table fields of the room, as they were
---@param member moonwire.member who is said to have done it
function difference.tell_room(room, before, member)
  if before.topic ~= room.topic then
    tell(member, room, "topic", { text = room.topic or "" })
  end
  for _, change in ipairs(modes(before, room)) do
    tell(member, room, "mode", change)
  end
end

--- Tells what a member may do there.
---@param room moonwire.room
---@param member moonwire.member
---@param before? moonwire.chat_status nil: it was not there
function difference.tell_status(room, member, before)
  local status = room.members[member]
  before = before or NONE
  for _, pair in ipairs(STATUSES) do
    local is_on = status[pair[1]] or false
    if is_on ~= (before[pair[1]] or false) then
      tell(member, room, "mode", { mode = pair[2], on = is_on, word = member.nick })
    end
  end
end

return difference
