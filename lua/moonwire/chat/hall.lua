--- All rooms and members of a chat, and what passes between them. Scripts get it from moonwire.chat.
---
--- Nothing here waits. An event is one table for all who get it: readers may write into its field `cache`
--- what it looks like on their connections.
local Member = require "moonwire.chat.member"
local Room = require "moonwire.chat.room"
local check = require "moonwire.check"
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"
local name = require "moonwire.chat.name"
local timer = require "moonwire.timer"

local DEFAULTS <const> = {
  nick_max = 30, room_max = 50, topic_max = 390, text_max = 2000, members_max = 20000, rooms_max = 2000,
  rooms_each = 20, bans_max = 50,
}
local PENDING_MOST <const> = 200 -- events for one whose connection moves
local MOVE_SECONDS <const> = 1 -- that lines are held back while a reload moves connections
local ID_BYTES <const> = 16
local TOO_SLOW <const> = "reads too slowly"

--- The connection of a member.
---@class moonwire.chat_reader
---@field deliver fun(event: table): boolean must not wait; false: the peer is too slow
---@field drop fun(reason: string) breaks the connection off

---@class moonwire.hall
---@field limits table<string, integer>
---@field count integer of members
---@field rooms_count integer
---@field dropped integer readers that were too slow, so far
---@field private members table<string, moonwire.member> by folded nicknames
---@field private by_id table<string, moonwire.member>
---@field private rooms table<string, moonwire.room> by folded names
---@field private history? moonwire.chat_history
---@field private exported? number when
---@field private slow moonwire.member[]
---@field private is_dropping boolean
local Hall = { __name = "moonwire.hall" }
Hall.__index = Hall

---@param options moonwire.chat_options
---@return moonwire.hall
function Hall.new(options)
  local limits = {}
  for key, default in pairs(DEFAULTS) do
    limits[key] = options[key] or default
  end
  return setmetatable({
    limits = limits, history = options.history, count = 0, rooms_count = 0, dropped = 0, members = {},
    by_id = {}, rooms = {}, slow = {}, is_dropping = false,
  }, Hall)
end

local function add_member(self, fields)
  local member = Member.new(self, fields)
  self.members[name.fold(member.nick)] = member
  self.by_id[member.id] = member
  self.count = self.count + 1
  return member
end

--- Takes somebody in.
---@param nick string
---@param reader moonwire.chat_reader
---@param about? { user?: string, host?: string, real?: string }
---@return moonwire.member? member
---@return string? err
---@return string? code "invalid" (not a nickname), "exists", "full"
function Hall:enter(nick, reader, about)
  check.object(self, Hall, "enter")
  if not name.is_nick(nick, self.limits.nick_max) then
    return nil, "not a nickname", "invalid"
  elseif self.members[name.fold(nick)] then
    return nil, "the nickname is taken", "exists"
  elseif self.count >= self.limits.members_max then
    return nil, "full", "full"
  end
  about = about or {}
  return add_member(self, {
    nick = nick, id = codec.hex_encode(crypto.random_bytes(ID_BYTES)), reader = reader, user = about.user,
    host = about.host, real = about.real,
  })
end

--- Whether it can be a nickname here.
---@param nick string
---@return boolean
function Hall:is_nick(nick)
  check.object(self, Hall, "is_nick")
  return name.is_nick(nick, self.limits.nick_max)
end

--- Who has the nickname.
---@param nick string
---@return moonwire.member?
function Hall:member(nick)
  check.object(self, Hall, "member")
  return self.members[name.fold(nick)]
end

