-- What becomes of a client whose server wants a password, speaks TLS, is away, hangs, or talks nonsense.
local authority = require "spec.support.authority"
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local redis = require "moonwire.redis"
local redis_server = require "spec.redis.server"
local task = require "moonwire.task"

local QUICK <const> = { delay_most = 0.05, timeout = 20 }

-- A server that answers each connection as told.
local function impostor(handler)
  local listener = assert(net.serve("tcp://127.0.0.1:0", handler))
  return listener, "redis://" .. listener:local_address()
end

-- Reads a command and what belongs to it.
local function read_command(conn)
  local count = tonumber(((conn:read_line() or ""):match("^%*(%d+)$")))
  local words = {}
  for index = 1, count or 0 do
    words[index] = conn:read(tonumber((conn:read_line():match("^%$(%d+)$"))))
    conn:read_line()
  end
  return count and words
end

local function greet(conn)
  read_command(conn)
  conn:write "%1\r\n+proto\r\n:3\r\n"
end

describe("a server with passwords", function()
  local server

  setup(function()
    server = redis_server.start("--requirepass", "se cret",
      "--user", "bob", "on", ">p@ss", "~*", "&*", "+@all",
      "-flushall")
  end)

  teardown(function()
    server:stop()
  end)

  for _, protocol in ipairs { 3, 2 } do
    it("lets in who knows them, in RESP" .. protocol, function()
      for _, login in ipairs { ":se%20cret", "default:se%20cret", "bob:p%40ss" } do
        local url = server.url:gsub("//", "//" .. login:gsub("%%", "%%%%") .. "@")
        local client <close> = redis.connect(url, { protocol = protocol })
        assert.are.equal("PONG", client:call "PING")
      end
      local bob <close> = redis.connect(server.url, { user = "bob", password = "p@ss", protocol = protocol })
      assert.are.equal("denied", select(3, bob:call "FLUSHALL"))
    end)

    it("keeps out who does not, in RESP" .. protocol, function()
      for _, options in ipairs { {}, { password = "wrong" }, { user = "eve", password = "p@ss" } } do
        options.protocol = protocol
        local client <close> = redis.connect(server.url, options)
        local _, err, code = client:call("GET", "a")
        assert.are.equal("denied", code)
        assert.is_nil(err:find("p@ss", 1, true))
      end
    end)
  end
end)

describe("a server without passwords", function()
  it("has databases and a Unix socket", function()
    local server <close> = redis_server.start()
    local other <close> = redis.connect(server.url .. "/5")
    local same <close> = redis.connect("unix://" .. server.folder.path .. "/redis.sock", { database = 5 })
    other:call("SET", "a", 1)
    assert.are.equal("1", same:call("GET", "a"))
    assert.are.equal("invalid", select(3, redis.connect(server.url .. "/999"):call "PING"))
  end)
end)

