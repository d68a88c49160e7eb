-- The door of scripts/chat.lua for browsers: JSON over WebSocket. A client sends objects with `act`, and gets
-- the events of the hall and objects of the same form: `kind` says what they are.
local chat = require "moonwire.chat"
local crypto = require "moonwire.crypto"
local json = require "moonwire.json"
local task = require "moonwire.task"
local websocket = require "moonwire.websocket"

local MESSAGE_MOST <const> = 8192 -- bytes
local NAMES_MOST <const> = 2000 -- members of a room that a client is shown
local ROOMS_MOST <const> = 200
local ENTER_SECONDS <const> = 30
local HELD_MOST <const> = 100

local acts = {}

local function send(session, value)
  if not session.ws:try_send(json.encode(value)) then
    session.quit = session.quit or "reads too slowly"
  end
end

-- Encoded once for all who get it.
local function frame_of(event)
  local cache = event.cache
  if not cache.web then
    event.cache = nil
    cache.web = websocket.frame(json.encode(event))
    event.cache = cache
  end
  return cache.web
end

local function reader_of(session)
  return {
    deliver = function(event) return session.ws:try_send(frame_of(event)) and true or false end,
    drop = function(reason)
      session.quit = session.quit or reason
      session.ws:abort()
    end,
  }
end

local function names_of(room)
  local names = {}
  for member, status in pairs(room.members) do
    if #names < NAMES_MOST then
      names[#names + 1] = { nick = member.nick, operator = status.operator, voice = status.voice }
    end
  end
  return json.array(names)
end

local function tell_room(session, room)
  send(session, {
    kind = "room", room = room.name, topic = room.topic or "", count = room.count, names = names_of(room),
    history = json.array(session.hall:recent(room, session.settings.history)),
  })
end

function acts.enter(session, given)
  local wanted = session.settings.password
  if wanted and not crypto.equal(wanted, tostring(given.password or "")) then
    return nil, "wrong password", "denied"
  end
  local member, err, code = session.hall:enter(given.nick, reader_of(session), {
    user = "web", host = session.ws:peer_address():match "^([%w.:%[%]]+):%d+$" or "localhost", real = "",
  })
  if not member then
    return nil, err, code
  end
  session.member = member
  send(session, {
    kind = "welcome", nick = member.nick, network = session.settings.network, room = session.settings.room,
  })
  return true
end

function acts.join(session, given)
  local there = type(given.room) == "string" and session.hall:room(given.room)
  local was_in = there and there:has(session.member)
  local room, err, code, reason = session.member:join(given.room, given.key)
  if room and not was_in then
    tell_room(session, room)
  end
  return room, err, code, reason
end

function acts.part(session, given)
  return session.member:part(given.room)
end

function acts.say(session, given)
  local member = session.member
  local ok, err, code, reason = member:say(tostring(given.target), given.text)
  if ok then
    local room = session.hall:room(given.target)
    local other = not room and session.hall:member(given.target)
    send(session, {
      kind = "message", nick = member.nick, from = member:mask(), time = os.time(), text = given.text,
      room = room and room.name or nil, to = other and other.nick or nil,
    })
  end
  return ok, err, code, reason
end

function acts.nick(session, given)
  return session.member:rename(given.nick)
end

function acts.topic(session, given)
  return session.member:set_topic(given.room, given.text)
end

function acts.kick(session, given)
  return session.member:kick(given.room, tostring(given.nick))
end

function acts.mode(session, given)
  return session.member:set_mode(given.room, tostring(given.mode), given.on == true, given.word)
end

function acts.rooms(session)
  local rooms = {}
  for _, room in ipairs(session.hall:list()) do
    if #rooms < ROOMS_MOST and room:is_visible(session.member) then
      rooms[#rooms + 1] = { name = room.name, count = room.count, topic = room.topic or "" }
    end
  end
  send(session, { kind = "rooms", rooms = json.array(rooms) })
  return true
end

local function run(session, text)
  local given = json.decode(text)
  local name = type(given) == "table" and given.act
  local act = acts[name]
  local ok, err, code, reason
  if not act or (name == "enter") ~= (session.member == nil) then
    ok, err, code = nil, "cannot be done now", "invalid"
  else
    ok, err, code, reason = act(session, given)
  end
  if not ok then
    send(session, { kind = "problem", act = tostring(name), code = reason or code, text = err })
  end
end

local function state_of(session, held)
  return { door = "web", held = held, member = session.member and session.member:snapshot() }
end

local function pause(session, held, seconds)
  session.ws:checkpoint(state_of(session, held))
  task.sleep(seconds)
end

local function receive(session, held)
  session.ws:checkpoint(state_of(session, held))
  if session.member then
    return session.ws:receive()
  end
  return task.with_timeout(ENTER_SECONDS, session.ws.receive, session.ws)
end

-- The next message; while a reload moves connections, what was read before is for the newer code.
local function next_message(session, held)
  while session.hall:is_leaving() and #held > 0 do
    pause(session, held, 0.02)
  end
  if #held > 0 then
    return table.remove(held, 1)
  end
  return receive(session, held)
end

local function converse(session, held)
  while not session.quit do
    local text, _, code = next_message(session, held)
    if not text then
      session.quit = session.quit or (code == "eof" or code == "closed") and "Connection closed" or code
    elseif session.hall:is_leaving() and #held < HELD_MOST then
      held[#held + 1] = text
    else
      run(session, text)
      local seconds = session.flood:spend()
      if seconds > 0 then
        pause(session, held, seconds)
      end
    end
  end
  if session.member then
    session.member:leave(session.quit)
  end
end

local web_door = {}

function web_door.new(hall, settings)
  local door = {}

  local function new_session(ws)
    return {
      ws = ws, hall = hall, settings = settings,
      flood = chat.flood { rate = settings.flood_rate, burst = settings.flood_burst },
    }
  end

  function door.connect(request, response)
    local ws <close> = websocket.accept(request, response, { max = MESSAGE_MOST })
    if ws then
      chat.converse(new_session(ws), converse, {})
    end
  end

  function door.resume(ws, state)
    local session = new_session(ws)
    if state.member then
      session.member = hall:attach(state.member, reader_of(session))
    end
    if session.member or not state.member then
      chat.converse(session, converse, state.held)
    end
  end

  return door
end

return web_door
