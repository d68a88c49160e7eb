-- scripts/chat.lua as a user starts it: IRC clients and browsers in the same rooms.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local json = require "moonwire.json"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local scene = require "spec.support.scene"
local test = require "moonwire.test"
local web = require "spec.support.web"
local websocket = require "moonwire.websocket"

local SCRIPT <const> = "scripts/chat.lua"
local SECONDS <const> = 20

local function serve(...)
  local options = { "--set", "name=chat.test", "--set", "network=Test", "--set", "flood_burst=100", ... }
  return moonwire.serve {
    script = SCRIPT, listen = { "tcp://127.0.0.1:0", "web=tcp://127.0.0.1:0" }, options = options,
  }
end

-- Lines until one fits, which is returned.
local function await(conn, pattern)
  while true do
    local line = assert(conn:read_line())
    if line:find(pattern) then
      return line
    end
  end
end

local function irc_client(address, nick)
  local conn = assert(net.connect(address, { read_timeout = SECONDS }))
  assert(conn:write("NICK ", nick, "\r\nUSER ", nick, " 0 * :", nick, "\r\nJOIN #lobby\r\n"))
  await(conn, " 366 ")
  return conn
end

local function await_event(ws, kind)
  while true do
    local message = assert(ws:receive())
    local event = assert(json.decode(message))
    if event.kind == kind then
      return event
    end
  end
end

local function act(ws, name, fields)
  fields.act = name
  assert(ws:send(json.encode(fields)))
end

local function web_client(address, nick)
  local ws = assert(websocket.connect((address:gsub("^tcp", "ws")) .. "/chat", { timeout = SECONDS }))
  act(ws, "enter", { nick = nick })
  assert.are.equal(nick, await_event(ws, "welcome").nick)
  act(ws, "join", { room = "#lobby" })
  return ws, await_event(ws, "room")
end

