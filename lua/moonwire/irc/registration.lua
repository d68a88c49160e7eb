--- Commands of a client that may come before it is registered, and how it becomes a member. Not for scripts.
local crypto = require "moonwire.crypto"

local registration = {}

local CAPS <const> = { ["server-time"] = true, ["echo-message"] = true, ["multi-prefix"] = true }
local CAP_LIST <const> = "echo-message multi-prefix server-time"
local USER_MOST <const> = 10
local REAL_MOST <const> = 100
local VERSION <const> = "moonwire"

-- The host of "127.0.0.1:40123", "[::1]:40123", "unix://…".
local function host_of(address)
  local host = address:match "^%[(.*)%]:%d+$" or address:match "^([%w.]+):%d+$" or "localhost"
  return (host:gsub("^:", "0:"):gsub("%%.*$", ""))
end

local function support(session)
  local limits, settings = session.hall.limits, session.door.settings
  session:reply("support", "NETWORK=" .. settings.network, "CASEMAPPING=ascii", "CHANTYPES=#",
    "PREFIX=(ov)@+", "CHANMODES=b,k,l,imnst", "MODES=4", "UTF8ONLY")
  session:reply("support", "NICKLEN=" .. limits.nick_max, "CHANNELLEN=" .. limits.room_max,
    "TOPICLEN=" .. limits.topic_max, "CHANLIMIT=#:" .. limits.rooms_each, "MAXLIST=b:" .. limits.bans_max,
    "AWAYLEN=200", "KICKLEN=200", "TARGMAX=PRIVMSG:4,NOTICE:4,KICK:4,JOIN:,PART:,WHOIS:1,NAMES:4,LIST:")
end

local function greet(session)
  local settings, member = session.door.settings, session.member
  session:reply("welcome", "Welcome to " .. settings.network .. ", " .. member:mask())
  session:reply("your_host", ("Your host is %s, running %s"):format(settings.name, VERSION))
  session:reply("created", "This server was started " .. os.date("!%Y-%m-%d %H:%M UTC", session.door.since))
  session:reply("my_info", settings.name, VERSION, "i", "biklmnostv", "bklov")
  support(session)
  session.door.commands.LUSERS(session, {})
  session.door.commands.MOTD(session, {})
end

local function is_known(session)
  local wanted, given = session.door.settings.password, session.password or ""
  return not wanted or crypto.equal(wanted, given)
end

-- Becomes a member once all is said.
local function try(session)
  if session.member or not session.nick or not session.user or session.negotiates then
    return
  elseif not is_known(session) then
    session:reply "password_mismatch"
    session.quit = "wrong password"
    return
  end
  local member, _, code = session.hall:enter(session.nick, session:reader(), {
    user = "~" .. session.user, host = host_of(session.conn:peer_address()), real = session.real,
  })
  if member then
    session.member = member
    return greet(session)
  elseif code == "full" then
    session.quit = "the server is full"
    return
  end
  local nick = session.nick
  session.nick = nil
  session:reply("nick_in_use", nick)
end

function registration.PASS(session, params)
  if session.member then
    return session:reply "already_registered"
  elseif session:has("PASS", params, 1) then
    session.password = params[1]:sub(1, 200)
  end
end

local function rename(session, nick)
  local ok, _, code = session.member:rename(nick)
  if not ok then
    session:reply(code == "exists" and "nick_in_use" or "erroneous_nick", nick)
  end
end

function registration.NICK(session, params)
  local nick = params[1] or ""
  if nick == "" then
    return session:reply "no_nick_given"
  elseif session.member then
    return rename(session, nick)
  elseif not session.hall:is_nick(nick) then
    return session:reply("erroneous_nick", nick)
  elseif session.hall:member(nick) then
    return session:reply("nick_in_use", nick)
  end
  session.nick = nick
  try(session)
end

function registration.USER(session, params)
  if session.member then
    return session:reply "already_registered"
  elseif not session:has("USER", params, 4) then
    return
  end
  local user = params[1]:gsub("[^%w._-]", ""):sub(1, USER_MOST)
  session.user = user ~= "" and user or "user"
  session.real = session.cut(params[4], REAL_MOST)
  try(session)
end

local cap = {}

local function cap_answer(session, verb, text)
  session:say("CAP", session.member and session.member.nick or session.nick or "*", verb, text)
end

function cap.LS(session)
  session.negotiates = not session.member
  cap_answer(session, "LS", CAP_LIST)
end

function cap.LIST(session)
  local names = {}
  for name in pairs(session.caps) do
    names[#names + 1] = name
  end
  table.sort(names)
  cap_answer(session, "LIST", table.concat(names, " "))
end

function cap.REQ(session, text)
  session.negotiates = not session.member
  local wanted = {}
  for sign, name in text:gmatch "(%-?)([^ ]+)" do
    if not CAPS[name] then
      return cap_answer(session, "NAK", session.cut(text, REAL_MOST))
    end
    wanted[name] = sign == ""
  end
  for name, is_on in pairs(wanted) do
    session.caps[name] = is_on or nil
  end
  cap_answer(session, "ACK", session.cut(text, REAL_MOST))
end

function cap.END(session)
  session.negotiates = nil
  try(session)
end

function registration.CAP(session, params)
  local verb = (params[1] or ""):upper()
  if not cap[verb] then
    return session:reply("invalid_cap", params[1] or "*")
  end
  cap[verb](session, params[2] or "")
end

function registration.PING(session, params)
  if session:has("PING", params, 1) then
    session:say("PONG", session.door.settings.name, session.cut(params[1], REAL_MOST))
  end
end

function registration.PONG() end

function registration.QUIT(session, params)
  session.quit = session.cut(params[1] or "", REAL_MOST * 2)
end

return registration
