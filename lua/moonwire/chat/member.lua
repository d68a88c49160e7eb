--- One who is in a hall. Scripts get it from moonwire.chat.
local delivery = require "moonwire.chat.delivery"
local guard = require "moonwire.chat.guard"
local mode = require "moonwire.chat.mode"
local name = require "moonwire.chat.name"
local register = require "moonwire.chat.register"
local timer = require "moonwire.timer"

---@class moonwire.member
---@field id string that nobody can guess, and that stays at a reload
---@field nick string
---@field user string
---@field host string
---@field real string
---@field away? string
---@field joined integer seconds since 1970
---@field spoke integer likewise
---@field rooms table<moonwire.room, boolean> that it is in
---@field hall moonwire.hall
---@field private node? string the other process that has its connection
---@field private reader? moonwire.chat_reader
---@field private pending table[] what came while a reload moves the connection
---@field private detached? number when the connection began to move
---@field private ear fun(event: table): boolean who gets what happens
local Member = { __name = "moonwire.member" }
Member.__index = Member

---@private
function Member.new(hall, fields)
  fields.hall, fields.rooms, fields.pending = hall, {}, {}
  fields.user, fields.host, fields.real = fields.user or "user", fields.host or "host", fields.real or ""
  fields.joined = fields.joined or os.time()
  fields.spoke = fields.spoke or fields.joined
  setmetatable(fields, Member)
  if fields.reader then
    delivery.listen(fields, fields.reader)
  else
    delivery.hold(fields)
  end
  return fields
end

--- What masks are compared with: nick!user@host.
---@return string
function Member:mask()
  return ("%s!%s@%s"):format(self.nick, self.user, self.host)
end

-- What the reasons are among the codes of all modules; the others are codes themselves.
local CODES <const> = {
  absent = "not_found", not_there = "not_found", nobody = "not_found", not_operator = "denied",
  banned = "denied", invite_only = "denied", wrong_key = "denied", muted = "denied", too_many = "full",
  unknown = "invalid",
}

local function refuse(err, reason)
  return nil, err, CODES[reason] or reason, reason
end

-- An event of this member's, which all are told: others first.
local function announce(self, act, kind, more)
  local event = delivery.event(self, kind, more)
  act.act, act.id, act.event = act.act or kind, self.id, event
  delivery.announce(self.hall, act)
  return event
end

-- Another process that has changed the same at the same time has the same version.
local function count_version(self, room)
  room.version, room.version_by = room.version + 1, self.hall.peers and self.hall.peers.id
end

-- The room, when the member is in it.
local function own_room(self, room_name)
  local room = type(room_name) == "string" and self.hall:room(room_name)
  if not room then
    return nil, "no such room", "not_found"
  elseif not room:has(self) then
    return nil, "not in that room", "absent"
  end
  return room
end

local function operated_room(self, room_name)
  local room, err, code = own_room(self, room_name)
  if room and not room:is_operator(self) then
    return nil, "not an operator of the room", "not_operator"
  end
  return room, err, code
end

local function open_room(self, room_name)
  local hall = self.hall
  local room = hall:room(room_name)
  if not room and hall.rooms_count >= hall.limits.rooms_max then
    return nil, "too many rooms", "too_many"
  end
  return room or register.add_room(hall, room_name)
end

--- Comes into a room, which is made when it is not there: who makes it is its operator.
---@param room_name string
---@param key? string
---@return moonwire.room? room
---@return string? err
---@return moonwire.code? code
---@return string? reason "invalid", "too_many", "banned", "invite_only", "wrong_key", "full"
function Member:join(room_name, key)
  local limits = self.hall.limits
  local count = 0
  for _ in pairs(self.rooms) do
    count = count + 1
  end
  if not name.is_room(room_name, limits.room_max) then
    return refuse("not the name of a room", "invalid")
  end
  local there = self.hall:room(room_name)
  local refusal = there and not there:has(self) and there:refusal(self, key)
  if refusal then
    return refuse("the room is not open", refusal)
  elseif there and there:has(self) then
    return there
  elseif count >= limits.rooms_each then
    return refuse("in too many rooms", "too_many")
  end
  local room, err, reason = open_room(self, room_name)
  if not room then
    return refuse(err, reason)
  end
  local is_first = room.count == 0
  local event = announce(self, { operator = is_first }, "join", { room = room.name, real = self.real })
  register.add_to(room, self, { operator = is_first, voice = false })
  delivery.tell_room(self.hall, room, event)
  return room
