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
  hall.count_here = hall.count_here + (member.node and 0 or 1)
  return member
end

--- Gives a member another nickname, which must be free, and tells of it.
---@param hall moonwire.hall
---@param member moonwire.member
---@param event table
function register.rename(hall, member, event)
  local folded = name.fold(member.nick)
  if hall.members[folded] == member then
    hall.members[folded] = nil
  end
  member.nick = event.new
  for room in pairs(member.rooms) do
    room.epoch = room.epoch + 1
  end
  hall.members[name.fold(event.new)] = member
  if next(member.rooms) then
    delivery.tell_rooms(hall, member.rooms, event)
  else
    delivery.tell(hall, member, event)
  end
end

--- Whether a nickname that nobody is known to have can be taken: no other process gives it away just now.
--- May wait in a hall that is linked.
---@param hall moonwire.hall
---@param nick string
---@return boolean
function register.is_free(hall, nick)
  local folded = name.fold(nick)
  return not hall.peers or hall.peers:claim(folded) and not hall.members[folded]
end

--- A nickname is nobody's from now on.
---@param hall moonwire.hall
---@param nick string
function register.let_go(hall, nick)
  if hall.peers then
    hall.peers:release(name.fold(nick))
  end
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
  room.here[member] = not member.node and member.ear or nil
  room.count = room.count + 1
  if room.order then
    room.order[room.count] = member
  end
  room.invited[member.id] = nil
  member.rooms[room] = true
end

--- The members of a room: by their names, as of when somebody left, and behind them who has come since.
---@param room moonwire.room
---@return moonwire.member[] order not to be changed
function register.order(room)
  local order = room.order
  if not order then
    order = room:list()
    room.order = order
  end
  return order
end

--- Takes a member out of a room, which is gone when it was the last. May be called again.
---@param hall moonwire.hall
---@param room moonwire.room
---@param member moonwire.member
---@param is_known? boolean another process has told
function register.remove_from(hall, room, member, is_known)
  if not room.members[member] then
    return
  end
  member.rooms[room], room.members[member], room.here[member] = nil, nil, nil
  room.order, room.epoch = nil, room.epoch + 1
  room.count = room.count - 1
  if room.count == 0 then
    hall.rooms[name.fold(room.name)] = nil
    hall.rooms_count = hall.rooms_count - 1
    if hall.history and (room.flags.i or room.flags.s or room.key) then
      hall.history.forget(name.fold(room.name), is_known) -- whoever makes it anew was not let in before
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
  hall.count_here = hall.count_here - (member.node and 0 or 1)
  delivery.deafen(member)
  local rooms = member.rooms
  member.rooms = {}
  for room in pairs(rooms) do
    register.remove_from(hall, room, member, member.node ~= nil)
  end
  delivery.tell_rooms(hall, rooms, event, member)
end

--- Keeps what was said in a room.
---@param hall moonwire.hall
---@param room moonwire.room
---@param event table
---@param is_known? boolean another process keeps it
function register.keep(hall, room, event, is_known)
  if hall.history then
    hall.history.add(name.fold(room.name), {
      kind = event.kind, nick = event.nick, from = event.from, time = event.time, room = event.room,
      text = event.text,
    }, is_known)
  end
end

return register
