-- Clients and a real server, in both versions of the protocol.
local condition = require "spec.support.condition"
local redis = require "moonwire.redis"
local redis_server = require "spec.redis.server"
local task = require "moonwire.task"

for _, protocol in ipairs { 3, 2 } do
  describe(("a client of Redis that speaks RESP%d"):format(protocol), function()
    local server, client

    setup(function()
      server = redis_server.start()
    end)

    teardown(function()
      server:stop()
    end)

    before_each(function()
      client = assert(redis.connect(server.url, { protocol = protocol, name = "spec", timeout = 30 }))
      assert.are.equal("OK", client:call "FLUSHALL")
    end)

    after_each(function()
      client:close()
    end)

    it("speaks it", function()
      assert.matches("resp=" .. protocol, (client:call("CLIENT", "INFO")))
      assert.matches("name=spec", (client:call("CLIENT", "INFO")))
    end)

    it("calls commands", function()
      assert.are.equal("OK", client:call("SET", "a", "x\r\n\0"))
      assert.are.equal("x\r\n\0", client:call("get", "a"))
      assert.are.equal(8, client:call("INCRBY", "n", 8))
      assert.are.equal(3, client:call("RPUSH", "l", 1, 0.5, "c"))
      assert.are.same({ "1", "0.5", "c" }, client:call("LRANGE", "l", 0, -1))
      assert.are.same({ "8", redis.null }, client:call("MGET", "n", "none"))
    end)

    it("tells nothing from a failure", function()
      assert.are.same({ n = 1 }, table.pack(client:call("GET", "none")))
      client:call("SET", "a", 1)
      local value, err, code = client:call("LPUSH", "a", 1)
      assert.are.same({ nil, "invalid" }, { value, code })
      assert.matches("^WRONGTYPE ", err)
      assert.are.equal("invalid", select(3, client:call "NO_SUCH_COMMAND"))
    end)

    it("carries large values", function()
      local value = ("0123456789abcdef"):rep(1 << 18)
      assert.are.equal("OK", client:call("SET", "large", value))
      assert.is_true(client:call("GET", "large") == value)
    end)

    it("sends many commands at once", function()
      local replies = client:pipeline {
        { "SET", "a", 1 }, { "LPUSH", "a", 1 }, { "GET", "none" }, { "INCR", "a" },
      }
      assert.are.same({ "OK", redis.null, 2 }, { replies[1], replies[3], replies[4] })
      assert.is_true(redis.is_error(replies[2]))
      assert.is_false(redis.is_error(replies[1]))
      assert.are.equal("WRONGTYPE", replies[2].kind)
      assert.are.same({}, client:pipeline {})
    end)

    it("serves many tasks over one connection", function()
      local group <close> = task.group()
      for index = 1, 40 do
        group:spawn(function()
          for round = 1, 25 do
            local text = index .. " " .. round
            assert.are.equal(text, client:call("ECHO", text))
          end
        end)
      end
      assert.is_true(group:wait())
      assert.matches("total_connections_received:%d+", (client:call("INFO", "stats")))
      local _, count = client:call("CLIENT", "LIST"):gsub("name=spec", "")
      assert.are.equal(1, count)
    end)

    it("drops the replies that nobody waits for any more", function()
      local started = 0
      local function ask(index)
        started = started + 1
        return client:call("ECHO", index)
      end
      for _ = 1, 20 do
        local tasks = {}
        for index = 1, 10 do
          tasks[index] = task.spawn(ask, index)
        end
        task.yield()
        for index = 1, 10, 3 do
          tasks[index]:cancel()
        end
        for index = 1, 10 do
          local answer = tasks[index]:join()
          assert.are.equal(index % 3 ~= 1 and tostring(index) or nil, answer)
        end
      end
      assert.are.equal(200, started)
      assert.are.equal("after", client:call("ECHO", "after"))
    end)

    it("goes on after a deadline", function()
      local _, _, code = task.with_timeout(0.01, client.script, client, [[
        local count = 0
        for i = 1, 1e6 do count = count + i end
        return count]], {})
      assert.is_true(code == nil or code == "timeout")
      assert.are.equal("after", client:call("ECHO", "after"))
    end)

    it("waits for others at a connection of its own", function()
      local waiting = task.spawn(client.call, client, "BLPOP", "l", 0)
      condition.wait_until(function() return client:call("INFO", "clients"):find("blocked_clients:1") end, 20)
      client:call("RPUSH", "l", "x")
      assert.are.same({ "l", "x" }, (waiting:join(20)))
      assert.are.same({ n = 1 }, table.pack(client:call("BLPOP", "l", 0.01)))
    end)

    it("has commands carried out together", function()
      assert.are.same({ "OK", 2, redis.null }, client:transaction { { "SET", "a", 1 }, { "INCR", "a" },
        { "GET", "none" } })
      assert.are.same({}, client:transaction {})
      local replies = client:transaction { { "INCR", "a" }, { "LPUSH", "a", 1 } }
      assert.are.equal(3, replies[1])
      assert.is_true(redis.is_error(replies[2]))
      local none, err, code = client:transaction { { "INCR", "a" }, { "NO_SUCH_COMMAND" } }
      assert.are.same({ nil, "invalid" }, { none, code })
      assert.matches("unknown command", err)
      assert.are.equal("3", client:call("GET", "a"))
    end)

    it("notices that a watched key has changed", function()
      client:call("SET", "a", 1)
      local function double(own, meddle)
        assert(own:call("WATCH", "a"))
        local value = assert(own:call("GET", "a"))
        meddle()
        return own:transaction { { "SET", "a", value * 2 } }
      end
      assert.are.same({ "OK" }, client:exclusive(double, function() end))
      local replies, _, code = client:exclusive(double, function() client:call("SET", "a", 7) end)
      assert.are.same({ nil, "conflict" }, { replies, code })
      assert.are.equal("7", client:call("GET", "a"))
    end)

    it("gives connections on only as they were", function()
      local kept
      client:exclusive(function(own)
        kept = own
        own:call("SELECT", 3)
        own:call("SET", "elsewhere", 1)
      end)
      assert.are.equal("closed", select(3, kept:call("GET", "a")))
      client:exclusive(function(own) own:call "MULTI" end)
      pcall(client.exclusive, client, function() error "oh" end)
      client:exclusive(function(own)
        assert.are.same({ n = 1 }, table.pack(own:call("GET", "elsewhere")))
        assert.are.equal(own, own:exclusive(function(same) return same end))
      end)
    end)

    it("has so many connections and no more", function()
      local few <close> = redis.connect(server.url, { connections = 1, timeout = 0.05, protocol = protocol })
      local _, _, code = few:exclusive(function()
        return few:exclusive(function() end)
      end)
      assert.are.equal("timeout", code)
      assert.are.equal("PONG", condition.wait_until(function()
        return few:exclusive(function(own) return own:call "PING" end)
      end, 20))
    end)

    it("sends scripts once", function()
      local source = "return { KEYS[1], ARGV[1], ARGV[2] }"
      client:call("CONFIG", "RESETSTAT")
      client:call("SCRIPT", "FLUSH")
      for _ = 1, 2 do
        assert.are.same({ "k", "1", "x" }, client:script(source, { "k" }, { 1, "x" }))
      end
      assert.matches("calls=1,", (client:call("INFO", "commandstats"):match("cmdstat_eval:(%C+)")))
      client:call("SCRIPT", "FLUSH")
      assert.are.same({ "k", "1", "x" }, client:script(source, { "k" }, { 1, "x" }))
      assert.are.same({ n = 1 }, table.pack(client:script("return nil", {})))
      assert.are.equal("invalid", select(3, client:script("return no_such.field", {})))
    end)

    it("blames the caller", function()
      for text, call in pairs {
        ["#1 to 'call'"] = function() client:call() end,
        ["#3 to 'call'"] = function() client:call("SET", "a", {}) end,
        ["MULTI is about one connection"] = function() client:call "MULTI" end,
        ["SUBSCRIBE cannot be called"] = function() client:call("subscribe", "a") end,
        ["CLIENT REPLY cannot be called"] = function() client:call("CLIENT", "reply", "off") end,
        ["command 2, argument 3: string"] = function()
          client:pipeline { { "GET", "a" }, { "SET", "a", true } }
        end,
        ["BLPOP waits"] = function() client:pipeline { { "BLPOP", "a", 1 } } end,
        ["command 1: list expected"] = function() client:transaction { "GET" } end,
        ["command 1, argument 1: EXEC is"] = function() client:transaction { { "EXEC" } } end,
        ["#2 to 'script' %(%[2%]"] = function() client:script("", { "a", {} }) end,
        ["#3 to 'script' %(%[1%]"] = function() client:script("", { "a" }, { {} }) end,
        ["#1 to 'subscribe'"] = function() client:subscribe() end,
        ["call it with a colon"] = function() client.call("GET", "a") end,
      } do
        local ok, message = pcall(call)
        assert.is_false(ok)
        assert.matches(text, message)
        assert.matches("client_spec.lua:%d+:", message)
      end
    end)
  end)
end
