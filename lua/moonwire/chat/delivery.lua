--- How an event reaches the readers of members. Not for scripts.
---
--- Nothing here waits. An event is one table for all who get it: readers may write into its field `cache`
--- what it looks like on their connections.
local delivery = {}

local PENDING_MOST <const> = 200 -- events for one whose connection moves
local TOO_SLOW <const> = "reads too slowly"

local function deaf()
  return true
end

-- In rooms it stands beside the member: most of what happens is told to all of a room.
local function set_ear(member, ear)
  member.ear = ear
  for room in pairs(member.rooms) do
    room.here[member] = ear
  end
end

--- What happens is for this reader from now on.
---@param member moonwire.member
---@param reader moonwire.chat_reader
function delivery.listen(member, reader)
  member.reader, member.detached = reader, nil
  set_ear(member, reader.deliver)
end

--- What happens is kept, some of it, until there is a reader again.
---@param member moonwire.member
function delivery.hold(member)
  local pending = member.pending
  member.reader = nil
  set_ear(member, function(event)
    pending[#pending + 1] = #pending < PENDING_MOST and event or nil
    return true
  end)
end

--- What happens is for nobody any more.
---@param member moonwire.member
function delivery.deafen(member)
  set_ear(member, deaf)
end

local function note_slow(hall, member)
  set_ear(member, deaf)
  hall.slow[#hall.slow + 1] = member
end

local function deliver(hall, member, event)
  if not member.node and not member.ear(event) then -- others are told by the link
    note_slow(hall, member)
  end
end

-- Who reads too slowly is gone for the others once all have got the event.
local function drop_slow(hall)
  if #hall.slow == 0 or hall.is_dropping then
    return -- further down: those who became slow by the news of others that left
  end
  hall.is_dropping = true
  while #hall.slow > 0 do
    local member = table.remove(hall.slow)
    hall.dropped = hall.dropped + 1
    member.reader.drop(TOO_SLOW)
    member:leave(TOO_SLOW)
  end
  hall.is_dropping = false
end

--- What a member does, as all are told of it.
---@param member moonwire.member
---@param kind string
---@param more table further fields; it becomes the event
---@return table event
function delivery.event(member, kind, more)
  more.kind, more.nick, more.from, more.time = kind, member.nick, member:mask(), os.time()
  return more
end

--- To the other processes, before it is told to anybody here.
---@param hall moonwire.hall
---@param act table
function delivery.announce(hall, act)
  if hall.peers then
    hall.peers:tell(act)
  end
end

--- To one member.
---@param hall moonwire.hall
---@param member moonwire.member
---@param event table
function delivery.tell(hall, member, event)
  event.cache = {}
  deliver(hall, member, event)
  drop_slow(hall)
end

--- To all who are in a room and have their connections here.
---@param hall moonwire.hall
---@param room moonwire.room
---@param event table
---@param except? moonwire.member
function delivery.tell_room(hall, room, event, except)
  event.cache = {}
  for member, ear in pairs(room.here) do
    if member ~= except and not ear(event) then
      note_slow(hall, member)
    end
  end
  drop_slow(hall)
end

--- To all who are in one of the rooms and have their connections here, once each.
---@param hall moonwire.hall
---@param rooms table<moonwire.room, any>
---@param event table
---@param except? moonwire.member
function delivery.tell_rooms(hall, rooms, event, except)
  event.cache = {}
  local seen = { [except or false] = true }
  for room in pairs(rooms) do
    for member, ear in pairs(room.here) do
      if not seen[member] then
        seen[member] = true
        if not ear(event) then
          note_slow(hall, member)
        end
      end
    end
  end
  drop_slow(hall)
end

return delivery
