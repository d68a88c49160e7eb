--- Commands of members that change or say something. Not for scripts.
local mode = require "moonwire.irc.mode"
local query = require "moonwire.irc.query"

local commands = {}

local LIST_MOST <const> = 4 -- of targets in one command
local WHY_MOST <const> = 200 -- bytes of an away or kick message

-- What the reasons of the hall are in IRC, and whether the room or the nickname is named.
local NUMERICS <const> = {
  not_found = "no_such_channel", absent = "not_on_channel", not_operator = "not_operator",
  muted = "cannot_send", banned = "banned", invite_only = "invite_only", wrong_key = "bad_key",
  full = "channel_full", too_many = "too_many_channels",
}

local function refuse(session, reason, room)
  session:reply(NUMERICS[reason] or "no_such_channel", room)
end

local function items(list, most)
  local found = {}
  for item in list:gmatch "[^,]+" do
    if #found < most then
      found[#found + 1] = item
    end
  end
  return found
end

-- The words behind a command whose last one is meant to be a text; "" is none.
local function text_of(session, params, position)
  local text = params[position]
  return text and text ~= "" and session.cut(text, WHY_MOST) or nil
end

-- What was said lately, for clients that can show when.
local function play_history(session, room)
  local settings = session.door.settings
  if session.caps["server-time"] then
    for _, entry in ipairs(session.hall:recent(room, settings.history_lines)) do
      session:deliver(entry)
    end
  end
end

local function join(session, name, key)
  local there = session.hall:room(name)
  local was_in = there and there:has(session.member)
  local room, _, _, reason = session.member:join(name, key)
  if not room then
    return refuse(session, reason, name)
  elseif not was_in then
    query.tell_topic(session, room, true)
    query.tell_names(session, room)
    play_history(session, room)
  end
end

function commands.JOIN(session, params)
  if not session:has("JOIN", params, 1) then
    return
  elseif params[1] == "0" then
    for _, room in ipairs(session.hall:list()) do
      session.member:part(room.name)
    end
    return
  end
  local most = session.hall.limits.rooms_each
  local keys = items(params[2] or "", most)
  for i, name in ipairs(items(params[1], most)) do
    join(session, name, keys[i])
  end
end

function commands.PART(session, params)
  if not session:has("PART", params, 1) then
    return
  end
  for _, name in ipairs(items(params[1], session.hall.limits.rooms_each)) do
    local ok, _, _, reason = session.member:part(name, text_of(session, params, 2))
    if not ok then
      refuse(session, reason, name)
    end
  end
end

function commands.TOPIC(session, params)
  if not session:has("TOPIC", params, 1) then
    return
  elseif not params[2] then
    return query.ask_topic(session, params[1])
  end
  local text = session.cut(params[2], session.hall.limits.topic_max)
  local ok, _, _, reason = session.member:set_topic(params[1], text)
  if not ok then
    refuse(session, reason, params[1])
  end
end

local function kick(session, room, nick, why)
  local ok, _, _, reason = session.member:kick(room, nick, why)
  if reason == "not_there" then
    session:reply("not_there", nick, room)
  elseif not ok then
    refuse(session, reason, room)
  end
end

function commands.KICK(session, params)
  if not session:has("KICK", params, 2) then
    return
  end
  for _, nick in ipairs(items(params[2], LIST_MOST)) do
    kick(session, params[1], nick, text_of(session, params, 3))
  end
end

function commands.INVITE(session, params)
  if not session:has("INVITE", params, 2) then
    return
  end
  local nick, name = params[1], params[2]
  local other, _, _, reason = session.member:invite(nick, name)
  if reason == "nobody" then
    session:reply("no_such_nick", nick)
  elseif reason == "exists" then
    session:reply("user_on_channel", nick, name)
  elseif not other then
    refuse(session, reason, name)
  else
    session:reply("inviting", other.nick, session.hall:room(name).name)
    if other.away then
      session:reply("away", other.nick, other.away)
    end
  end
end

local function tell_away(session, nick)
  local other = session.hall:member(nick)
  if other and other.away then
    session:reply("away", other.nick, other.away)
  end
end

-- RFC 2812: no notice is ever answered.
local function say_to(session, target, text, kind)
  local ok, _, _, reason = session.member:say(target, text, kind)
  if ok then
    local room = session.hall:room(target)
    session:echo {
      kind = kind, from = session.member:mask(), time = os.time(), text = text,
      room = room and room.name, to = target,
    }
  end
  if kind == "notice" then
    return
  elseif ok then
    tell_away(session, target)
  elseif reason == "muted" then
    session:reply("cannot_send", target)
  elseif reason == "not_found" then
    session:reply(target:find "^#" and "no_such_channel" or "no_such_nick", target)
  else
    session:reply "no_text"
  end
end

local function say(session, params, kind, command)
  local targets, text = params[1] or "", params[2] or ""
  if kind ~= "notice" and targets == "" then
    return session:reply("no_recipient", ("No recipient given (%s)"):format(command))
  elseif text == "" then
    return kind ~= "notice" and session:reply "no_text" or nil
  end
  local list = items(targets, LIST_MOST + 1)
  if #list > LIST_MOST then
    return kind ~= "notice" and session:reply("too_many_targets", targets) or nil
  end
  for _, target in ipairs(list) do
    say_to(session, target, text, kind)
  end
end

function commands.PRIVMSG(session, params)
  say(session, params, "message", "PRIVMSG")
end

function commands.NOTICE(session, params)
  say(session, params, "notice", "NOTICE")
end

function commands.AWAY(session, params)
  local text = text_of(session, params, 1)
  session.member:set_away(text)
  session:reply(text and "now_away" or "unaway")
end

commands.MODE = mode.run

for name, run in pairs(query.commands) do
  commands[name] = run
end

return commands