local function get(address, path)
  local conn <close> = assert(net.connect(address, { read_timeout = SECONDS }))
  conn:write("GET ", path, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
  return web.parse(assert(conn:read_all()))
end

test.deadline(120)

describe("scripts/chat.lua", function()
  it("speaks IRC", function()
    local server <close> = serve()
    scene.play("spec/scenes/irc_room.scene", { server = server.address })
  end)

  it("has browsers and IRC clients in the same rooms", function()
    local server <close> = serve()
    local bob <close> = irc_client(server.address, "bob")
    bob:write "PRIVMSG #lobby :before\r\nPING x\r\n"
    await(bob, "PONG")
    local ann <close>, room = web_client(server.addresses[2], "ann")
    assert.are.equal("before", room.history[1].text)
    assert.are.equal(2, #room.names)
    await(bob, "^:ann!web@127.0.0.1 JOIN #lobby$")
    act(ann, "say", { target = "#lobby", text = "hello from the page" })
    assert.are.equal("ann", await_event(ann, "message").nick)
    await(bob, " PRIVMSG #lobby :hello from the page$")
    bob:write "PRIVMSG ann :<b>psst</b>\r\n"
    local event = await_event(ann, "message")
    assert.are.same({ "bob", "ann", "<b>psst</b>" }, { event.nick, event.to, event.text })
    act(ann, "say", { target = "#lobby", text = ("ä"):rep(600) })
    local text = ""
    for _ = 1, 3 do
      local line = await(bob, " PRIVMSG #lobby ")
      assert.is_true(#line <= 510)
      text = text .. line:match " PRIVMSG #lobby :?(.*)$"
    end
    assert.are.equal(("ä"):rep(600), text)
    ann:close()
    await(bob, "^:ann!web@127.0.0.1 QUIT :Quit: Connection closed$")
  end)

  it("tells browsers what they may not do", function()
    local server <close> = serve("--set", "password=word")
    local ws <close> = assert(websocket.connect((server.addresses[2]:gsub("^tcp", "ws")) .. "/chat"))
    for text, code in pairs {
      ["{"] = "invalid", ["1"] = "invalid", ['{"act":"say"}'] = "invalid", ['{"act":[]}'] = "invalid",
      ['{"act":"enter","nick":"a"}'] = "denied",
      ['{"act":"enter","nick":1,"password":"word"}'] = "invalid",
    } do
      ws:send(text)
      assert.are.equal(code, await_event(ws, "problem").code, text)
    end
    act(ws, "enter", { nick = "ann", password = "word" })
    await_event(ws, "welcome")
    for _, text in ipairs {
      '{"act":"join"}', '{"act":"part"}', '{"act":"say"}', '{"act":"say","target":"#x","text":1}',
      '{"act":"nick"}', '{"act":"topic"}', '{"act":"topic","room":1}',
      '{"act":"kick","room":"#x"}', '{"act":"mode","room":[]}',
      '{"act":"join","room":"#a b"}', '{"act":"enter","nick":"x"}',
    } do
      ws:send(text)
      assert.is_string(await_event(ws, "problem").text, text)
    end
  end)

  it("serves the page, which loads nothing from elsewhere", function()
    local server <close> = serve()
    for path, kind in pairs {
      ["/"] = "text/html", ["/style.css"] = "text/css", ["/client.js"] = "text/javascript",
    } do
      local answer = get(server.addresses[2], path)
      assert.are.equal(200, answer.status)
      assert.matches("^" .. kind, answer.headers["content-type"])
      assert.matches("default%-src 'none'", answer.headers["content-security-policy"])
    end
    assert.are.equal(404, get(server.addresses[2], "/web_door.lua").status)
  end)

  it("is understood by the WebSockets of Python", function()
    local server <close> = serve()
    local bob <close> = irc_client(server.address, "bob")
    local status, output, errors = process.run {
      "/usr/bin/python3", "spec/services/chat_client.py", (server.addresses[2]:gsub("^tcp", "ws")) .. "/chat",
    }
    assert.are.equal(0, status, errors)
    assert.are.equal("welcome room message\n", output)
    await(bob, "^:py!web@127.0.0.1 PRIVMSG #lobby :from Python$")
  end)

  it("drops who does not read, and nobody waits for that", function()
    local server <close> = serve("--set", "flood_burst=1000000")
    local _ <close> = irc_client(server.address, "slow") -- reads nothing from now on
    local ann <close> = irc_client(server.address, "ann")
    local lines, line = ("PRIVMSG #lobby :" .. ("x"):rep(450) .. "\r\n"):rep(200), nil
    for _ = 1, 1000 do
      assert(ann:write(lines, "PING x\r\n"))
      line = await(ann, " [PQ][OU][NI][GT] ")
      if line:find "QUIT" then
        break
      end
    end
    assert.are.equal(":slow!~slow@127.0.0.1 QUIT :Quit: reads too slowly", line)
  end)

  it("slows down who is too fast, and loses nothing of it", function()
    local server <close> = serve("--set", "flood_burst=5", "--set", "flood_rate=50")
    local bob <close> = irc_client(server.address, "bob")
    local ann <close> = irc_client(server.address, "ann")
    for i = 1, 30 do
      ann:write("PRIVMSG #lobby :line ", i, "\r\n")
    end
    for i = 1, 30 do
      assert.matches("PRIVMSG #lobby :line " .. i .. "$", await(bob, "PRIVMSG"))
    end
  end)

  it("does not start with settings that it does not know", function()
    for setting, expected in pairs {
      ["nonsense=1"] = "unknown setting 'nonsense'", ["history=x"] = "setting 'history': a number above 0",
      ["name=a b"] = "option 'name'",
    } do
      local words = { moonwire.binary, "run", SCRIPT, "--listen", "tcp://127.0.0.1:0", "--set", setting }
      local status, _, errors = process.run(words)
      assert.are.equal(1, status)
      assert.is_truthy(errors:find(expected, 1, true), errors)
    end
  end)
end)

local CONFIG <const> = [[
service "chat" {
  script = "%s/scripts/chat.lua", workers = 1, settings = { flood_burst = 100 },
  listen = { "tcp://127.0.0.1:0", { address = "tcp://127.0.0.1:0", door = "web" } },
}
]]

describe("a reload of scripts/chat.lua", function()
  -- Addresses of the two doors.
  local function start()
    local d = daemon.start { workers = 1, config = CONFIG:format(lfs.currentdir()) }
    local addresses = {}
    for line in d:log():gmatch "[^\n]+" do
      local address = line:match " listening .*address=(%S+)"
      if address then
        addresses[addresses.irc and "web" or "irc"] = "tcp://" .. address
      end
    end
    return d, addresses
  end

  it("keeps browsers, and what is said while they move", function()
    local d <close>, addresses = start()
    local bob <close> = irc_client(addresses.irc, "bob")
    local ann <close> = web_client(addresses.web, "ann")
    local out <close> = assert(websocket.connect((addresses.web:gsub("^tcp", "ws")) .. "/chat"))
    for round = 1, 3 do
      local text = "before " .. round
      act(ann, "say", { target = "#lobby", text = text })
      bob:write("PRIVMSG #lobby :bob ", text, "\r\n")
      assert.is_true(d:reload().ok)
      await(bob, "PRIVMSG #lobby :" .. text .. "$")
      local heard = {}
      for _ = 1, 2 do
        heard[await_event(ann, "message").text] = true
      end
      assert.are.same({ [text] = true, ["bob " .. text] = true }, heard)
    end
    act(out, "enter", { nick = "late" })
    assert.are.equal("late", await_event(out, "welcome").nick)
    act(out, "join", { room = "#lobby" })
    assert.are.equal(3, #await_event(out, "room").names)
  end)

  it("drops nobody in the middle of a conversation", function()
    local d <close>, addresses = start()
    local address = addresses.irc
    local ann <close> = irc_client(address, "ann")
    local bob <close> = irc_client(address, "bob")
    local half <close> = assert(net.connect(address, { read_timeout = SECONDS }))
    half:write "NICK eve\r\n"
    await(ann, "JOIN #lobby")
    ann:write "MODE #lobby +v bob\r\nPRIVMSG #lobby :one\r\n"
    await(bob, "PRIVMSG #lobby one$")
    for round = 1, 3 do
      bob:write("PRIVMSG #lobby :before ", round, "\r\n")
      assert.is_true(d:reload().ok)
      bob:write("PRIVMSG #lobby :after ", round, "\r\n")
      await(ann, "PRIVMSG #lobby :before " .. round .. "$")
      assert.matches(" PRIVMSG #lobby :after " .. round .. "$", ann:read_line())
    end
    half:write "USER eve 0 * :Eve\r\n"
    await(half, " 001 eve ")
    ann:write "NAMES #lobby\r\n"
    await(ann, " 353 ann = #lobby :@ann %+bob$")
    condition.wait_until(function() return d:services("chat")[1].connections == 3 end, SECONDS)
  end)
end)
