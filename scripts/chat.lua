-- scripts/chat.lua — rooms for IRC clients and browsers alike.
--
--   build/moonwire run scripts/chat.lua --listen tcp://127.0.0.1:6667 --listen web=tcp://127.0.0.1:8080
-- In another terminal, or open http://127.0.0.1:8080/ in a browser:
--   irssi -c 127.0.0.1 -p 6667 -n ann
--
-- Listeners without a door are for IRC (tcp://, tls://); those of the door "web" serve the page. All workers
-- are one chat, and so are all daemons whose services of the same name share a bus and a store. A reload
-- keeps rooms, history and connections.
--
-- Settings, with their defaults:
--   name = "chat.local"      what the server calls itself in IRC; letters, digits, '.', '_', '-'
--   network = "Moonwire"     the name that clients show
--   motd = nil               text, lines that greet IRC clients
--   password = nil           text that all must give: PASS in IRC, a field of the page
--   room = "#lobby"          where the page begins
--   history = 50             lines that are kept of each room, and shown to who comes in
--   history_days = 30        days that they are kept in the store; 0: in memory only, until the daemon ends
--   flood_rate = 2           lines a second that one may say in the long run
--   flood_burst = 20         lines that one may say at once
--   ping = 120               seconds of silence after which a client is asked whether it is there
--   members_max = 20000      members at once
--   rooms_max = 2000         rooms at once
--   rooms_each = 20          rooms that one member may be in
local chat = require "moonwire.chat"
local http = require "moonwire.http"
local irc = require "moonwire.irc"
local metrics = require "moonwire.metrics"
local page = require "chat.page"
local timer = require "moonwire.timer"
local web_door = require "chat.web_door"

local MOVE_SECONDS <const> = 10 -- that a member's connection may be missing after a reload
local COUNT_SECONDS <const> = 1
local DAY_SECONDS <const> = 24 * 3600

local DEFAULTS <const> = {
  name = "chat.local", network = "Moonwire", motd = "", password = "", room = "#lobby", history = 50,
  history_days = 30,
  flood_rate = 2, flood_burst = 20, ping = 120, members_max = 20000, rooms_max = 2000, rooms_each = 20,
}

local members = metrics.gauge("chat_members", "Members whose connections are here.")
local rooms = metrics.gauge("chat_rooms", "Rooms that are there.")
local slow = metrics.counter("chat_slow_readers_total", "Connections that ended since they read too slowly.")

-- Settings of --set are texts.
local function read_setting(key, value)
  local default = DEFAULTS[key]
  if default == nil then
    error(("unknown setting '%s'"):format(key), 0)
  elseif type(default) == "number" then
    local number = tonumber(value)
    local least = key == "history_days" and 0 or 1e-9
    if not number or not (number >= least and number < math.huge) then
      error(("setting '%s': a number above 0 expected"):format(key), 0)
    end
    return math.type(default) == "integer" and key:find "^flood" == nil and math.tointeger(number) or number
  elseif type(value) ~= "string" then
    error(("setting '%s': a text expected"):format(key), 0)
  end
  return value
end

local function read_settings(config)
  local settings = setmetatable({}, { __index = DEFAULTS })
  for key, value in pairs(config) do
    settings[key] = read_setting(key, value)
  end
  return settings
end

---@type moonwire.hall
local hall
local doors = {}

---@type moonwire.chat_history
local history

local function open_history(settings, name)
  if settings.history_days == 0 then
    return chat.history { lines = settings.history }
  end
  return chat.history {
    lines = settings.history, prefix = ("chat/%s/history/"):format(name),
    expire = settings.history_days * DAY_SECONDS,
  }
end

local function open_doors(settings, name)
  history = open_history(settings, name)
  hall = chat.hall {
    members_max = settings.members_max, rooms_max = settings.rooms_max, rooms_each = settings.rooms_each,
    history = history,
  }
  local password = settings.password ~= "" and settings.password or nil
  doors.irc = irc.door(hall, {
    name = settings.name, network = settings.network, motd = settings.motd ~= "" and settings.motd or nil,
    password = password, history_lines = settings.history, ping = settings.ping,
    flood_rate = settings.flood_rate, flood_burst = settings.flood_burst,
  })
  doors.web = web_door.new(hall, {
    room = settings.room, password = password, history = settings.history, network = settings.network,
    flood_rate = settings.flood_rate, flood_burst = settings.flood_burst,
  })
end

-- Once a second: who lost its connection leaves; figures.
local function keep_house(counted)
  hall:reap(MOVE_SECONDS)
  members:set(hall.count_here)
  rooms:set(hall.rooms_count)
  slow:add(hall.dropped - counted.dropped)
  counted.dropped = hall.dropped
end

-- Past high_mark a reader is too slow, by whichever door.
local MARKS <const> = { high_mark = 262144, low_mark = 65536, queue_limit = 1048576 }

local service = { options = MARKS }

function service.start(ctx)
  open_doors(read_settings(ctx.config), ctx.name)
  if history.start then
    history.start()
  end
  hall:link(ctx.name:gsub("[^%w_-]", "_"):sub(1, 50), ctx.worker)
  service.housekeeping = timer.every(COUNT_SECONDS, keep_house, { dropped = 0 })
end

function service.connect(conn, ctx)
  doors.irc.connect(conn, ctx)
end

function service.resume(conn, state, ctx)
  doors[state.door].resume(conn, state, ctx)
end

function service.stop()
  hall:unlink()
  if history.stop then
    history.stop()
  end
end

function service.handoff()
  return hall:export()
end

function service.adopt(data)
  hall:import(data)
end

local function answer(request, response)
  if request.path == "/chat" then
    return doors.web.connect(request, response)
  end
  return page.answer(request, response)
end

service.doors = {
  web = http.service(answer, {
    body_max = 1024, high_mark = MARKS.high_mark, low_mark = MARKS.low_mark, queue_limit = MARKS.queue_limit,
  }),
}

return service
