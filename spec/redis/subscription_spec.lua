-- Subscriptions at a real server, in both versions of the protocol; also one that goes away.
local condition = require "spec.support.condition"
local redis = require "moonwire.redis"
local redis_server = require "spec.redis.server"
local task = require "moonwire.task"

local SECONDS <const> = 20

for _, protocol in ipairs { 3, 2 } do
  describe(("a subscription in RESP%d"):format(protocol), function()
    local server, client

    local function connect(to)
      return redis.connect(to.url, { protocol = protocol, delay_most = 0.05, ping_interval = 0.02 })
    end

    setup(function()
      server = redis_server.start()
    end)

    teardown(function()
      server:stop()
    end)

    before_each(function()
      client = connect(server)
    end)

    after_each(function()
      client:close()
    end)

    it("hears channels and patterns", function()
      local news <close> = assert(client:subscribe("news", "weather"))
      local rooms <close> = assert(client:psubscribe("room.*"))
      assert.are.equal(1, client:call("PUBLISH", "news", "a\r\n"))
      assert.are.equal(1, client:call("PUBLISH", "weather", "b"))
      assert.are.equal(1, client:call("PUBLISH", "room.1", "c"))
      assert.are.equal(0, client:call("PUBLISH", "elsewhere", "d"))
      assert.are.same({ "a\r\n", "news" }, { news:receive(SECONDS) })
      assert.are.same({ "b", "weather" }, { news:receive(SECONDS) })
      assert.are.same({ "c", "room.1", "room.*" }, { rooms:receive(SECONDS) })
    end)

    it("waits for so long, and no longer", function()
      local news <close> = assert(client:subscribe "news")
      assert.are.equal("timeout", select(3, news:receive(0)))
      assert.are.equal("timeout", select(3, news:receive(0.1))) -- the server is asked meanwhile
      client:call("PUBLISH", "news", "late")
      assert.are.equal("late", news:receive(SECONDS))
      assert.are.equal(0, news:gaps())
    end)

    it("has one reader, and an end", function()
      local news = assert(client:subscribe "news")
      local got = {}
      local reader = task.spawn(function()
        for message, channel in news:messages() do
          got[#got + 1] = channel .. " " .. message
        end
        return "ended"
      end)
      task.yield()
      assert.are.equal("busy", select(3, news:receive()))
      for index = 1, 500 do
        client:call("PUBLISH", "news", index)
      end
      condition.wait_until(function() return #got == 500 end, SECONDS)
      assert.are.equal("news 500", got[500])
      news:close()
      assert.are.equal("ended", reader:join(SECONDS))
      assert.are.equal("closed", select(3, news:receive()))
    end)

    it("may be read again by whoever comes after one that was cancelled", function()
      local news <close> = assert(client:subscribe "news")
      local reader = task.spawn(news.receive, news)
      task.yield()
      reader:cancel()
      reader:join(SECONDS)
      client:call("PUBLISH", "news", "x")
      assert.are.equal("x", news:receive(SECONDS))
    end)

    it("goes on when the server is back", function()
      local mortal <close> = redis_server.start()
      local visitor <close> = connect(mortal)
      local news <close> = assert(visitor:psubscribe "n*")
      local reader = task.spawn(news.receive, news)
      mortal:kill()
      assert.are.equal("refused", select(3, visitor:subscribe "news"))
      task.sleep(0.1)
      mortal:start()
      condition.wait_until(function() return visitor:call("PUBLISH", "news", "again") == 1 end, SECONDS)
      assert.are.same({ "again", "news", "n*" }, { reader:join(SECONDS) })
      assert.are.equal(1, news:gaps())
    end)

    it("is told when it may not", function()
      client:call("ACL", "SETUSER", "eve", "on", ">x", "resetchannels", "+@all")
      local eve <close> = redis.connect(server.url, { user = "eve", password = "x", protocol = protocol })
      assert.are.equal("denied", select(3, eve:subscribe "news"))
    end)
  end)
end
