-- A cluster of real servers: a client finds the server of each key, also while slots move and when a server
-- is away.
local Cluster = require "moonwire.redis.cluster"
local condition = require "spec.support.condition"
local redis = require "moonwire.redis"
local redis_server = require "spec.redis.server"
local task = require "moonwire.task"

local SECONDS <const> = 30

describe("the slot of a key", function()
  it("is that of what stands in braces", function()
    for key, slot in pairs {
      ["123456789"] = 12739, [""] = 0, foo = 12182, ["{foo}.bar"] = 12182, ["a{foo}{b}"] = 12182,
    } do
      assert.are.equal(slot, Cluster.slot(key), key)
    end
    assert.are_not.equal(Cluster.slot "", Cluster.slot "{}x")
    assert.are.equal(Cluster.slot "bar", Cluster.slot "{bar}x")
  end)
end)

describe("a client of a cluster", function()
  local servers, direct, client = {}, {}, nil
  local FIRST <const>, SECOND <const> = "{bar}", "{foo}" -- keys of the servers, in slots 5061 and 12182

  -- Whether each server knows of the other's slots.
  local function is_whole()
    for _, one in ipairs(direct) do
      local slots = one:call("CLUSTER", "SLOTS")
      if #slots < 2 or not one:call("CLUSTER", "INFO"):find "cluster_state:ok" then
        return false
      end
    end
    return true
  end

  local function start(range)
    local bus_port = redis_server.free_port()
    local server = redis_server.start("--cluster-enabled", "yes", "--cluster-port", bus_port,
      "--cluster-require-full-coverage", "no", "--cluster-node-timeout", 60000)
    server.bus_port = bus_port
    local one = redis.connect(server.url)
    assert(one:call("CLUSTER", "ADDSLOTSRANGE", range[1], range[2]))
    servers[#servers + 1], direct[#direct + 1] = server, one
  end

  setup(function()
    start { 0, 8191 }
    start { 8192, 16383 }
    direct[1]:call("CLUSTER", "MEET", "127.0.0.1", servers[2].port, servers[2].bus_port)
    condition.wait_until(is_whole, SECONDS)
    for _, one in ipairs(direct) do
      one:close()
    end
  end)

  teardown(function()
    for _, server in ipairs(servers) do
      server:stop()
    end
  end)

  before_each(function()
    client = redis.connect(servers[1].url, { cluster = true, delay_most = 0.05, timeout = SECONDS })
    for index, server in ipairs(servers) do
      direct[index] = redis.connect(server.url)
    end
  end)

  after_each(function()
    client:close()
    for _, one in ipairs(direct) do
      one:close()
    end
  end)

  it("finds keys wherever they are", function()
    local commands = {}
    for index = 1, 60 do
      assert.are.equal("OK", client:call("SET", "key" .. index, index))
      commands[index] = { "GET", "key" .. index }
    end
    assert.is_true(direct[1]:call "DBSIZE" > 10 and direct[2]:call "DBSIZE" > 10)
    local fresh <close> = redis.connect(servers[2].url, { cluster = true })
    for _, one in ipairs { client, fresh } do
      local replies = assert(one:pipeline(commands))
      for index = 1, 60 do
        assert.are.equal(tostring(index), replies[index])
      end
    end
  end)

  it("does so only when it is told to", function()
    local err, code = select(2, direct[1]:call("SET", SECOND, 1))
    assert.are.equal("invalid", code)
    assert.matches("^MOVED 12182 127.0.0.1:" .. servers[2].port, err)
  end)

  it("carries transactions and scripts out where their keys are", function()
    for _, key in ipairs { FIRST, SECOND } do
      assert.are.same({ "OK", 2 }, client:transaction { { "SET", key, 1 }, { "INCR", key } })
      assert.are.equal("2", client:script("return redis.call('GET', KEYS[1])", { key }))
    end
    local _, err, code = client:transaction { { "SET", FIRST, 1 }, { "SET", SECOND, 1 } }
    assert.is_string(err)
    assert.are.equal("invalid", code)
  end)

  it("waits where the key is", function()
    local waiting = task.spawn(client.call, client, "BLPOP", SECOND .. "list", SECONDS)
    condition.wait_until(function()
      return direct[2]:call("INFO", "clients"):find "blocked_clients:1"
    end, SECONDS)
    client:call("RPUSH", SECOND .. "list", "x")
    assert.are.same({ SECOND .. "list", "x" }, (waiting:join(SECONDS)))
  end)

  it("hears what is published at another server", function()
    local news <close> = client:subscribe "news"
    condition.wait_until(function()
      direct[2]:call("PUBLISH", "news", "hello")
      return news:receive(0.05) == "hello"
    end, SECONDS)
  end)

  it("follows a slot that moves", function()
    local slot, ids = Cluster.slot(SECOND), {}
    for index, one in ipairs(direct) do
      ids[index] = one:call("CLUSTER", "MYID")
    end
    assert(client:call("DEL", SECOND))
    assert(direct[1]:call("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[2]))
    assert(direct[2]:call("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1]))
    assert.are.equal("OK", client:call("SET", SECOND, "asked"))
    assert.are.equal("asked", client:call("GET", SECOND))
    assert(direct[1]:call("CLUSTER", "SETSLOT", slot, "NODE", ids[1]))
    assert(direct[2]:call("CLUSTER", "SETSLOT", slot, "NODE", ids[1]))
    assert.are.equal("asked", client:call("GET", SECOND))
    assert.are.same({ "asked" }, direct[1]:pipeline { { "GET", SECOND } })
  end)

  it("goes on with the servers that are there, and finds what these have taken over", function()
    local key <const>, id = "{123456789}", direct[2]:call("CLUSTER", "MYID") -- slot 12739
    local of_second <close> = redis.connect(servers[2].url, { cluster = true, delay_most = 0.05 })
    assert(client:call("SET", key, 1))
    assert(of_second:call("SET", FIRST, 1))
    servers[2]:kill()
    for _, one in ipairs { client, of_second } do
      local code = select(3, one:call("GET", key))
      assert.is_true(code == "refused" or code == "eof", code)
      assert.are.equal("OK", one:call("SET", FIRST, 1))
    end
    assert(direct[1]:call("CLUSTER", "FORGET", id))
    assert(direct[1]:call("CLUSTER", "ADDSLOTS", Cluster.slot(key)))
    for _, one in ipairs { client, of_second } do
      assert.are.equal("OK", one:call("SET", key, 1))
      assert.are.same({ "1" }, one:pipeline { { "GET", key } })
      assert.are.same({ 2 }, one:transaction { { "INCR", key } })
      assert.is_nil(one:call("BLPOP", key .. "list", 0.01))
    end
  end)
end)
