--- A hall on its way from one generation of the code to the next. Not for scripts.
local Member = require "moonwire.chat.member"
local Room = require "moonwire.chat.room"
local delivery = require "moonwire.chat.delivery"
local name = require "moonwire.chat.name"
local register = require "moonwire.chat.register"
local remote = require "moonwire.chat.remote"

local move = {}

local MEMBER_FIELDS <const> = {
  id = "string", nick = "string", user = "string", host = "string", real = "string", away = "string",
  joined = "number", spoke = "number", node = "string",
}
local NEEDED <const> = { "id", "nick", "user", "host", "real", "joined", "spoke" }
local ROOM_FIELDS <const> = {
  "name", "topic", "topic_by", "topic_time", "created", "flags", "key", "limit", "bans", "invited",
  "version", "version_by",
}

-- The fields of a member, as a table of their own. Raises for what is none.
local function fields_of(saved)
  local fields = {}
  for key, kind in pairs(MEMBER_FIELDS) do
    fields[key] = saved[key]
    assert(fields[key] == nil or type(fields[key]) == kind, key)
  end
  for _, key in ipairs(NEEDED) do
    assert(fields[key] ~= nil, key)
  end
  assert(name.is_nick(fields.nick, #fields.nick), "nick")
  return fields
end

local function names_of(rooms)
  local names = {}
  for i, room_name in ipairs(rooms) do
    assert(type(room_name) == "string", "rooms")
    names[i] = room_name
  end
  return names
end

--- What a snapshot of a member says.
---@param snapshot table
---@return table? fields
---@return string[] rooms
function move.read_snapshot(snapshot)
  local ok, fields = pcall(fields_of, snapshot)
  local has_rooms, rooms = pcall(names_of, snapshot.rooms)
  if ok and has_rooms then
    return fields, rooms
  end
  return nil, {}
end

--- A member has a connection again, and gets what it has missed.
---@param hall moonwire.hall
---@param member moonwire.member
---@param reader moonwire.chat_reader
function move.attach(hall, member, reader)
  local pending = member.pending
  member.pending = {}
  delivery.listen(member, reader)
  for _, event in ipairs(pending) do
    delivery.tell(hall, member, event)
  end
end

--- Brings a member back that nobody knows, and the rooms that it was in.
---@param hall moonwire.hall
---@param fields table
---@param rooms string[]
---@return moonwire.member
function move.restore(hall, fields, rooms)
  local member = register.add_member(hall, Member.new(hall, fields))
  member:detach()
  delivery.announce(hall, { act = "enter", id = member.id, member = member:snapshot() })
  for _, room_name in ipairs(rooms) do
    member:join(room_name)
  end
  for i = #member.pending, 1, -1 do
    member.pending[i] = nil -- its own coming back
  end
  return member
end

local function export_member(member)
  local data = member:snapshot()
  data.rooms, data.pending, data.node = nil, {}, member.node
  for i, event in ipairs(member.pending) do
    event.cache = nil
    data.pending[i] = event
  end
  return data
end

local function export_room(room)
  local data = { members = {} }
  for _, field in ipairs(ROOM_FIELDS) do
    data[field] = room[field]
  end
  for member, status in pairs(room.members) do
    data.members[member.id] = status
  end
  return data
end

--- All of a hall as plain data.
---@param hall moonwire.hall
---@return table
function move.export(hall)
  local history = hall.history
  local data = { members = {}, rooms = {}, history = history and history.export and history.export() }
  data.peers = hall.peers and hall.peers:export()
  for id, member in pairs(hall.by_id) do
    data.members[id] = export_member(member)
  end
  for key, room in pairs(hall.rooms) do
    data.rooms[key] = export_room(room)
  end
  return data
end

local function read_member(hall, saved)
  local member = Member.new(hall, fields_of(saved))
  for i, event in ipairs(saved.pending) do
    assert(type(event) == "table", "pending")
    member.pending[i] = event
  end
  return member
end

local function read_room(saved, by_id)
  assert(name.is_room(saved.name, #saved.name), "name")
  local room = Room.new(saved.name)
  for _, field in ipairs(ROOM_FIELDS) do
    room[field] = saved[field]
  end
  assert(math.type(room.version) == "integer", "version")
  for _, field in ipairs { "flags", "bans", "invited" } do
    assert(type(room[field]) == "table", field)
  end
  for id, status in pairs(saved.members) do
    assert(type(status) == "table", "members")
    register.add_to(room, assert(by_id[id]), status)
  end
  return room
end

local function read_all(hall, data)
  local by_id, rooms = {}, {}
  for _, saved in pairs(data.members) do
    local member = read_member(hall, saved)
    by_id[member.id] = member
  end
  for _, saved in pairs(data.rooms) do
    rooms[#rooms + 1] = read_room(saved, by_id)
  end
  assert(data.history == nil or type(data.history) == "table", "history")
  assert(data.peers == nil or type(data.peers) == "table", "peers")
  return { members = by_id, rooms = rooms, history = data.history, peers = data.peers }
end

-- What the hall has heard of others since it was made; the data knows that, too.
local function clear(hall)
  hall.members, hall.by_id, hall.rooms = {}, {}, {}
  hall.count, hall.count_here, hall.rooms_count = 0, 0, 0
end

--- Takes all of another hall over, in place of what it has. Nothing has changed when it is no such data.
---@param hall moonwire.hall
---@param data table
---@return boolean ok
function move.import(hall, data)
  local ok, read = pcall(read_all, hall, data)
  if not ok then
    return false
  end
  clear(hall)
  for _, member in pairs(read.members) do
    register.add_member(hall, member)
    if not member.node then
      member:detach()
    end
  end
  for _, room in ipairs(read.rooms) do
    hall.rooms[name.fold(room.name)] = room
    hall.rooms_count = hall.rooms_count + 1
  end
  if read.history and hall.history and hall.history.import then
    hall.history.import(read.history)
  end
  if hall.peers then
    hall.peers:import(read.peers or hall.peers:export())
  end
  for node in pairs(not hall.peers and read.peers and read.peers.nodes or {}) do
    remote.remove_all(hall, node, "server gone")
  end
  return true
end

return move
