-- A recorded IRC session, changed at random, against the real service: it neither fails nor hangs, and a good
-- client is served afterwards.
local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local test = require "moonwire.test"

local PARTS <const> = 6
local ROUNDS <const> = 40 -- of each part
local SECONDS <const> = 20
local LINE_MOST <const> = 510 + 40 -- with a tag for the time

local SESSION <const> = table.concat({
  "CAP LS 302", "NICK ann", "USER ann 0 * :Ann", "CAP REQ :server-time echo-message", "CAP END",
  "JOIN #a,#b key", "TOPIC #a :what", "PRIVMSG #a,bob :hello", "@a=b;+c :ann NOTICE #a :there",
  "MODE #a +ovbkl ann ann *!*@h key 5", "MODE #a b", "MODE #a -k+i-t *", "MODE ann +i", "NAMES #a,#b", "LIST",
  "WHO #a", "WHO a*", "WHOIS ann ann", "INVITE bob #a", "AWAY :tea", "USERHOST ann bob", "ISON ann bob",
  "KICK #a ann :why", "NICK anna", "PART #b :bye", "PING x", "PONG x", "VERSION", "TIME", "MOTD", "LUSERS",
  "JOIN 0", "QUIT :bye", "",
}, "\r\n")

local WORDS <const> = {
  "\r\n", "\n", "\r", "\0", " ", ":", ",", "#", "#a", "ann", "@", ";", "=", "\\", "!", "*", "\xff", "ä",
  "\xed\xa0\x80", "+", "-", "b", "k", "l", "MODE #a ", "JOIN ", "PRIVMSG ", "999999999999999999999", "QUIT",
  "CAP ", "\1ACTION x\1", ("x"):rep(600), ("x,"):rep(300), ("@a;"):rep(200),
}

local function mutate(text)
  for _ = 1, math.random(6) do
    local at, kind = math.random(0, #text), math.random(4)
    if kind == 1 then
      text = text:sub(1, at) .. WORDS[math.random(#WORDS)] .. text:sub(at + 1)
    elseif kind == 2 then
      text = text:sub(1, at) .. text:sub(at + math.random(10))
    elseif kind == 3 then
      text = text:sub(1, at) .. string.char(math.random(0, 255)) .. text:sub(at + 2)
    else
      local from = math.random(0, #text)
      text = text:sub(1, at) .. text:sub(from, from + math.random(60)) .. text:sub(at + 1)
    end
  end
  return text
end

-- Sends a session, in pieces, and reads all that comes back. Every line of it must be one.
local function perform(address, text)
  local conn <close> = assert(net.connect(address, { read_timeout = SECONDS }))
  local cut = math.random(#text)
  conn:write(text:sub(1, cut))
  conn:flush()
  conn:write(text:sub(cut + 1), "\r\n")
  conn:shutdown_write()
  local answer = conn:read_all(4194304)
  for line in (answer or ""):gmatch "(.-)\r\n" do
    assert.is_nil(line:find "[%z\r\n]", line)
    assert.is_true(#line <= LINE_MOST and utf8.len(line) ~= nil, ("%q"):format(line))
  end
end

test.deadline(120)

describe("the IRC door", function()
  local function bear(seed)
    math.randomseed(seed)
    local server <close> = moonwire.serve {
      script = "scripts/chat.lua", options = { "--set", "flood_burst=100000", "--set", "flood_rate=100000" },
    }
    local good <close> = assert(net.connect(server.address, { read_timeout = SECONDS }))
    good:write "NICK good\r\nUSER good 0 * :Good\r\nJOIN #a\r\n"
    for round = 1, ROUNDS do
      local text = mutate(SESSION)
      perform(server.address, text)
      good:write("PING ", round, "\r\n")
      local line
      repeat
        line = assert(good:read_line(), "no answer after: " .. text)
      until line:find(" PONG chat.local " .. round .. "$")
    end
    condition.wait_until(function()
      good:write "LUSERS\r\n"
      local line
      repeat line = assert(good:read_line()) until line:find " 255 "
      return line:find " have 1 clients"
    end, SECONDS)
    assert.is_nil(server:log():find "error")
  end

  for part = 1, PARTS do
    it(("bears changed sessions, %d of %d"):format(part, PARTS), function()
      bear(part)
    end)
  end
end)
