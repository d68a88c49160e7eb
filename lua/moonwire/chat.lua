--- Rooms and those who are in them, whatever door they come by: nicknames, topics, operators, private
--- messages, history.
local Flood = require "moonwire.chat.flood"
local Hall = require "moonwire.chat.hall"
local check = require "moonwire.check"
local guard = require "moonwire.chat.guard"
local history = require "moonwire.chat.history"
local name = require "moonwire.chat.name"

local chat = {}

---@class moonwire.chat_options
---@field nick_max? integer bytes of a nickname; default 30
---@field room_max? integer bytes of the name of a room; default 50
---@field topic_max? integer bytes of a topic; default 390
---@field text_max? integer bytes of a message; default 2000
---@field members_max? integer members at once; default 20000
---@field rooms_max? integer rooms at once; default 2000
---@field rooms_each? integer rooms that one member may be in; default 20
---@field bans_max? integer masks that a room may ban; default 50
---@field history? moonwire.chat_history who keeps what was said; default: nobody

---@class moonwire.chat_history_options
---@field lines? integer of each room; default 50
---@field rooms? integer that are kept, those that were spoken in last; default 1000
---@field prefix? string of keys of moonwire.store, where it is kept, too; default: in memory only
---@field expire? number|false seconds that lines are kept in the store; default 2592000, which is 30 days

---@class moonwire.chat_flood_options
---@field rate? number acts a second in the long run; default 2
---@field burst? number acts that may come at once; default 10

local HALL_KNOWN <const> = {
  nick_max = "integer", room_max = "integer", topic_max = "integer", text_max = "integer",
  members_max = "integer", rooms_max = "integer", rooms_each = "integer", bans_max = "integer",
  history = "table",
}

local HISTORY_KNOWN <const> = {
  lines = "integer", rooms = "integer", prefix = "string", expire = "seconds",
}
local EXPIRE_SECONDS <const> = 30 * 24 * 3600
local PREFIX_MOST <const> = 200 -- bytes: with the name of a room behind it a key of the store

--- A hall: all rooms and members of a chat in this worker.
---@param options? moonwire.chat_options
---@return moonwire.hall
function chat.hall(options)
  check.options(options, HALL_KNOWN, 1, "hall")
  local problem = guard.problem("keeper?", options and options.history)
  if problem then
    check.refuse(1, "hall", "option 'history': " .. problem)
  end
  return Hall.new(options or {})
end

--- A keeper of history, for the option `history` of a hall: in memory, and with `prefix` in the store, too.
---@param options? moonwire.chat_history_options
---@return moonwire.chat_history
function chat.history(options)
  check.options(options, HISTORY_KNOWN, 1, "history")
  options = options or {}
  if not options.prefix then
    return history.memory(options)
  elseif #options.prefix > PREFIX_MOST then
    check.refuse(1, "history", ("option 'prefix': %d bytes at most expected"):format(PREFIX_MOST))
  end
  return require "moonwire.chat.stored".new {
    lines = options.lines or history.LINES, rooms = options.rooms, prefix = options.prefix,
    expire = options.expire == nil and EXPIRE_SECONDS or options.expire,
  }
end

--- How fast one may speak.
---@param options? moonwire.chat_flood_options
---@return moonwire.flood
function chat.flood(options)
  check.options(options, { rate = "number", burst = "number" }, 1, "flood")
  local rate, burst = options and options.rate or 2, options and options.burst or 10
  if not (rate > 0 and rate < math.huge and burst >= 1 and burst < math.huge) then
    check.refuse(1, "flood", "a finite rate above 0 and a finite burst of 1 or more expected")
  end
  return Flood.new(rate, burst)
end

local ending = { __close = function(guarded)
  local session = guarded.session
  if not session.quit and not guard.problem("member", session.member) then
    session.member:detach()
  end
end }

--- Runs the conversation of a connection. Its session has `member`, once there is one, and `quit`, the last
--- words, once it has left: a member whose connection moves at a reload, or whose task has died, is waited
--- for.
---@generic T
---@param session T a table
---@param fn fun(session: T, ...): any
---@param ... any further arguments of the function
---@return any ... its results
function chat.converse(session, fn, ...)
  check.type(session, "table", 1, "converse")
  check.type(fn, "function", 2, "converse")
  local _ <close> = setmetatable({ session = session }, ending)
  return fn(session, ...)
end

--- Names are the same when their small letters are: those of ASCII, and no others.
---@param text string
---@return string
function chat.fold(text)
  check.type(text, "string", 1, "fold")
  return name.fold(text)
end

--- Whether a text fits a mask, in which `*` is any text and `?` any byte, and letters are as of `fold`.
---@param mask string
---@param text string
---@return boolean
function chat.matches(mask, text)
  check.type(mask, "string", 1, "matches")
  check.type(text, "string", 2, "matches")
  return name.matches(mask, text)
end

return chat
