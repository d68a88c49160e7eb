-- A page of scripts/web.lua: a text that everybody who has it open writes on. It is kept in the store; each
-- worker knows who of its own has it open, and hears of the others over the bus.
local bus = require "moonwire.bus"
local json = require "moonwire.json"
local pages = require "web.pages"
local store = require "moonwire.store"
local task = require "moonwire.task"
local websocket = require "moonwire.websocket"

local BYTES_MOST <const> = 131072 -- of what a page sends: 20000 characters, however they are escaped
local RESTART <const>, POLICY <const> = 1012, 1008

local board = {}

local boards = {} -- key in the store → who has it open

-- To all who have it open in this worker; who is too slow may connect again.
local function show(message)
  local _, missed = websocket.broadcast(boards[message.key] or {}, json.encode(message))
  for slow in pairs(missed or {}) do
    slow:abort()
  end
end

--- Begins to hear other workers.
---@param topic string of the bus
function board.start(topic)
  board.topic = topic .. ".board"
  task.spawn(function()
    for message in bus.subscribe(board.topic) do
      show(message)
    end
  end)
end

-- What a page has sent; nil: nothing that ours sends.
local function read(message)
  local value = json.decode(message)
  local is_good = type(value) == "table" and type(value.by) == "string" and type(value.text) == "string"
  return is_good and value or nil
end

--- Serves a page until it is closed; also after a reload.
---@param ws moonwire.websocket
---@param key string of the board
function board.talk(ws, key)
  local readers = boards[key]
  if not readers then
    return ws:close(RESTART) -- there is no such board any more
  end
  readers[ws] = true
  local _ <close> = setmetatable({}, { __close = function() readers[ws] = nil end })
  while true do
    ws:checkpoint(key)
    local message = ws:receive()
    local value = message and read(message)
    if not value then
      return message and ws:close(POLICY)
    end
    store.set(key, value.text)
    bus.publish(board.topic, { key = key, by = value.by, text = value.text })
  end
end

--- Adds the page to a site.
---@param site table
---@param app moonwire.http.router
function board.add(site, app)
  boards[site.key] = setmetatable({}, { __mode = "k" })
  app:get("/board", function(request, response)
    if not request.upgrade then
      return pages.send(request, response, "board", site, { title = "Board" })
    end
    local ws = websocket.accept(request, response, { max = BYTES_MOST, deflate = { context = false } })
    if ws then
      ws:send(json.encode { by = "", text = store.get(site.key) or "" })
      board.talk(ws, site.key)
    end
  end)
end

return board
