--- All rooms and members of a chat, and what passes between them. Scripts get it from moonwire.chat.
local Member = require "moonwire.chat.member"
local check = require "moonwire.check"
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"
local delivery = require "moonwire.chat.delivery"
local guard = require "moonwire.chat.guard"
local move = require "moonwire.chat.move"
local name = require "moonwire.chat.name"
local register = require "moonwire.chat.register"
local timer = require "moonwire.timer"

local DEFAULTS <const> = {
  nick_max = 30, room_max = 50, topic_max = 390, text_max = 2000, members_max = 20000, rooms_max = 2000,
  rooms_each = 20, bans_max = 50,
}
local MOVE_SECONDS <const> = 1 -- that lines are held back while a reload moves connections
local ID_BYTES <const> = 16
local LINK_MOST <const> = 50 -- bytes

--- The connection of a member.
---@class moonwire.chat_reader
---@field deliver fun(event: table): boolean must not wait; false: the peer is too slow
---@field drop fun(reason: string) breaks the connection off

---@class moonwire.hall
---@field limits table<string, integer>
---@field count integer of members
---@field count_here integer of those whose connections this process has
---@field rooms_count integer
---@field dropped integer readers that were too slow, so far
---@field private members table<string, moonwire.member> by folded nicknames
---@field private by_id table<string, moonwire.member>
---@field private rooms table<string, moonwire.room> by folded names
---@field private peers? moonwire.chat_link to other processes
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
    count_here = 0,
    by_id = {}, rooms = {}, slow = {}, is_dropping = false,
  }, Hall)
end

--- Takes somebody in. In a hall that is linked it waits for the store.
---@param nick string
---@param reader moonwire.chat_reader
---@param about? { user?: string, host?: string, real?: string }
---@return moonwire.member? member
---@return string? err
---@return string? code "invalid" (not a nickname), "exists", "full"
function Hall:enter(nick, reader, about)
  if not name.is_nick(nick, self.limits.nick_max) then
    return nil, "not a nickname", "invalid"
  elseif self.members[name.fold(nick)] or not register.is_free(self, nick) then
    return nil, "the nickname is taken", "exists"
  elseif self.count >= self.limits.members_max then
    return nil, "full", "full"
  end
  about = about or {}
  local member = Member.new(self, {
    nick = nick, id = codec.hex_encode(crypto.random_bytes(ID_BYTES)), reader = reader, user = about.user,
    host = about.host, real = about.real,
  })
  delivery.announce(self, { act = "enter", id = member.id, member = member:snapshot() })
  return register.add_member(self, member)
end

--- Whether it can be a nickname here.
---@param nick string
---@return boolean
function Hall:is_nick(nick)
  return name.is_nick(nick, self.limits.nick_max)
end

--- Who has the nickname.
---@param nick string
---@return moonwire.member?
function Hall:member(nick)
  return self.members[name.fold(nick)]
end

--- Members whose nickname or whole mask fits a mask, in no order.
---@param mask string
---@param most integer of them
---@return moonwire.member[]
function Hall:find(mask, most)
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
  return self.rooms[name.fold(room_name)]
end

--- All rooms, in the order of their names.
---@return moonwire.room[]
function Hall:list()
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
  return self.history and self.history.recent(name.fold(room.name), count) or {}
end

--- Gives a member of another generation its connection, and what it has missed. A member that nobody knows
--- comes back as it was when the state was made, if its nickname is free.
---@param snapshot table of member:snapshot
---@param reader moonwire.chat_reader
---@return moonwire.member? member
---@return string? err
---@return string? code "exists", "full", "busy" (it has a connection)
function Hall:attach(snapshot, reader)
  local fields, rooms = move.read_snapshot(snapshot)
  if not fields then
    check.refuse(1, "attach", "what member:snapshot has returned expected")
  end
  local member = self.by_id[fields.id]
  if member and member.reader then
    return nil, "busy", "busy"
  elseif member and member.node then
    return nil, "another process has it", "exists"
  elseif not member and self.members[name.fold(fields.nick)] then
    return nil, "the nickname is taken", "exists"
  elseif not member and self.count >= self.limits.members_max then
    return nil, "full", "full"
  end
  member = member or move.restore(self, fields, rooms)
  move.attach(self, member, reader)
  return member
end

--- Makes it one hall with those that are linked under the same name in other processes on the bus.
--- Call it before somebody enters. Waits until it knows what the others know, for a few seconds at most.
---@param link_name string letters, digits, '_' and '-'
---@param worker? integer number of this process among those of a daemon; default 1
function Hall:link(link_name, worker)
  if not link_name:find "^[%w_-]+$" or #link_name > LINK_MOST then
    check.refuse(1, "link", "letters, digits, '_' and '-' expected")
  elseif self.peers then
    error("the hall is linked already", 2)
  end
  self.peers = require "moonwire.chat.link".new(self, link_name, worker or 1)
  self.peers:start()
end

--- Leaves the halls of other processes, for whom its members are gone.
function Hall:unlink()
  if self.peers then
    self.peers:stop()
  end
end

--- Those whose connection has not come back leave. Call it now and then.
---@param seconds number that it may take
function Hall:reap(seconds)
  local gone = {}
  for _, member in pairs(self.by_id) do
    gone[#gone + 1] = member.detached and timer.now() - member.detached > seconds and member or nil
  end
  for _, member in ipairs(gone) do
    member:leave "connection lost"
  end
end

--- All of it as plain data, for `handoff`. For a moment from now `is_leaving` says yes.
---@return table
function Hall:export()
  self.exported = timer.now()
  return move.export(self)
end

--- Takes over what another hall has exported, for `adopt`. All members wait for their connections.
---@param data table
function Hall:import(data)
  if not move.import(self, data) then
    check.refuse(1, "import", "what hall:export has returned expected")
  end
end

--- Whether newer code has everything and the connections are about to follow: what they say now must not
--- be done here. Hold it in the state of the checkpoint, and ask again when nothing moves.
---@return boolean
function Hall:is_leaving()
  return self.exported ~= nil and timer.now() - self.exported < MOVE_SECONDS
end

return guard.methods(Hall, {
  enter = { "any", "reader", "about?" }, is_nick = { "any" }, member = { "string" },
  find = { "string", "count" }, room = { "string" }, list = {}, recent = { "room", "count" },
  attach = { "table", "reader" }, reap = { "seconds" }, export = {}, import = { "table" }, is_leaving = {},
  link = { "string", "count?" }, unlink = {},
})
