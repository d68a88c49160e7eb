--- All that a process knows of its own members, for others that have missed something. Not for scripts.
local delivery = require "moonwire.chat.delivery"
local difference = require "moonwire.chat.difference"
local name = require "moonwire.chat.name"
local register = require "moonwire.chat.register"
local remote = require "moonwire.chat.remote"

local state = {}

local MEMBERS_MOST <const> = 200 -- in one message
local ROOM_FIELDS <const> = {
  "name", "topic", "topic_by", "topic_time", "created", "flags", "key", "limit", "bans", "invited",
  "version", "version_by",
}
local LOST <const> = "connection lost"

local function member_data(member)
  local data = member:snapshot()
  data.rooms = {}
  for room in pairs(member.rooms) do
    local status = room.members[member]
    data.rooms[room.name] = { operator = status.operator, voice = status.voice }
  end
  return data
end

local function room_data(room)
  local data = {}
  for _, field in ipairs(ROOM_FIELDS) do
    data[field] = room[field]
  end
  return data
end

-- Messages of some members each, with the rooms that these are the first to be in.
local function begin_message()
  return { kind = "state", members = {}, rooms = {} }
end

--- The messages that tell it.
---@param hall moonwire.hall
---@return table[]
function state.messages(hall)
  local messages, told = { begin_message() }, {}
  for _, member in pairs(hall.by_id) do
    local message = messages[#messages]
    if not member.node then
      table.insert(message.members, member_data(member))
      for room in pairs(member.rooms) do
        if not told[room] then
          told[room] = true
          table.insert(message.rooms, room_data(room))
        end
      end
    end
    if #message.members == MEMBERS_MOST then
      messages[#messages + 1] = begin_message()
    end
  end
  for i, message in ipairs(messages) do
    message.part, message.parts = i, #messages
  end
  return messages
end

-- A room that the other process knows better. Returns it and its fields as they were, if somebody is in it.
local function merge_room(hall, data)
  local room = hall:room(data.name) or register.add_room(hall, data.name)
  local is_newer = room.count == 0 or data.version > room.version
    or data.version == room.version and (data.version_by or "") > (room.version_by or "")
  if is_newer then
    local before = room_data(room)
    for _, field in ipairs(ROOM_FIELDS) do
      room[field] = data[field]
    end
    return room.count > 0 and room or nil, before
  end
end

-- Who is said to have changed a room: an operator of the other process, if there is one.
local function actor_of(room, node)
  local found
  for member, status in pairs(room.members) do
    found = member.node == node and (status.operator or not found) and member or found
  end
  return found
end

local function leave_others(hall, member, rooms)
  local gone = {}
  for room in pairs(member.rooms) do
    gone[#gone + 1] = not rooms[name.fold(room.name)] and room or nil
  end
  for _, room in ipairs(gone) do
    remote.part(hall, member, room, delivery.event(member, "part", { room = room.name, text = LOST }))
  end
end

local function merge_member(hall, node, data)
  local member = hall.by_id[data.id] or remote.add(hall, node, data)
  local rooms = {}
  member.away, member.spoke = data.away, data.spoke
  if member.nick ~= data.nick then
    remote.rename(hall, member, delivery.event(member, "nick", { new = data.nick }))
  end
  for room_name, status in pairs(data.rooms) do
    rooms[name.fold(room_name)] = true
    local event = delivery.event(member, "join", { room = room_name, real = member.real })
    local room = hall:room(room_name)
    local before = room and room.members[member]
    remote.join(hall, member, room_name, status, event)
    room = hall:room(room_name)
    room.members[member], room.epoch = status, room.epoch + 1
    difference.tell_status(room, member, before)
  end
  leave_others(hall, member, rooms)
end

--- Makes what is known of a process the same as it says.
---@param hall moonwire.hall
---@param node string
---@param parts table[] the messages
function state.merge(hall, node, parts)
  local there, gone = {}, {}
  for _, part in ipairs(parts) do
    for _, data in ipairs(part.members) do
      there[data.id] = true
    end
  end
  for id, member in pairs(hall.by_id) do
    gone[#gone + 1] = member.node == node and not there[id] and member or nil
  end
  for _, member in ipairs(gone) do
    register.remove(hall, member, delivery.event(member, "quit", { text = LOST }))
  end
  local changed = {}
  for _, part in ipairs(parts) do
    for _, data in ipairs(part.rooms) do
      local room, before = merge_room(hall, data)
      changed[room or false] = before
    end
    for _, data in ipairs(part.members) do
      merge_member(hall, node, data)
    end
  end
  changed[false] = nil
  for room, before in pairs(changed) do
    local actor = actor_of(room, node)
    if actor then
      difference.tell_room(room, before, actor)
    end
  end
end

return state
