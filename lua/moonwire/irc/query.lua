--- Commands that only ask. Not for scripts.
local names = require "moonwire.irc.names"

local query = { commands = {} }
local commands = query.commands

local ROWS_MOST <const> = 500 -- of one answer
local NAMES_MOST <const> = 4 -- rooms or nicknames in one command

local function prefix_of(session, status)
  return names.prefix(status, session.caps["multi-prefix"])
end

--- The topic of a room, and who has set it.
function query.tell_topic(session, room, is_quiet)
  if room.topic then
    session:reply("topic", room.name, room.topic)
    session:reply("topic_who_time", room.name, room.topic_by, tostring(room.topic_time))
  elseif not is_quiet then
    session:reply("no_topic", room.name)
  end
end

-- The room of the name, if the member may know of it.
local function visible_room(session, name)
  local room = session.hall:room(name)
  return room and room:is_visible(session.member) and room or nil
end

function query.ask_topic(session, name)
  local room = visible_room(session, name)
  if not room then
    return session:reply("no_such_channel", name)
  end
  query.tell_topic(session, room)
end

--- Who is in a room.
function query.tell_names(session, room)
  local rows = names.rows(room, session.caps["multi-prefix"])
  session:reply_rows("names", rows, room.flags.s and "@" or "=", room.name)
  session:reply("end_of_names", room.name)
end

function commands.NAMES(session, params)
  local count = 0
  for name in (params[1] or ""):gmatch "[^,]+" do
    local room = visible_room(session, name)
    count = count + 1
    if count > NAMES_MOST then
      return session:reply("too_many_targets", params[1])
    elseif room then
      query.tell_names(session, room)
    else
      session:reply("end_of_names", name)
    end
  end
  if count == 0 then
    session:reply("end_of_names", "*")
  end
end

local function tell_room(session, room)
  session:reply("list", room.name, tostring(room.count), room.topic or "")
end

function commands.LIST(session, params)
  session.flood:spend(2)
  local count = 0
  local function tell(room)
    if room and room:is_visible(session.member) and count < ROWS_MOST then
      tell_room(session, room)
      count = count + 1
    end
  end
  if params[1] then
    for name in params[1]:gmatch "[^,]+" do
      tell(session.hall:room(name))
    end
  else
    for _, room in ipairs(session.hall:list()) do
      tell(room)
    end
  end
  session:reply "list_end"
end

local function who_row(session, member, room)
  local status = room and room.members[member]
  local flags = (member.away and "G" or "H") .. (status and prefix_of(session, status) or "")
  session:reply("who_reply", room and room.name or "*", member.user, member.host, session.door.settings.name,
    member.nick, flags, "0 " .. member.real)
end

local function who_of_room(session, room)
  for i, member in ipairs(room:list()) do
    if i > ROWS_MOST then
      return session:reply("too_many_matches", "WHO", room.name)
    end
    who_row(session, member, room)
  end
end

function commands.WHO(session, params)
  session.flood:spend(2)
  local mask = params[1] or "*"
  local room = mask:find "^#" and visible_room(session, mask)
  if room then
    who_of_room(session, room)
  elseif not mask:find "^#" then
    for i, member in ipairs(session.hall:find(mask, ROWS_MOST + 1)) do
      if i > ROWS_MOST then
        session:reply("too_many_matches", "WHO", mask)
        break
      end
      who_row(session, member)
    end
  end
  session:reply("end_of_who", mask)
end

local function whois_rooms(session, member)
  local words = {}
  for room in pairs(member.rooms) do
    if room:is_visible(session.member) then
      words[#words + 1] = prefix_of(session, room.members[member]) .. room.name
    end
  end
  table.sort(words)
  session.rows(words, function(row) session:reply("whois_channels", member.nick, row) end)
end

function commands.WHOIS(session, params)
  local nick = params[#params > 1 and 2 or 1]
  if not nick then
    return session:reply "no_nick_given"
  end
  local member = session.hall:member(nick)
  if not member then
    session:reply("no_such_nick", nick)
  else
    session:reply("whois_user", member.nick, member.user, member.host, "*", member.real)
    whois_rooms(session, member)
    session:reply("whois_server", member.nick, session.door.settings.name, session.door.settings.network)
    if member.away then
      session:reply("away", member.nick, member.away)
    end
    local idle = os.time() - member.spoke
    session:reply("whois_idle", member.nick, tostring(idle), tostring(member.joined))
  end
  session:reply("end_of_whois", nick)
end

function commands.USERHOST(session, params)
  local words = {}
  for i = 1, math.min(#params, 5) do
    local member = session.hall:member(params[i])
    words[#words + 1] = member
      and ("%s=%s%s@%s"):format(member.nick, member.away and "-" or "+", member.user, member.host)
  end
  session:reply("user_host", table.concat(words, " "))
end

function commands.ISON(session, params)
  local words = {}
  for word in table.concat(params, " "):gmatch "[^ ]+" do
    local member = session.hall:member(word)
    words[#words + 1] = member and member.nick
  end
  session:reply("is_on", session.cut(table.concat(words, " "), 400))
end

function commands.LUSERS(session)
  local hall = session.hall
  session:reply("luser_client", ("There are %d users and 0 invisible on 1 servers"):format(hall.count))
  session:reply("luser_channels", tostring(hall.rooms_count))
  session:reply("luser_me", ("I have %d clients and 0 servers"):format(hall.count))
end

function commands.MOTD(session)
  local settings = session.door.settings
  if not settings.motd then
    return session:reply "no_motd"
  end
  session:reply("motd_start", ("- %s Message of the day - "):format(settings.name))
  for text in settings.motd:gmatch "[^\n]+" do
    session:reply("motd", "- " .. text)
  end
  session:reply "end_of_motd"
end

function commands.VERSION(session)
  session:reply("version", "moonwire", session.door.settings.name, session.door.settings.network)
end

function commands.TIME(session)
  session:reply("time", session.door.settings.name, os.date "!%Y-%m-%d %H:%M:%S UTC")
end

return query
