-- Servers of Redis that say anything: recorded answers, mutated. Whatever they say, a client gives its
-- callers an answer or an error, and is served by a good server afterwards.
local log = require "moonwire.log"
local net = require "moonwire.net"
local redis = require "moonwire.redis"
local redis_server = require "spec.redis.server"

local ROUNDS <const> = 300

-- What a server says to HELLO, three calls, a transaction and a subscription.
local ANSWERS <const> = "%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n"
  .. "$5\r\nhello\r\n*2\r\n$1\r\na\r\n_\r\n-WRONGTYPE no\r\n+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"
  .. ">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n"
local HELLO <const> = ANSWERS:match "^.-:3\r\n"
local PIECES <const> = {
  "\r\n", "-", "-1", ">", "*", "$", "%", "999999999", "|1\r\n", "MOVED 1 127.0.0.1:1", "\0",
}

local seed = 7

local function random(most)
  seed = (seed * 1103515245 + 12345) % (1 << 31)
  return (seed >> 8) % most + 1
end

local function mutate(text)
  for _ = 1, random(3) do
    local at, piece = random(#text), PIECES[random(#PIECES + 3)] or string.char(random(256) - 1)
    text = text:sub(1, at - 1) .. piece .. text:sub(at + random(4) - 1)
  end
  return text
end

local function use(client)
  local answers = {
    client:call("GET", "a"), client:pipeline { { "MGET", "a", "b" }, { "GET", "l" } },
    client:transaction { { "INCR", "n" } },
  }
  local subscription = client:subscribe "news"
  if subscription then
    subscription:receive(0)
    subscription:close()
  end
  return answers
end

describe("a client of Redis", function()
  local level

  setup(function()
    level = log.get_level()
    log.set_level "error" -- hundreds of servers fail
  end)

  teardown(function()
    log.set_level(level)
  end)

  it("stands whatever servers say", function()
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      local answers = mutate(ANSWERS)
      if random(2) == 1 then
        answers = HELLO .. mutate(ANSWERS:sub(#HELLO + 1))
      end
      conn:read_some()
      conn:write(answers)
      conn:read_some()
    end))
    local url = "redis://" .. listener:local_address()
    for round = 1, ROUNDS do
      local client <close> = redis.connect(url, {
        timeout = 1, connect_timeout = 1, delay_most = 0.001, protocol = 2 + round % 2,
        cluster = round % 3 == 0, max = 10000,
      })
      use(client)
    end
    local server <close> = redis_server.start()
    local client <close> = redis.connect(server.url)
    assert.are.equal("OK", client:call("SET", "a", "x"))
    assert.are.equal("x", use(client)[1])
  end)
end)
