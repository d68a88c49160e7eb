--- A room of a hall. Scripts get it from moonwire.chat.
local guard = require "moonwire.chat.guard"
local name = require "moonwire.chat.name"

local SORTED_MOST <const> = 500

--- What a room knows of one who is in it.
---@class moonwire.chat_status
---@field operator boolean
---@field voice boolean

---@class moonwire.room
---@field name string as it was written first
---@field topic? string
---@field topic_by? string
---@field topic_time? integer seconds since 1970
---@field created integer seconds since 1970
---@field count integer of members
--- Modes: i invited only, m only operators and voices speak, n only who is in it, s not shown to others,
--- t only operators set the topic.
---@field flags table<string, boolean>
---@field key? string that one must know to come in
---@field limit? integer members at most
---@field bans string[] masks of nick!user@host
---@field members table<moonwire.member, moonwire.chat_status>
--- Those whose connections this process has, and who of them gets what happens.
---@field private here table<moonwire.member, fun(event: table): boolean>
---@field private order? moonwire.member[] as they have come; nil: not known any more
---@field private epoch integer counts changes of who is in it and as what, but for who joins
---@field private version integer counts changes of topic and modes
---@field private version_by? string the process that made the last one
---@field private invited table<string, boolean> ids of members
local Room = { __name = "moonwire.room" }
Room.__index = Room

---@param text string its name
---@return moonwire.room
function Room.new(text)
  return setmetatable({
    name = text, created = os.time(), count = 0, flags = { n = true, t = true }, bans = {}, members = {},
    here = {}, epoch = 0, version = 0, invited = {},
  }, Room)
end

--- Whether a member is in it.
---@param member moonwire.member
---@return boolean
function Room:has(member)
  return self.members[member] ~= nil
end

--- Whether a member may do there what operators do.
---@param member moonwire.member
---@return boolean
function Room:is_operator(member)
  local status = self.members[member]
  return status ~= nil and status.operator
end

--- Whether others may know that it is there.
---@param member moonwire.member who asks
---@return boolean
function Room:is_visible(member)
  return not self.flags.s or self.members[member] ~= nil
end

--- Its members in the order of their nicknames; in none when they are more than 500.
---@return moonwire.member[]
function Room:list()
  local list, keys, by_key = {}, {}, {}
  for member in pairs(self.members) do
    list[#list + 1] = member
  end
  if #list > SORTED_MOST then
    return list
  end
  for i, member in ipairs(list) do
    keys[i] = name.fold(member.nick)
    by_key[keys[i]] = member
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    list[i] = by_key[key]
  end
  return list
end

local function is_banned(self, member)
  local mask = member:mask()
  for _, ban in ipairs(self.bans) do
    if name.matches(ban, mask) then
      return true
    end
  end
  return false
end

--- Why a member may not come in; nil: it may. Whoever was invited may in any case.
---@param member moonwire.member
---@param key? string
---@return string? reason "banned", "invite_only", "wrong_key", "full"
function Room:refusal(member, key)
  if self.invited[member.id] then
    return nil
  elseif is_banned(self, member) then
    return "banned"
  elseif self.flags.i then
    return "invite_only"
  elseif self.key and self.key ~= key then
    return "wrong_key"
  elseif self.limit and self.count >= self.limit then
    return "full"
  end
end

--- Whether a member may speak to it.
---@param member moonwire.member
---@return boolean
function Room:may_speak(member)
  local status = self.members[member]
  if status and (status.operator or status.voice) then
    return true
  end
  return (status or not self.flags.n) and not self.flags.m and not is_banned(self, member) or false
end

--- Its modes as IRC writes them: "+nt", "+klnt", with the words that belong to them behind.
---@param shows_key? boolean whether the key is among them; else it is "*"
---@return string modes
---@return string[] words
function Room:modes(shows_key)
  local letters, words = {}, {}
  for letter in pairs(self.flags) do
    letters[#letters + 1] = letter
  end
  letters[#letters + 1] = self.key and "k" or nil
  letters[#letters + 1] = self.limit and "l" or nil
  table.sort(letters)
  words[1] = self.key and (shows_key and self.key or "*")
  words[#words + 1] = self.limit and tostring(self.limit)
  return "+" .. table.concat(letters), words
end

return guard.methods(Room, {
  has = { "member" }, is_operator = { "member" }, is_visible = { "member" }, list = {},
  refusal = { "member", "any" }, may_speak = { "member" }, modes = { "any" },
})
