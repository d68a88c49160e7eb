-- scripts/chat.lua in two daemons with one Redis: one chat, which goes on in each while Redis is away.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local lfs = require "lfs"
local net = require "moonwire.net"
local redis_server = require "spec.redis.server"
local test = require "moonwire.test"

local SECONDS <const> = 30

local CONFIG <const> = [[
bus = "%s"
store = "%s"
service "chat" {
  script = "%s/scripts/chat.lua", listen = "tcp://127.0.0.1:0",
  settings = { flood_burst = 1000, flood_rate = 1000 },
}
]]

local function start(url)
  return daemon.start { workers = 1, config = CONFIG:format(url, url, lfs.currentdir()) }
end

local function await(conn, pattern)
  while true do
    local line = assert(conn:read_line())
    if line:find(pattern) then
      return line
    end
  end
end

local function connect(running, nick)
  local conn = assert(net.connect(running:address "chat", { read_timeout = SECONDS }))
  assert(conn:write("NICK ", nick, "\r\nUSER ", nick, " 0 * :", nick, "\r\nJOIN #lobby\r\n"))
  await(conn, " 366 ")
  return conn
end

local function names(conn)
  local found = {}
  conn:write "NAMES #lobby\r\n"
  while true do
    local row = await(conn, " 3[56][36] "):match " 353 %S+ = #lobby :?(.*)$"
    if not row then
      table.sort(found)
      return table.concat(found, " ")
    end
    for nick in row:gmatch "[^ @]+" do
      found[#found + 1] = nick
    end
  end
end

local function see(conn, expected)
  local seen
  condition.wait_until(function()
    seen = names(conn)
    return seen == expected
  end, SECONDS, function()
    return ("members %q instead of %q"):format(seen, expected)
  end)
end

local function says(from, nick, text, ...)
  from:write("PRIVMSG #lobby :", text, "\r\n")
  for _, conn in ipairs { ... } do
    await(conn, "^:" .. nick .. "!%S+ PRIVMSG #lobby :?" .. text .. "$")
  end
end

test.deadline(180)

describe("scripts/chat.lua on two machines", function()
  it("is one chat over Redis, and two while it is away", function()
    local server <close> = redis_server.start()
    local here <close> = start(server.url)
    local there <close> = start(server.url)
    local ann <close> = connect(here, "ann")
    local amy <close> = connect(here, "amy")
    local bob <close> = connect(there, "bob")
    see(ann, "amy ann bob")
    see(bob, "amy ann bob")
    says(ann, "ann", "hello", amy, bob)
    says(bob, "bob", "welcome", ann, amy)
    bob:write "NICK ann\r\n"
    await(bob, " 433 ")
    bob:write "PRIVMSG amy :psst\r\n"
    await(amy, "^:bob!%S+ PRIVMSG amy :?psst$")

    server:kill()
    here:wait_for_log("bus: other daemons cannot be reached", SECONDS)
    there:wait_for_log("bus: other daemons cannot be reached", SECONDS)
    says(ann, "ann", "alone", amy)
    local ben <close> = connect(there, "ben")
    says(ben, "ben", "alone", bob)

    server:start()
    see(ann, "amy ann ben bob")
    see(ben, "amy ann ben bob")
    says(ann, "ann", "again", amy, bob, ben)
    says(ben, "ben", "together", ann, amy, bob)
  end)
end)
