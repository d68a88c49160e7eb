-- scripts/gate.lua in two daemons with one Redis: who is banned by one is banned by both.
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
service "gate" {
  script = "%s/scripts/gate.lua", listen = "tcp://127.0.0.1:0",
  settings = {
    upstream = "%s", ban_refresh = 0.2, rules = { { name = "word", bytes = "evil", action = "ban" } },
  },
}
]]

local function start(url, upstream)
  return daemon.start { workers = 1, config = CONFIG:format(url, url, lfs.currentdir(), upstream) }
end

-- Says each line back.
local function lines(conn)
  local line = conn:read_line(1000)
  while line and conn:write("you said ", line, "\r\n") do
    line = conn:read_line(1000)
  end
end

local function connect(gate, client)
  return net.connect(gate:address "gate", { local_address = client .. ":0", read_timeout = SECONDS })
end

-- Whether it may say something.
local function may_speak(gate, client)
  local conn <close> = connect(gate, client)
  return conn ~= nil and conn:write "hello\r\n" ~= nil and conn:read_line() == "you said hello"
end

local function misbehave(gate, client)
  local conn <close> = assert(connect(gate, client))
  conn:write "evil\r\n"
  assert.is_nil((conn:read_line()))
end

local function wait_until_refused(gate, client)
  condition.wait_until(function() return not may_speak(gate, client) end, SECONDS, client .. " is let in")
end

test.deadline(180)

describe("scripts/gate.lua on two machines", function()
  it("bans together over Redis, also what was banned while it was away", function()
    local upstream <close> = assert(net.serve("tcp://127.0.0.1:0", lines))
    local server <close> = redis_server.start()
    local address = "tcp://" .. upstream:local_address()
    local here <close> = start(server.url, address)
    local there <close> = start(server.url, address)
    local talking <close> = assert(connect(there, "127.0.0.2"))
    talking:write "hello\r\n"
    assert.equal("you said hello", talking:read_line())
    misbehave(here, "127.0.0.2")
    assert.is_nil((talking:read_line()))
    wait_until_refused(there, "127.0.0.2")
    assert.is_false(may_speak(here, "127.0.0.2"))

    server:kill()
    misbehave(here, "127.0.0.3")
    here:wait_for_log("a ban is not stored", SECONDS)
    there:wait_for_log("bans cannot be read", SECONDS)
    assert.is_false(may_speak(here, "127.0.0.3"))
    for _, gate in ipairs { here, there } do
      assert.is_false(may_speak(gate, "127.0.0.2"))
      assert.is_true(may_speak(gate, "127.0.0.4"))
    end

    server:start() -- with nothing in it
    wait_until_refused(there, "127.0.0.3")
    local late <close> = start(server.url, address)
    for _, gate in ipairs { here, there, late } do
      wait_until_refused(gate, "127.0.0.2")
      wait_until_refused(gate, "127.0.0.3")
      assert.is_true(may_speak(gate, "127.0.0.4"))
    end
  end)
end)
