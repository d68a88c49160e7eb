-- WebSockets that pass to new code between two messages.
local daemon = require "spec.support.daemon"
local raw = require "spec.websocket.raw"
local task = require "moonwire.task"
local test = require "moonwire.test"
local websocket = require "moonwire.websocket"

local CHAT <const> = [[
local server = require "moonwire.http.server"
local websocket = require "moonwire.websocket"

local function talk(ws, state)
  while true do
    ws:checkpoint(state)
    local message = ws:receive()
    if not message then return end
    state.count = state.count + 1
    ws:send(("%%d %%s %%s %%s"):format(state.count, "%s", ws:protocol() or "-", message))
  end
end

local service = server.service(function(request, response)
  local ws = websocket.accept(request, response, { deflate = { threshold = 1 }, protocols = { "count" },
    ping_interval = 0.05 })
  if ws then talk(ws, { count = 0 }) end
end)
service.resume = talk
return service
]]

local CLIENTS <const>, RELOADS <const> = 8, 100

local function script(version)
  return CHAT:format(version)
end

-- A client that asks until it is told to end; what it saw.
local function converse(url, deflate, control)
  local ws <close> = assert(websocket.connect(url, { deflate = deflate, protocols = { "count" } }))
  local seen = { versions = {}, count = 0 }
  while not control.stops do
    local text = "question " .. seen.count + 1
    assert(ws:send(text))
    local answer = assert(ws:receive())
    local count, version, asked = answer:match "^(%d+) (%w+) count (.*)$"
    seen.count = seen.count + 1
    assert(tonumber(count) == seen.count and asked == text, answer)
    seen.versions[version] = true
    task.sleep(0.002)
  end
  assert(ws:close())
  return seen
end

test.deadline(120) -- under sanitizers a reload takes a second

describe("WebSockets that move to new code", function()
  it("lose nothing and double nothing while clients talk through a hundred reloads", function()
    local d <close> = daemon.start { scripts = { ["chat.lua"] = script "v0" }, workers = 1 }
    local url = d:address("chat"):gsub("^tcp:", "ws:") .. "/"
    local control, clients = {}, {}
    local group <close> = task.group()
    for i = 1, CLIENTS do
      clients[i] = group:spawn(converse, url, i % 2 == 0, control)
    end
    for i = 1, RELOADS do
      d.folder:write("chat.lua", script("v" .. i))
      local answer = d:reload()
      assert.is_true(answer.ok, answer.error)
    end
    task.sleep(0.05)
    control.stops = true
    for _, client in ipairs(clients) do
      local seen = assert(client:join())
      assert.is_true(seen.count > 0)
      assert.is_true(seen.versions["v" .. RELOADS])
    end
  end)

  it("go along with a message of which a part has come", function()
    local d <close> = daemon.start { scripts = { ["chat.lua"] = script "old" }, workers = 1 }
    local listener = { local_address = function() return (d:address("chat"):gsub("^tcp://", "")) end }
    local peer <close> = raw.connect(listener, { ["Sec-WebSocket-Protocol"] = "count" })
    -- The next text; pings come, too.
    local function read_text()
      local frame
      repeat
        frame = peer:read()
      until frame.opcode == raw.TEXT
      return frame.payload
    end
    peer:send(raw.frame(raw.TEXT, "one"))
    assert.equal("1 old count one", read_text())
    peer:send(raw.frame(raw.TEXT, "t", { final = false }) .. raw.frame(raw.CONTINUATION, "wo"):sub(1, -2))
    assert.equal(raw.PING, peer:read().opcode)
    d.folder:write("chat.lua", script "new")
    assert.is_true(d:reload().ok)
    peer:send(raw.frame(raw.CONTINUATION, "wo"):sub(-1))
    assert.equal("2 new count two", read_text())
  end)
end)