end

--- Leaves a room.
---@param room_name string
---@param text? string why
---@return boolean? ok
---@return string? err
---@return moonwire.code? code
---@return string? reason "not_found", "absent"
function Member:part(room_name, text)
  local room, err, reason = own_room(self, room_name)
  if not room then
    return refuse(err, reason)
  end
  delivery.tell_room(self.hall, room, announce(self, {}, "part", { room = room.name, text = text }))
  register.remove_from(self.hall, room, self)
  return true
end

local function say_to_room(self, room, text, kind)
  if not room:may_speak(self) then
    return refuse("cannot speak to that room", "muted")
  end
  local event = announce(self, { act = "say" }, kind, { room = room.name, text = text })
  register.keep(self.hall, room, event)
  delivery.tell_room(self.hall, room, event, self)
  return true
end

--- Says something: to a room, whose other members get it, or to one member.
---@param target string name of a room, or nickname
---@param text string
---@param kind? "message"|"notice" default "message"
---@return boolean? ok
---@return string? err
---@return moonwire.code? code
---@return string? reason "invalid" (no text), "too_large", "not_found", "muted"
function Member:say(target, text, kind)
  local most = self.hall.limits.text_max
  self.spoke = os.time()
  if type(text) == "string" and #text > most then
    return refuse("too_large", "too_large")
  elseif not name.is_text(text, most) then
    return refuse("not a text", "invalid")
  end
  local room = self.hall:room(target)
  if room then
    return say_to_room(self, room, text, kind or "message")
  end
  local other = self.hall:member(target)
  if not other then
    return refuse("nobody of that name", "not_found")
  end
  local act = { act = "say", to = other.id }
  delivery.tell(self.hall, other, announce(self, act, kind or "message", { to = other.nick, text = text }))
  return true
end

--- Sets the topic of a room; "" takes it away.
---@param room_name string
---@param text string
---@return boolean? ok
---@return string? err
---@return moonwire.code? code
---@return string? reason "not_found", "absent", "not_operator", "invalid"
function Member:set_topic(room_name, text)
  local room, err, reason = own_room(self, room_name)
  if not room then
    return refuse(err, reason)
  elseif room.flags.t and not room:is_operator(self) then
    return refuse("not an operator of the room", "not_operator")
  elseif text ~= "" and not name.is_text(text, self.hall.limits.topic_max) then
    return refuse("not a topic", "invalid")
  end
  room.topic = text ~= "" and text or nil
  room.topic_by, room.topic_time = self:mask(), os.time()
  count_version(self, room)
  local event = announce(self, { version = room.version }, "topic", { room = room.name, text = text })
  delivery.tell_room(self.hall, room, event)
  return true
end

--- Takes another nickname. In a hall that is linked it waits for the store.
---@param nick string
---@return boolean? ok
---@return string? err
---@return string? code "invalid", "exists"
function Member:rename(nick)
  local hall = self.hall
  if not name.is_nick(nick, hall.limits.nick_max) then
    return refuse("not a nickname", "invalid")
  end
  local other = hall:member(nick)
  local is_own = other == self or not other and register.is_free(hall, nick)
  if not is_own then
    return refuse("the nickname is taken", "exists")
  elseif nick ~= self.nick and hall.by_id[self.id] == self then
    register.let_go(hall, self.nick)
    register.rename(hall, self, announce(self, {}, "nick", { new = nick }))
  end
  return true
end

