--- What happens in a hall, as lines for IRC clients. Not for scripts.
local message = require "moonwire.irc.message"

local line = {}

local LINE_MOST <const> = 510 -- bytes without CRLF

--- The pieces of a text that fit into lines, cut between characters.
---@param text string
---@param most integer bytes of a piece
---@return string[]
function line.split(text, most)
  local pieces, at = {}, 1
  while #text - at + 1 > most do
    local last = at + most
    while text:byte(last) & 0xC0 == 0x80 do -- inside a character
      last = last - 1
    end
    pieces[#pieces + 1] = text:sub(at, last - 1)
    at = last
  end
  pieces[#pieces + 1] = text:sub(at)
  return pieces
end

local function compose(source, command, ...)
  return assert(message.format { source = source, command = command, params = { ... } })
end

-- The line, with as much of the text as fits.
local function compose_cut(source, command, text, ...)
  local head = table.pack(...)
  local room = LINE_MOST - #compose(source, command, ...) - 2
  head[#head + 1] = line.split(text or "", room)[1]
  return { compose(source, command, table.unpack(head)) }
end

local function message_lines(command)
  return function(event)
    local target = event.room or event.to
    local lines = {}
    local room = LINE_MOST - #compose(event.from, command, target) - 2
    for i, piece in ipairs(line.split(event.text, room)) do
      lines[i] = compose(event.from, command, target, piece)
    end
    return lines
  end
end

local composers = {
  message = message_lines "PRIVMSG",
  notice = message_lines "NOTICE",
  join = function(event) return { compose(event.from, "JOIN", event.room) } end,
  nick = function(event) return { compose(event.from, "NICK", event.new) } end,
  invite = function(event) return { compose(event.from, "INVITE", event.whom, event.room) } end,
  topic = function(event) return compose_cut(event.from, "TOPIC", event.text, event.room) end,
  kick = function(event) return compose_cut(event.from, "KICK", event.text, event.room, event.whom) end,
  quit = function(event) return compose_cut(event.from, "QUIT", "Quit: " .. event.text) end,
  part = function(event)
    if not event.text then
      return { compose(event.from, "PART", event.room) }
    end
    return compose_cut(event.from, "PART", event.text, event.room)
  end,
  mode = function(event)
    local letters = (event.on and "+" or "-") .. event.mode
    return { compose(event.from, "MODE", event.room, letters, event.word) }
  end,
}

local function with_tags(lines, tags)
  local tagged = {}
  for i, one in ipairs(lines) do
    tagged[i] = tags .. one
  end
  return tagged
end

--- The bytes of an event; made once for all who get it.
---@param event table of a hall
---@param has_time? boolean whether the client has the capability server-time
---@return string
function line.of(event, has_time)
  local key = has_time and "irc_time" or "irc"
  local cache = event.cache or {}
  if not cache[key] then
    local lines = composers[event.kind](event)
    if has_time then
      lines = with_tags(lines, os.date("!@time=%Y-%m-%dT%H:%M:%S.000Z ", event.time))
    end
    cache[key] = table.concat(lines, "\r\n") .. "\r\n"
  end
  return cache[key]
end

return line
