local bus = require "moonwire.bus"
local condition = require "spec.support.condition"
local json = require "moonwire.json"
local moonwire = require "spec.support.moonwire"
local task = require "moonwire.task"

local TIMEOUT <const> = { n = 3, nil, "timeout", "timeout" }
local CLOSED <const> = { n = 3, nil, "closed", "closed" }

-- All that waits to be taken.
local function taken(subscription)
  local values = {}
  for value in function() return (subscription:next(0)) end do
    values[#values + 1] = value
  end
  return values
end

describe("bus.publish", function()
  it("reaches every subscription whose pattern matches, the publisher's own, too", function()
    local exact <close> = bus.subscribe "chat.room.7"
    local one <close> = bus.subscribe "chat.*.7"
    local rest <close> = bus.subscribe "chat.>"
    local other <close> = bus.subscribe "chat.room.8"
    assert.are.equal(3, bus.publish("chat.room.7", "hello"))
    for _, subscription in ipairs { exact, one, rest } do
      assert.are.same({ n = 2, "hello", "chat.room.7" }, table.pack(subscription:next(0)))
    end
    assert.are.same(TIMEOUT, table.pack(other:next(0)))
    assert.are.equal(0, bus.publish("nobody.listens", 1))
  end)

  it("passes plain data on as it is, to everybody a copy", function()
    local first <close> = bus.subscribe "data"
    local second <close> = bus.subscribe "data"
    local value = {
      text = "a\0b", [1] = 1, [2] = 2.5, [3] = math.mininteger, flag = false, inner = { { {} } },
      list = json.array {},
    }
    bus.publish("data", value)
    value.text = "changed later"
    local one, other = first:next(0), second:next(0)
    assert.are.same(one, other)
    assert.are_not.equal(one, other)
    assert.are.equal("a\0b", one.text)
    assert.are.equal("[]", json.encode(one.list))
    assert.are.equal("integer", math.type(one[3]))
    assert.is_false(one.flag)
    for _, plain in ipairs { true, 7, 1.5, "", json.null } do
      bus.publish("data", plain)
      assert.are.equal(plain, first:next(0))
    end
    bus.publish("data", false)
    assert.are.same({ n = 2, false, "data" }, table.pack((first:next(0)), "data"))
  end)

  it("keeps the order", function()
    local subscription <close> = bus.subscribe "order.>"
    for i = 1, 100 do
      bus.publish("order." .. i % 3, i)
    end
    for i = 1, 100 do
      assert.are.same({ n = 2, i, "order." .. i % 3 }, table.pack(subscription:next(0)))
    end
  end)

  it("refuses what is no plain data, and says where", function()
    local function refusal(value)
      local ok, message = pcall(function() bus.publish("a", value) end)
      assert.is_false(ok)
      return message
    end
    local message = refusal { players = { {}, { conn = print } } }
    assert.is_truthy(message:find "^spec/bus/bus_spec.lua:%d+: bad argument #2 to '[%w.]*publish'")
    assert.is_truthy(message:find("(value.players[2].conn is a function", 1, true))
    assert.is_truthy(refusal(setmetatable({}, {})):find("value is a table with a metatable", 1, true))
    assert.is_truthy(refusal(nil):find("use false or a table", 1, true))
    local cycle = {}
    cycle.me = cycle
    assert.is_truthy(refusal(cycle):find("value.me is a table that it is within", 1, true))
  end)

  it("refuses a message that is too large", function()
    local subscription <close> = bus.subscribe "large"
    local value, err, code = bus.publish("large", ("x"):rep(1024 * 1024))
    assert.is_nil(value)
    assert.are.equal("too_large", code)
    assert.are.equal("publish large: value is too large: more than 1024 KiB cannot be published", err)
    assert.are.equal(1, bus.publish("large", ("x"):rep(1024 * 1024 - 10)))
    assert.are.equal(1024 * 1024 - 10, #subscription:next(0))
  end)

  it("refuses what is no topic", function()
    for _, topic in ipairs { "", ".", "a.", ".a", "a..b", "a b\n", ("x"):rep(256), "a.*", ">", "a*" } do
      local ok, message = pcall(bus.publish, topic, 1)
      assert.is_false(ok, topic)
      assert.is_truthy(message:find "bad argument #1 to '[%w.]*publish' %(the topic %l")
    end
    assert.is_false(pcall(bus.publish, nil, 1))
    assert.are.equal(0, bus.publish(("x"):rep(255), 1))
  end)
end)

describe("bus.subscribe", function()
  it("refuses what is no pattern, and unknown options", function()
    for _, pattern in ipairs { "", "a.>.b", "a.b*", ".>" } do
      assert.is_false(pcall(bus.subscribe, pattern), pattern)
    end
    for _, options in ipairs {
      { queue = 0 }, { queue = 1.5 }, { policy = "other" }, { polcy = "disconnect" },
    } do
      assert.is_false(pcall(bus.subscribe, "a", options))
    end
  end)

  it("gives a subscription that says what it is", function()
    local subscription = bus.subscribe "a.*"
    assert.are.equal("moonwire.subscription: a.* open", tostring(subscription))
    assert.is_true(subscription:is_open())
    subscription:close()
    subscription:close()
    assert.is_false(subscription:is_open())
    assert.are.equal("moonwire.subscription: a.* closed", tostring(subscription))
  end)
end)

describe("a loop over a subscription", function()
  it("gets value after value, and closes it at its end", function()
    local heard, count = {}, nil
    local listener = task.spawn(function()
      for value, topic in bus.subscribe "chat.>" do
        heard[#heard + 1] = topic .. "=" .. tostring(value)
        if value == "end" then
          break
        end
      end
      count = bus.publish("chat.a", "nobody")
      return true
    end)
    task.yield()
    assert.are.equal("bus", listener:waits_for())
    bus.publish("chat.a", false)
    bus.publish("chat.b", 2)
    bus.publish("other", 3)
    task.sleep(0.01)
    bus.publish("chat.c", "end")
    assert(listener:join(5))
    assert.are.same({ "chat.a=false", "chat.b=2", "chat.c=end" }, heard)
    assert.are.equal(0, count)
  end)

  it("ends when the subscription is closed", function()
    local subscription = bus.subscribe "chat"
    local listener = task.spawn(function()
      for _ in subscription do
        error "nothing was published"
      end
      return "over"
    end)
    task.yield()
    subscription:close()
    assert.are.equal("over", listener:join(5))
  end)

  it("raises when the subscription has ended by its policy", function()
    local subscription <close> = bus.subscribe("chat", { queue = 1, policy = "disconnect" })
    bus.publish("chat", 1)
    bus.publish("chat", 2)
    local heard = {}
    local ok, fault = pcall(function()
      for value in subscription do
        heard[#heard + 1] = value
      end
    end)
    assert.is_false(ok)
    assert.are.same({ 1 }, heard)
    assert.are.equal("full", fault.code)
    assert.are.equal("subscription to chat: it has ended, because more than 1 messages waited", fault.message)
  end)

  it("may stand in a coroutine of the script's", function()
    local subscription <close> = bus.subscribe "chat"
    local reader = coroutine.wrap(function()
      for value in subscription do
        coroutine.yield(value)
      end
    end)
    task.spawn(function()
      bus.publish("chat", 1)
      task.yield()
      bus.publish("chat", 2)
    end)
    assert.are.equal(1, reader())
    assert.are.equal(2, reader())
  end)
end)

describe("a subscription", function()
  it("waits no longer than it is told", function()
    local subscription <close> = bus.subscribe "a"
    assert.are.same(TIMEOUT, table.pack(subscription:next(0)))
    assert.are.same(TIMEOUT, table.pack(subscription:next(0.01)))
    local _, _, code = task.with_timeout(0.01, subscription.next, subscription)
    assert.are.equal("timeout", code)
    bus.publish("a", 1)
    assert.are.equal(1, subscription:next())
    for _, seconds in ipairs { -1, 0 / 0, "x" } do
      assert.is_false(pcall(subscription.next, subscription, seconds))
    end
  end)

  it("is for one task at a time", function()
    local subscription <close> = bus.subscribe "a"
    local waiting = task.spawn(subscription.next, subscription)
    task.yield()
    assert.are.same({ n = 3, nil, "busy", "busy" }, table.pack(subscription:next(1)))
    bus.publish("a", 1)
    assert.are.equal(1, waiting:join(5))
  end)

  it("loses nothing when a task is cancelled on its way", function()
    local subscription <close> = bus.subscribe "a"
    local waiting = task.spawn(subscription.next, subscription)
    task.yield()
    bus.publish("a", 1)
    waiting:cancel()
    waiting:join(5)
    assert.are.equal(1, subscription:next(0))
  end)

  it("goes on waiting when another takes what woke it", function()
    local subscription <close> = bus.subscribe "a"
    local waiting = task.spawn(subscription.next, subscription)
    task.yield()
    bus.publish("a", 1)
    assert.are.equal(1, subscription:next(0))
    task.yield()
    bus.publish("a", 2)
    assert.are.equal(2, waiting:join(5))
  end)

  it("drops the oldest when its queue is full", function()
    local subscription <close> = bus.subscribe("a", { queue = 3 })
    for i = 1, 5 do
      assert.are.equal(1, bus.publish("a", i))
    end
    assert.are.same({ received = 0, dropped = 2, queued = 3 }, subscription:counters())
    assert.are.same({ 3, 4, 5 }, taken(subscription))
    assert.are.same({ received = 3, dropped = 2, queued = 0 }, subscription:counters())
  end)

  it("drops the newest if that is its policy", function()
    local subscription <close> = bus.subscribe("a", { queue = 3, policy = "drop_newest" })
    local other <close> = bus.subscribe("a", { policy = "drop_oldest" })
    for i = 1, 5 do
      assert.are.equal(i <= 3 and 2 or 1, bus.publish("a", i))
    end
    assert.are.same({ 1, 2, 3 }, taken(subscription))
    assert.are.equal(2, subscription:counters().dropped)
    assert.are.same({ 1, 2, 3, 4, 5 }, taken(other))
  end)

  it("ends if that is its policy, when what was queued is taken", function()
    local subscription <close> = bus.subscribe("a", { queue = 2, policy = "disconnect" })
    for i = 1, 5 do
      bus.publish("a", i)
    end
    assert.are.same({ received = 0, dropped = 1, queued = 2 }, subscription:counters())
    assert.are.same({ 1, 2 }, taken(subscription))
    local _, err, code = subscription:next()
    assert.are.equal("full", code)
    assert.are.equal("subscription to a: it has ended, because more than 2 messages waited", err)
    assert.are.equal(0, bus.publish("a", 6))
  end)

  it("has room for 1000 messages", function()
    local subscription <close> = bus.subscribe "a"
    for i = 1, 1001 do
      bus.publish("a", i)
    end
    assert.are.same({ received = 0, dropped = 1, queued = 1000 }, subscription:counters())
    assert.are.equal(2, subscription:next(0))
  end)

  it("drops what is queued when it is closed", function()
    local subscription = bus.subscribe "a"
    bus.publish("a", 1)
    subscription:close()
    assert.are.same(CLOSED, table.pack(subscription:next()))
    assert.are.same({ received = 0, dropped = 0, queued = 0 }, subscription:counters())
    assert.are.equal(0, bus.publish("a", 1))
  end)

  it("wakes who waits when it is closed", function()
    local subscription = bus.subscribe "a"
    local waiting = task.spawn(subscription.next, subscription)
    task.yield()
    subscription:close()
    assert.are.same(CLOSED, table.pack(waiting:join(5)))
  end)

  it("closes with the task that made it, unless it is kept", function()
    local mine, kept
    task.spawn(function()
      mine = bus.subscribe "a"
      kept = bus.subscribe "a"
      assert.are.equal(kept, kept:keep())
    end):join(5)
    assert.is_false(mine:is_open())
    assert.is_true(kept:is_open())
    assert.are.equal(1, bus.publish("a", 1))
    kept:close()
  end)

  it("can be closed by a finalizer that runs while its values are made", function()
    local subscription = bus.subscribe "a"
    local rows = {}
    for i = 1, 2000 do
      rows[i] = { i, tostring(i) }
    end
    for _ = 1, 5 do
      bus.publish("a", rows)
    end
    setmetatable({}, { __gc = function() subscription:close() end })
    for _ = 1, 5 do
      local value = subscription:next(0)
      if not value then
        break
      end
      assert.are.same({ 2000, "2000" }, value[2000])
    end
    collectgarbage()
    condition.wait_until(function() return not subscription:is_open() end)
  end)

  it("that is lost is told of in the log", function()
    local status, errors = moonwire.run [[
      local bus = require "moonwire.bus"
      return { start = function()
        bus.subscribe("chat.>")
        collectgarbage()
        collectgarbage()
        print(bus.publish("chat.a", 1))
      end }
    ]]
    assert.are.equal(0, status)
    assert.is_truthy(errors:find("subscription chat.> was left open without a reference to it", 1, true))
    assert.is_truthy(errors:find("^0\n") or errors:find("\n0\n"))
  end)

  it("that nobody can publish to is found out", function()
    local status, errors = moonwire.run [[
      return { start = function() require("moonwire.bus").subscribe("a"):next() end }
    ]]
    assert.are.equal(1, status)
    assert.is_truthy(errors:find("every task waits for another", 1, true))
  end)
end)

describe("10,000 subscribers", function()
  local COUNT <const> = 10000

  -- Seconds of the processor for one publish, until all have it.
  local function measure(pattern_of)
    local heard = 0
    local group <close> = task.group()
    for i = 1, COUNT do
      group:spawn(function()
        for value in bus.subscribe(pattern_of(i)) do
          heard = heard + value.count
        end
      end)
    end
    condition.wait_until(function() return bus.publish("room.first.all", { count = 0 }) == COUNT end)
    task.sleep(0.05)
    local best = math.huge
    for _ = 1, 5 do
      heard = 0
      local begun = os.clock()
      assert.are.equal(COUNT, bus.publish("room.first.all", { count = 1, text = "hello" }))
      condition.wait_until(function() return heard == COUNT end)
      best = math.min(best, os.clock() - begun)
    end
    group:cancel()
    return best
  end

  -- What it costs spec/bench/bus.lua tells, 20 ms at most. This finds what grows with the square of the
  -- subscribers, on a slow machine and under sanitizers, too.
  local SECONDS <const> = 0.5

  it("get a message for little", function()
    assert.is_true(measure(function() return "room.first.all" end) < SECONDS)
  end)

  it("get it by pattern for little, too", function()
    local patterns <const> = { "room.>", "room.*.all", "*.first.all", ">" }
    assert.is_true(measure(function(i) return patterns[i % 4 + 1] end) < SECONDS)
  end)
end)
