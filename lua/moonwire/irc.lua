--- IRC: the grammar of its lines, and a server's side of the conversation for the rooms of moonwire.chat.
local Door = require "moonwire.irc.door"
local check = require "moonwire.check"
local guard = require "moonwire.chat.guard"
local message = require "moonwire.irc.message"

local irc = {}

---@class moonwire.irc_message
---@field tags? table<string, string> IRCv3 message tags, unescaped
---@field source? string who it is from: "nick!user@host", "server.name"
---@field command string letters in capitals, or three digits
---@field params string[] 15 at most

---@class moonwire.irc_door_options
---@field name? string of the server, in what it says; default "chat.local"
---@field network? string default "Moonwire"
---@field motd? string lines that greet; default: none
---@field password? string that clients must send with PASS; default: none
---@field history_lines? integer that a client with the capability server-time gets when it joins; default 20
---@field ping? number seconds of silence after which a client is asked whether it is there; default 120
---@field register? number seconds to the end of its registration; default 30
---@field flood_rate? number commands a second in the long run; default 2
---@field flood_burst? number commands that may come at once; default 20

local DOOR_KNOWN <const> = {
  name = "string", network = "string", motd = "string", password = "string", history_lines = "integer",
  ping = "seconds", register = "seconds", flood_rate = "number", flood_burst = "number",
}

--- Takes a line apart.
---@param line string without its end
---@return moonwire.irc_message? message
---@return string? err
---@return string? code "invalid"
function irc.parse(line)
  check.type(line, "string", 1, "parse")
  return message.parse(line)
end

--- Composes a line. What is no message, such as one with CR, LF or NUL in it, raises.
---@param given moonwire.irc_message
---@return string line without its end
function irc.format(given)
  check.type(given, "table", 1, "format")
  local line, problem = message.format(given)
  if not line then
    check.refuse(1, "format", problem --[[@as string]])
  end
  return line --[[@as string]]
end

--- The door by which IRC clients come into a hall: `connect` and `options` of a service or of one of its
--- doors, and `resume` for connections that a reload has brought, whose state has `door = "irc"`.
---@param hall moonwire.hall
---@param options? moonwire.irc_door_options
---@return moonwire.irc_door
function irc.door(hall, options)
  check.options(options, DOOR_KNOWN, 2, "door")
  local problem = guard.problem("hall", hall)
  if problem then
    check.refuse(1, "door", problem)
  end
  problem = Door.problem(options or {})
  if problem then
    check.refuse(2, "door", problem)
  end
  return Door.new(hall, options or {})
end

return irc