describe("a server with TLS", function()
  it("must show a certificate that is good", function()
    local here <close> = folder.new()
    local ca = authority.new(here)
    local pair, port = ca:issue { "localhost", "127.0.0.1" }, redis_server.free_port()
    local server <close> = redis_server.start("--tls-port", port, "--tls-cert-file", pair.certificate,
      "--tls-key-file", pair.key, "--tls-ca-cert-file", ca.file, "--tls-auth-clients", "no")
    local url = "rediss://localhost:" .. port
    local client <close> = redis.connect(url, { tls = { authorities = ca.file } })
    assert.are.equal("OK", client:call("SET", "a", ("x"):rep(100000)))
    assert.are.equal(100000, #client:call("GET", "a"))
    local stranger <close> = redis.connect(url)
    assert.are.equal("certificate", select(3, stranger:call "PING"))
    local subscription <close> = client:subscribe "news"
    client:call("PUBLISH", "news", "hello")
    assert.are.equal("hello", subscription:receive(20))
    assert.are.equal("PONG", (server.url and redis.connect(server.url):call "PING"))
  end)
end)

describe("a server that goes away", function()
  it("is connected to again when it is back", function()
    local server <close> = redis_server.start()
    local client <close> = redis.connect(server.url, QUICK)
    for _ = 1, 3 do
      assert.are.equal("OK", client:call("SET", "a", 1))
      server:kill()
      assert.are.equal("refused", select(3, client:call "PING"))
      server:start()
      condition.wait_until(function() return client:call "PING" end, 20)
    end
  end)

  it("is noticed before a command is given to a connection that rests", function()
    local server <close> = redis_server.start()
    local client <close> = redis.connect(server.url, QUICK)
    for _ = 1, 3 do
      client:call "PING"
      client:exclusive(function(own) own:call "PING" end)
      server:kill()
      server:start()
      local others = {}
      for index = 1, 3 do
        others[index] = task.spawn(client.call, client, "PING")
      end
      assert.are.equal("PONG", client:call "PING")
      assert.are.equal("PONG", client:exclusive(function(own) return own:call "PING" end))
      for index = 1, 3 do
        assert.are.equal("PONG", others[index]:join(20))
      end
    end
  end)

  it("fails all who wait, and no command is given twice", function()
    local seen = 0
    local listener <close>, url = impostor(function(conn)
      greet(conn)
      while seen < 3 and read_command(conn) do
        seen = seen + 1
      end
    end)
    local client <close> = redis.connect(url, QUICK)
    local tasks = {}
    for index = 1, 3 do
      tasks[index] = task.spawn(client.call, client, "INCR", "a")
    end
    for index = 1, 3 do
      local _, err, code = tasks[index]:join(20)
      assert.is_true(code == "eof" or code == "reset", code)
      assert.matches("^redis 127.0.0.1:%d+: ", err)
    end
    assert.are.equal(3, seen)
    assert.is_true(listener:is_open())
  end)

  it("is left alone for longer and longer, and fails at once meanwhile", function()
    local attempts = 0
    local listener <close>, url = impostor(function(conn)
      attempts = attempts + 1
      conn:abort()
    end)
    local client <close> = redis.connect(url, { delay_most = 1000 })
    condition.wait_until(function()
      local _, _, code = client:call "PING"
      assert.is_true(code == "eof" or code == "reset", code)
      return attempts == 3
    end, 20)
    for _ = 1, 1000 do
      client:call "PING"
    end
    assert.is_true(attempts <= 4)
    assert.is_true(listener:is_open())
  end)
end)

describe("a server that is no good", function()
  it("hangs for no longer than time allows", function()
    local listener <close>, url = impostor(function(conn)
      greet(conn)
      conn:read_all()
    end)
    local client <close> = redis.connect(url, { timeout = 0.05 })
    local other = task.spawn(client.call, client, "GET", "a")
    assert.are.equal("timeout", select(3, client:call("GET", "a")))
    assert.are.equal("timeout", select(3, other:join(20)))
    assert.is_true(listener:is_open())
  end)

  it("hangs in the greeting for no longer either", function()
    local attempts = 0
    local listener <close>, url = impostor(function(conn)
      attempts = attempts + 1
      conn:read_all()
    end)
    local client <close> = redis.connect(url, { connect_timeout = 1 })
    for _ = 1, 3 do
      assert.are.equal("timeout", select(3, client:call("GET", "a")))
      task.sleep(0.06) -- longer than a server is left alone that has refused once
    end
    assert.are.equal(1, attempts)
    assert.is_true(listener:is_open())
  end)

  it("is given up when it breaks the protocol", function()
    for answer, expected in pairs {
      ["HTTP/1.1 400 Bad Request\r\n"] = "protocol", ["$99999999\r\n"] = "too_large", ["*1\r\n"] = "eof",
      ["+OK\r\n+AGAIN\r\n"] = "protocol",
    } do
      local listener <close>, url = impostor(function(conn)
        greet(conn)
        read_command(conn)
        conn:write(answer)
      end)
      local client <close> = redis.connect(url, QUICK)
      local value, _, code = client:call("GET", "a")
      assert.is_true(value == "OK" and expected == "protocol" or code == expected, code)
      assert.is_true(listener:is_open())
    end
  end)

  it("may be an old one", function()
    local words
    local listener <close>, url = impostor(function(conn)
      for command in read_command, conn do
        words = command[1]
        conn:write(words == "HELLO" and "-ERR unknown command `HELLO`, with args" or "+" .. words, "\r\n")
      end
    end)
    local client <close> = redis.connect(url .. "/2", { password = "x" })
    assert.are.equal("GET", client:call("GET", "a"))
    assert.is_true(listener:is_open())
  end)

  it("may say what nobody has asked for", function()
    local listener <close>, url = impostor(function(conn)
      greet(conn)
      for _ in read_command, conn do
        conn:write(">2\r\n+invalidate\r\n*1\r\n+a\r\n+OK\r\n>1\r\n+x\r\n")
      end
    end)
    local client <close> = redis.connect(url)
    for _ = 1, 5 do
      assert.are.equal("OK", client:call("GET", "a"))
      task.sleep(0)
    end
    assert.is_true(listener:is_open())
  end)
end)

describe("a client", function()
  it("that is closed fails those who wait, and who comes later", function()
    local server <close> = redis_server.start()
    local client = redis.connect(server.url)
    local waiting = task.spawn(client.call, client, "BLPOP", "a", 0)
    condition.wait_until(function() return client:call("INFO", "clients"):find("blocked_clients:1") end, 20)
    client:close()
    client:close()
    assert.are.equal("closed", select(3, client:call "PING"))
    assert.are.equal("closed", select(3, client:subscribe "a"))
    assert.are.equal("closed", select(3, waiting:join(20)))
  end)

  it("that nobody refers to takes its connections with it", function()
    local server <close> = redis_server.start()
    local watching <close> = redis.connect(server.url)
    for _ = 1, 10 do
      local client = redis.connect(server.url, { name = "forgotten" })
      client:call "PING"
      client:exclusive(function(own) own:call "PING" end)
      assert(client:subscribe "a")
    end
    condition.wait_until(function()
      collectgarbage()
      return not watching:call("CLIENT", "LIST"):find "forgotten"
    end, 20)
  end)
end)
