--- Who and what is in a hall: its tables of members and rooms. Not for scripts.
local Room = require "moonwire.chat.room"
local delivery = require "moonwire.chat.delivery"
local name = require "moonwire.chat.name"

local register = {}

--- Adds a member, whose nickname must be free.
---@param hall moonwire.hall
---@param member moonwire.member
---@return moonwire.member
function register.add_member(hall, member)
  hall.members[name.fold(member.nick)] = member
  hall.by_id[member.id] = member
  hall.count = hall.count + 1
  return member
end

--- Gives a member another nickname, which must be free.
---@param hall moonwire.hall
---@param member moonwire.member
---@param nick string
function register.change_nick(hall, member, nick)
  hall.members[name.fold(member.nick)] = nil
  member.nick = nick
  hall.members[name.fold(nick)] = member
end

--- Makes a room.
---@param hall moonwire.hall
---@param room_name string
---@return moonwire.room
function register.add_room(hall, room_name)
  local room = Room.new(room_name)
  hall.rooms[name.fold(room_name)] = room
  hall.rooms_count = hall.rooms_count + 1
  return room
end

--- Puts a member into a room.
---@param room moonwire.room
---@param member moonwire.member
---@param status moonwire.chat_status
function register.add_to(room, member, status)
  room.members[member] = status
  room.count = room.count + 1
  room.invited[member.id] = nil
  member.rooms[room] = true
end

--- Takes a member out of a room, which is gone when it was the last. May be called again.
---@param hall moonwire.hall
---@param room moonwire.room
---@param member moonwire.member
function register.remove_from(hall, room, member)
  if not room.members[member] then
    return
  end
  member.rooms[room], room.members[member] = nil, nil
  room.count = room.count - 1
  if room.count == 0 then
    hall.rooms[name.fold(room.name)] = nil
    hall.rooms_count = hall.rooms_count - 1
    if hall.history and (room.flags.i or room.flags.s or room.key) then
      hall.history.forget(name.fold(room.name)) -- whoever makes it anew was not let in before
    end
  end
end

--- Takes a member out of everything, and tells those who were in a room with it.
---@param hall moonwire.hall
---@param member moonwire.member
---@param event table
function register.remove(hall, member, event)
  if hall.by_id[member.id] ~= member then
    return
  end
  hall.by_id[member.id], hall.members[name.fold(member.nick)] = nil, nil
  hall.count = hall.count - 1
  member.is_deaf = true
  local rooms = member.rooms
  member.rooms = {}
  for room in pairs(rooms) do
    register.remove_from(hall, room, member)
  end
  delivery.tell_rooms(hall, rooms, event, member)
end

--- Keeps what was said in a room.
---@param hall moonwire.hall
---@param room moonwire.room
---@param event table
function register.keep(hall, room, event)
  if hall.history then
    hall.history.add(name.fold(room.name), {
      kind = event.kind, nick = event.nick, from = event.from, time = event.time, room = event.room,
      text = event.text,
    })
  end
end

return register
