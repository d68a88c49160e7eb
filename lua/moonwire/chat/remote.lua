--- What members do whose connections other processes have. Not for scripts.
local Member = require "moonwire.chat.member"
local delivery = require "moonwire.chat.delivery"
local mode = require "moonwire.chat.mode"
local name = require "moonwire.chat.name"
local register = require "moonwire.chat.register"

local remote = {}

local MEMBER_FIELDS <const> = { "id", "nick", "user", "host", "real", "away", "joined", "spoke" }

-- The name of one that has lost its own: the same wherever that is found out.
local function guest_of(id)
  return "Guest" .. id:sub(1, 8)
end

-- Of two that have the same nickname, as can happen while processes cannot hear each other, the one that came
-- later.
local function later(a, b)
  if a.joined ~= b.joined then
    return a.joined > b.joined and a or b
  end
  return a.id > b.id and a or b
end

-- A nickname for somebody, while another has it, perhaps: that may have to take another one.
local function settle(hall, fields, nick)
  local other = hall.members[name.fold(nick)]
  if not other or other.id == fields.id then
    return nick
  elseif later(other, fields) ~= other then
    return guest_of(fields.id)
  end
  remote.take_name(other)
  return nick
end

--- Gives a member the name of a guest, and tells all of it.
---@param member moonwire.member
function remote.take_name(member)
  local event = delivery.event(member, "nick", { new = guest_of(member.id) })
  if not member.node then
    delivery.announce(member.hall, { act = "nick", id = member.id, event = event })
  end
  register.rename(member.hall, member, event)
end

--- Adds a member that another process has.
---@param hall moonwire.hall
---@param node string
---@param data table its fields
---@return moonwire.member
function remote.add(hall, node, data)
  local fields = { node = node }
  for _, field in ipairs(MEMBER_FIELDS) do
    fields[field] = data[field]
  end
  fields.nick = settle(hall, fields, fields.nick)
  return register.add_member(hall, Member.new(hall, fields))
end

--- A member is in a room now.
---@param hall moonwire.hall
---@param member moonwire.member
---@param room_name string
---@param status moonwire.chat_status
---@param event table
function remote.join(hall, member, room_name, status, event)
  local room = hall:room(room_name) or register.add_room(hall, room_name)
  if not room.members[member] then
    register.add_to(room, member, status)
    delivery.tell_room(hall, room, event)
  end
end

--- A member is in a room no more.
---@param hall moonwire.hall
---@param member moonwire.member
---@param room moonwire.room
---@param event table
function remote.part(hall, member, room, event)
  if room.members[member] then
    delivery.tell_room(hall, room, event)
    register.remove_from(hall, room, member, true)
  end
end

--- A member has another nickname.
---@param hall moonwire.hall
---@param member moonwire.member
---@param event table
function remote.rename(hall, member, event)
  event.new = settle(hall, member, event.new)
  if event.new ~= member.nick then
    register.rename(hall, member, event)
  end
end

--- All members of a process are gone.
---@param hall moonwire.hall
---@param node string
---@param text string their last words
function remote.remove_all(hall, node, text)
  local gone = {}
  for _, member in pairs(hall.by_id) do
    gone[#gone + 1] = member.node == node and member or nil
  end
  for _, member in ipairs(gone) do
    register.remove(hall, member, delivery.event(member, "quit", { text = text }))
  end
end

local acts = {}

function acts.join(hall, member, act)
  if not act.operator and not hall:room(act.event.room) then
    return false -- somebody was in it who left, as we have heard, but not the other process
  end
  remote.join(hall, member, act.event.room, { operator = act.operator, voice = false }, act.event)
end

function acts.part(hall, member, act)
  local room = hall:room(act.event.room)
  if room then
    remote.part(hall, member, room, act.event)
  end
end

function acts.say(hall, member, act)
  local event = act.event
  member.spoke = event.time
  local room = event.room and hall:room(event.room)
  local other = act.to and hall.by_id[act.to]
  if room then
    register.keep(hall, room, event, true)
    delivery.tell_room(hall, room, event)
  elseif other then
    delivery.tell(hall, other, event)
  end
end

-- Of two that set a topic at the same time all see the same one win.
function acts.topic(hall, _, act, node)
  local room, event = hall:room(act.event.room), act.event
  local is_newer = room and (act.version > room.version
    or act.version == room.version and node > (room.version_by or ""))
  if is_newer then
    room.version, room.version_by = act.version, node
    room.topic = event.text ~= "" and event.text or nil
    room.topic_by, room.topic_time = event.from, event.time
    delivery.tell_room(hall, room, event)
  end
end

function acts.nick(hall, member, act)
  remote.rename(hall, member, act.event)
end

function acts.kick(hall, _, act)
  local room, other = hall:room(act.event.room), hall.by_id[act.whom]
  if room and other then
    remote.part(hall, other, room, act.event)
  end
end

function acts.invite(hall, _, act)
  local room, other = hall:room(act.event.room), hall.by_id[act.whom]
  if room and other then
    room.invited[other.id] = true
    delivery.tell(hall, other, act.event)
  end
end

function acts.mode(hall, _, act)
  local event = act.event
  local room, whom = hall:room(event.room), act.whom and hall.by_id[act.whom]
  local word = whom and whom.nick or event.word
  local changed = room and mode.set(hall, room, event.mode, event.on, word)
  if changed then
    room.version = math.max(room.version, act.version)
  end
  if changed and changed.is_new then
    delivery.tell_room(hall, room, event)
  end
end

function acts.away(_, member, act)
  member.away = act.text
end

function acts.quit(hall, member, act)
  register.remove(hall, member, act.event)
end

--- Does what a member has done at another process.
---@param hall moonwire.hall
---@param node string
---@param act table
---@return boolean? ok false: that process knows more than we do
function remote.apply(hall, node, act)
  if act.act == "enter" then
    remote.add(hall, node, act.member)
    return true
  end
  local member = hall.by_id[act.id]
  if not member or not acts[act.act] then
    return false
  end
  return acts[act.act](hall, member, act, node)
end

return remote