--- Throws somebody out of a room.
---@param room_name string
---@param nick string
---@param text? string why
---@return boolean? ok
---@return string? err
---@return moonwire.code? code
---@return string? reason "not_found", "absent", "not_operator", "not_there" (the other is not in it)
function Member:kick(room_name, nick, text)
  local room, err, reason = operated_room(self, room_name)
  if not room then
    return refuse(err, reason)
  end
  local other = self.hall:member(nick)
  if not other or not room:has(other) then
    return refuse("nobody of that name in the room", "not_there")
  end
  local event = announce(self, { whom = other.id }, "kick", {
    room = room.name, whom = other.nick, text = text or self.nick,
  })
  delivery.tell_room(self.hall, room, event)
  register.remove_from(self.hall, room, other)
  return true
end

--- Lets somebody into a room, whatever keeps others out.
---@param nick string
---@param room_name string
---@return moonwire.member? other
---@return string? err
---@return moonwire.code? code
---@return string? reason "nobody", "not_found" (no such room), "absent", "not_operator", "exists" (is in it)
function Member:invite(nick, room_name)
  local room, err, reason = own_room(self, room_name)
  local other = self.hall:member(nick)
  if not other then
    return refuse("nobody of that name", "nobody")
  elseif not room then
    return refuse(err, reason)
  elseif room.flags.i and not room:is_operator(self) then
    return refuse("not an operator of the room", "not_operator")
  elseif room:has(other) then
    return refuse("is in the room already", "exists")
  end
  room.invited[other.id] = true
  local event = announce(self, { whom = other.id }, "invite", { room = room.name, whom = other.nick })
  delivery.tell(self.hall, other, event)
  return other
end

--- Changes a mode of a room: a flag of `room.flags`, k (the key), l (the limit), b (a ban), o and v (whose
--- word is a nickname).
---@param room_name string
---@param letter string
---@param is_on boolean
---@param word? string
---@return boolean? ok
---@return string? err
---@return moonwire.code? code
---@return string? reason "not_found", "absent", "not_operator", "unknown", "invalid", "not_there", "full"
function Member:set_mode(room_name, letter, is_on, word)
  local room, err, reason = operated_room(self, room_name)
  if not room then
    return refuse(err, reason)
  end
  local changed, problem, problem_reason = mode.set(self.hall, room, letter, is_on, word)
  if not changed then
    return refuse(problem, problem_reason)
  elseif changed.is_new then
    count_version(self, room)
    local act = { version = room.version, whom = changed.whom }
    delivery.tell_room(self.hall, room, announce(self, act, "mode", {
      room = room.name, mode = letter, on = is_on, word = changed.word,
    }))
  end
  return true
end

--- Is away, or with nil is there again.
---@param text? string
function Member:set_away(text)
  self.away = text
  delivery.announce(self.hall, { act = "away", id = self.id, text = text })
end

--- Leaves the hall. May be called again.
---@param text? string the last words
function Member:leave(text)
  if self.hall.by_id[self.id] == self then
    register.let_go(self.hall, self.nick)
    register.remove(self.hall, self, announce(self, {}, "quit", { text = text or "" }))
  end
end

--- Is somewhere between two connections, as at a reload: what comes is kept for the next one, some of it.
function Member:detach()
  self.detached = timer.now()
  delivery.hold(self)
end

--- What is needed to bring it back where nobody knows it: plain data.
---@return table
function Member:snapshot()
  local rooms = {}
  for room in pairs(self.rooms) do
    rooms[#rooms + 1] = room.name
  end
  return {
    id = self.id, nick = self.nick, user = self.user, host = self.host, real = self.real, away = self.away,
    joined = self.joined, spoke = self.spoke, rooms = rooms,
  }
end

return guard.methods(Member, {
  mask = {}, join = { "any", "any" }, part = { "any", "line?" }, say = { "string", "any", "kind?" },
  set_topic = { "any", "any" }, rename = { "any" }, kick = { "any", "string", "line?" },
  invite = { "string", "any" }, set_mode = { "any", "string", "boolean", "any" }, set_away = { "line?" },
  leave = { "line?" }, detach = {}, snapshot = {},
})