--- Members whose nickname or whole mask fits a mask, in no order.
---@param mask string
---@param most integer of them
---@return moonwire.member[]
function Hall:find(mask, most)
  check.object(self, Hall, "find")
  local found = {}
  for _, member in pairs(self.members) do
    if #found < most and (name.matches(mask, member.nick) or name.matches(mask, member:mask())) then
      found[#found + 1] = member
    end
  end
  return found
end

--- The room of the name.
---@param room_name string
---@return moonwire.room?
function Hall:room(room_name)
  check.object(self, Hall, "room")
  return self.rooms[name.fold(room_name)]
end

--- All rooms, in the order of their names.
---@return moonwire.room[]
function Hall:list()
  check.object(self, Hall, "list")
  local list = {}
  for _, room in pairs(self.rooms) do
    list[#list + 1] = room
  end
  table.sort(list, function(a, b) return name.fold(a.name) < name.fold(b.name) end)
  return list
end

--- What was said in a room last, the oldest first: events of the kinds "message" and "notice".
---@param room moonwire.room
---@param count integer at most
---@return table[]
function Hall:recent(room, count)
  check.object(self, Hall, "recent")
  return self.history and self.history.recent(name.fold(room.name), count) or {}
end

---@private
function Hall:keep(room, event)
  if self.history then
    self.history.add(name.fold(room.name), {
      kind = event.kind, nick = event.nick, from = event.from, time = event.time, room = event.room,
      text = event.text,
    })
  end
end

---@private
function Hall:add_room(room_name)
  local room = Room.new(room_name)
  self.rooms[name.fold(room_name)] = room
  self.rooms_count = self.rooms_count + 1
  return room
end

---@private
function Hall:remove_from(room, member)
  member.rooms[room] = nil
  room:remove(member)
  if room.count == 0 then
    self.rooms[name.fold(room.name)] = nil
    self.rooms_count = self.rooms_count - 1
    if self.history and (room.flags.i or room.flags.s or room.key) then
      self.history.forget(name.fold(room.name)) -- whoever makes it anew was not let in before
    end
  end
end

-- Who reads too slowly is gone for the others once all have got the event.
local function drop_slow(self)
  if self.is_dropping then
    return -- further down: those who became slow by the news of others that left
  end
  self.is_dropping = true
  while #self.slow > 0 do
    local member = table.remove(self.slow)
    self.dropped = self.dropped + 1
    member.reader.drop(TOO_SLOW)
    member:leave(TOO_SLOW)
  end
  self.is_dropping = false
end

local function deliver(self, member, event)
  local reader, pending = member.reader, member.pending
  if not reader then
    pending[#pending + 1] = #pending < PENDING_MOST and event or nil
  elseif not member.is_deaf and not reader.deliver(event) then
    member.is_deaf = true
    self.slow[#self.slow + 1] = member
  end
end

---@private
function Hall:tell(member, event)
  event.cache = {}
  deliver(self, member, event)
  drop_slow(self)
end

---@private
function Hall:tell_room(room, event, except)
  event.cache = {}
  for member in pairs(room.members) do
    if member ~= except then
      deliver(self, member, event)
    end
  end
  drop_slow(self)
end

-- Who is in a room with a member gets the event once.
---@private
function Hall:tell_neighbours(member, event, with_itself)
  event.cache = {}
  local seen = { [member] = true }
  for room in pairs(member.rooms) do
    for other in pairs(room.members) do
      if not seen[other] then
        seen[other] = true
        deliver(self, other, event)
      end
    end
  end
  if with_itself then
    deliver(self, member, event)
  end
  drop_slow(self)
end

---@private
function Hall:change_nick(member, nick)
  self.members[name.fold(member.nick)] = nil
  member.nick = nick
  self.members[name.fold(nick)] = member
end

---@private
function Hall:remove(member, event)
  if self.by_id[member.id] ~= member then
    return
  end
  self.by_id[member.id], self.members[name.fold(member.nick)] = nil, nil
  self.count = self.count - 1
  member.is_deaf = true
  local rooms = member.rooms
  event.cache = {}
  local seen = { [member] = true }
  member.rooms = {}
  for room in pairs(rooms) do
    self:remove_from(room, member)
    for other in pairs(room.members) do
      if not seen[other] then
        seen[other] = true
        deliver(self, other, event)
      end
    end
  end
  drop_slow(self)
end

---@private
function Hall:detach(member)
  member.reader, member.detached = nil, timer.now()
end

--- Gives a member of another generation its connection, and what it has missed. A member that nobody knows
--- comes back as it was when the state was made, if its nickname is free.
---@param snapshot table of member:snapshot
---@param reader moonwire.chat_reader
---@return moonwire.member? member
---@return string? err
---@return string? code "exists", "full", "busy" (it has a connection)
function Hall:attach(snapshot, reader)
  check.object(self, Hall, "attach")
  local member = self.by_id[snapshot.id]
  if member and member.reader then
    return nil, "busy", "busy"
  elseif not member and self.members[name.fold(snapshot.nick)] then
    return nil, "the nickname is taken", "exists"
  elseif not member and self.count >= self.limits.members_max then
    return nil, "full", "full"
  elseif not member then
    member = self:restore(snapshot)
  end
  local pending = member.pending
  member.reader, member.detached, member.pending = reader, nil, {}
  for _, event in ipairs(pending) do
    event.cache = {}
    deliver(self, member, event)
  end
  drop_slow(self)
  return member
end

---@private
function Hall:restore(snapshot)
  local fields = {}
  for _, key in ipairs { "id", "nick", "user", "host", "real", "away", "joined", "spoke" } do
    fields[key] = snapshot[key]
  end
  local member = add_member(self, fields)
  self:detach(member)
  for _, room_name in ipairs(snapshot.rooms) do
    member:join(room_name)
  end
  member.pending = {}
  return member
end

--- Those whose connection has not come back leave. Call it now and then.
---@param seconds number that it may take
function Hall:reap(seconds)
  check.object(self, Hall, "reap")
  check.seconds(seconds, 1, "reap")
  local gone = {}
  for _, member in pairs(self.by_id) do
    gone[#gone + 1] = member.detached and timer.now() - member.detached > seconds and member or nil
  end
  for _, member in ipairs(gone) do
    member:leave "connection lost"
  end
end

local ROOM_FIELDS <const> = {
  "name", "topic", "topic_by", "topic_time", "created", "flags", "key", "limit", "bans", "invited",
}

--- All of it as plain data, for `handoff`. For a moment from now `is_leaving` says yes.
---@return table
function Hall:export()
  check.object(self, Hall, "export")
  local history = self.history
  local data = { members = {}, rooms = {}, history = history and history.export and history.export() }
  for id, member in pairs(self.by_id) do
    local pending = {}
    for i, event in ipairs(member.pending) do
      event.cache = nil
      pending[i] = event
    end
    data.members[id] = member:snapshot()
    data.members[id].rooms, data.members[id].pending = nil, pending
  end
  for key, room in pairs(self.rooms) do
    local saved = { members = {} }
    for _, field in ipairs(ROOM_FIELDS) do
      saved[field] = room[field]
    end
    for member, status in pairs(room.members) do
      saved.members[member.id] = status
    end
    data.rooms[key] = saved
  end
  self.exported = timer.now()
  return data
end

--- Takes over what another hall has exported, for `adopt`. All members wait for their connections.
---@param data table
function Hall:import(data)
  check.object(self, Hall, "import")
  check.type(data, "table", 1, "import")
  for _, fields in pairs(data.members) do
    local pending = fields.pending
    fields.pending = nil
    local member = add_member(self, fields)
    member.pending = pending
    self:detach(member)
  end
  for key, saved in pairs(data.rooms) do
    local room = self:add_room(saved.name)
    for _, field in ipairs(ROOM_FIELDS) do
      room[field] = saved[field]
    end
    self.rooms[key] = room
    for id, status in pairs(saved.members) do
      local member = self.by_id[id]
      room.members[member], room.count, member.rooms[room] = status, room.count + 1, true
    end
  end
  if data.history and self.history and self.history.import then
    self.history.import(data.history)
  end
end

--- Whether newer code has everything and the connections are about to follow: what they say now must not
--- be done here. Hold it in the state of the checkpoint, and ask again when nothing moves.
---@return boolean
function Hall:is_leaving()
  check.object(self, Hall, "is_leaving")
  return self.exported ~= nil and timer.now() - self.exported < MOVE_SECONDS
end

return Hall
