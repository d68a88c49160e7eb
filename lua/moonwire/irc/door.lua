--- The conversation with an IRC client, from line to line. Not for scripts.
local Session = require "moonwire.irc.session"
local chat = require "moonwire.chat"
local commands = require "moonwire.irc.commands"
local message = require "moonwire.irc.message"
local registration = require "moonwire.irc.registration"
local task = require "moonwire.task"
local timer = require "moonwire.timer"

local TEXT_MOST <const> = 510 -- bytes of a line without its tags
local LINE_MOST <const> = 4096 + TEXT_MOST
local PONG_SECONDS <const> = 60
local HELD_MOST <const> = 100 -- lines that a reload may take along
local DEFAULTS <const> = {
  name = "chat.local", network = "Moonwire", history_lines = 20, ping = 120, register = 30, flood_rate = 2,
  flood_burst = 20,
}

--- Made by irc.door.
---@class moonwire.irc_door
---@field connect fun(conn: moonwire.stream, ctx: table)
---@field resume fun(conn: moonwire.stream, state: table, ctx: table)
---@field options table of its connections
---@field hall moonwire.hall
---@field settings moonwire.irc_door_options
---@field since integer seconds since 1970
---@field commands table<string, function>
local Door = {}

--- What is wrong with options; nil: nothing.
---@param options moonwire.irc_door_options
---@return string? problem
function Door.problem(options)
  for _, key in ipairs { "name", "network" } do
    if options[key] and not options[key]:find "^[%w._-]+$" then
      return ("option '%s': letters, digits, '.', '_' and '-' expected"):format(key)
    end
  end
  if options.motd and (options.motd:find "[%z\r]" or not utf8.len(options.motd)) then
    return "option 'motd': UTF-8 without CR and NUL expected"
  elseif (options.flood_rate or 1) <= 0 or (options.flood_burst or 1) < 1 then
    return "options 'flood_rate' and 'flood_burst': above 0, and 1 or more, expected"
  end
end

-- Older clients send Latin-1; what the hall gets is UTF-8.
local function to_utf8(text)
  if utf8.len(text) then
    return text
  end
  return (text:gsub("[\128-\255]", function(byte) return utf8.char(byte:byte()) end))
end

local function refuse_long(session)
  session:act(function() session:reply "too_long" end, {})
end

local function run_line(session, text)
  if #text:gsub("^@[^ ]* +", "") > TEXT_MOST then
    return refuse_long(session)
  end
  local parsed = message.parse(to_utf8(text))
  if not parsed then
    return -- RFC 2812 2.3.1: empty lines are ignored; so is what is no message
  end
  local command = registration[parsed.command]
  if not command and not session.member then
    command = commands[parsed.command]
    return command and session:act(function() session:reply "not_registered" end, {})
  end
  command = command or commands[parsed.command]
  if command then
    session:act(command, parsed.params)
  elseif session.member then
    session:act(function() session:reply("unknown_command", parsed.command) end, {})
  end
end

-- Takes what is left of a line that is too long.
local function skip_line(conn)
  while true do
    local bytes, err, code = conn:peek_some(LINE_MOST)
    if not bytes then
      return nil, err, code
    end
    local at = bytes:find("\n", 1, true)
    conn:read(at or #bytes)
    if at then
      return true
    end
  end
end

-- What one read may wait: all of the registration has one deadline.
local function set_timeout(session, settings, asked)
  local seconds = asked and PONG_SECONDS or settings.ping
  if not session.member then
    seconds = math.max(0.001, session.deadline - timer.now())
  end
  session.conn:configure { read_timeout = seconds }
end

-- The next line; nil when there is none any more, and why.
local function next_line(session, held)
  local conn, settings, asked = session.conn, session.door.settings, false
  while true do
    if not session.member and timer.now() > session.deadline then
      return nil, "Registration timed out"
    end
    set_timeout(session, settings, asked)
    conn:checkpoint(session:state(held))
    local text, _, code = conn:read_line(LINE_MOST)
    if text then
      return text
    elseif code == "too_large" and skip_line(conn) then
      refuse_long(session)
    elseif code == "timeout" and session.member and not asked then
      asked = true
      session:act(function() session:say("PING", settings.name) end, {})
    else
      return nil, code == "timeout" and "Ping timeout" or code == "eof" and "Connection closed" or code
    end
  end
end

-- Lines of one whose state has gone to newer code are for that to do.
local function hold(session, held)
  while session.hall:is_leaving() and #held > 0 do
    session.conn:checkpoint(session:state(held))
    task.sleep(0.02)
  end
end

-- Not listening for a while is all that happens to one who is too fast.
local function slow_down(session, held)
  local seconds = session.flood:spend()
  if seconds > 0 then
    session.conn:checkpoint(session:state(held))
    task.sleep(seconds)
  end
end

local function converse(session, held)
  while not session.quit do
    local text, why
    if #held > 0 then
      hold(session, held)
      text = table.remove(held, 1)
    else
      text, why = next_line(session, held)
    end
    if not text then
      session.quit = session.quit or why
    elseif session.hall:is_leaving() and #held < HELD_MOST then
      held[#held + 1] = text
    else
      run_line(session, text)
      slow_down(session, held)
    end
  end
  if session.member then
    session.member:leave(session.quit)
  end
  session:act(function()
    session:say("ERROR", "Closing link: " .. session.quit)
  end, {})
end

---@param hall moonwire.hall
---@param options moonwire.irc_door_options
---@return moonwire.irc_door
function Door.new(hall, options)
  local settings = {}
  for key, value in pairs(DEFAULTS) do
    settings[key] = value
  end
  for key, value in pairs(options) do
    settings[key] = value
  end
  local door = {
    hall = hall, settings = settings, since = os.time(), commands = commands,
    options = { high_mark = 262144, low_mark = 65536, queue_limit = 1048576 },
  }
  function door.connect(conn)
    local session = Session.new(door, conn)
    session.deadline = timer.now() + settings.register
    chat.converse(session, converse, {})
  end
  function door.resume(conn, state)
    local session, err = Session.restore(door, conn, state)
    if not session then
      conn:try_write("ERROR :Closing link: ", err, "\r\n")
      return
    end
    session.deadline = timer.now() + settings.register
    chat.converse(session, converse, state.held)
  end
  return door
end

return Door
