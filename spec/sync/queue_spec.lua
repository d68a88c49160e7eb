local sync = require "moonwire.sync"
local task = require "moonwire.task"
local timer = require "moonwire.timer"

-- Lets all tasks that are ready run until they wait.
local function settle()
  for _ = 1, 5 do
    task.yield()
  end
end

local function pop_into(list, queue, name)
  return task.spawn(function()
    local value = queue:pop()
    list[#list + 1] = name .. "=" .. tostring(value)
  end)
end

describe("a queue", function()
  it("gives values in the order they came", function()
    local queue = sync.queue(10)
    for value = 1, 3 do
      assert.is_true(queue:push(value))
    end
    assert.are.equal(3, queue:count())
    assert.are.same({ 1, 2, 3 }, { (queue:pop()), (queue:pop()), (queue:pop()) })
    assert.are.equal(0, queue:count())
  end)

  it("carries false", function()
    local queue = sync.queue(1)
    queue:push(false)
    local value, err = queue:pop()
    assert.is_false(value)
    assert.is_nil(err)
  end)

  it("refuses nil, and says so at the caller's line", function()
    local queue = sync.queue(1)
    local ok, message = pcall(function() queue:push(nil) end)
    assert.is_false(ok)
    assert.matches("^%S*queue_spec%.lua:%d+: bad argument #1 to 'push' %(a queue holds no nil", message)
    assert.has_error(function() queue:try_push() end)
    assert.are.equal(0, queue:count())
  end)

  it("raises for a limit that is none", function()
    for _, limit in ipairs { 0, -1, 1.5, "2", {} } do
      local ok, message = pcall(function() sync.queue(limit) end)
      assert.is_false(ok)
      assert.matches("queue_spec%.lua:%d+: bad argument #1 to 'queue' %(an integer above 0 expected", message)
    end
    assert.has_error(function() sync.queue() end)
  end)

  it("raises when a method is called with a dot, or with a time that is none", function()
    local queue = sync.queue(1)
    local ok, message = pcall(function() queue.pop(1) end)
    assert.is_false(ok)
    assert.matches("queue_spec%.lua:%d+: moonwire%.queue expected, got 1; call it with a colon", message)
    for _, seconds in ipairs { -1, 0 / 0, "1" } do
      assert.has_error(function() queue:pop(seconds) end)
    end
  end)

  describe("pop", function()
    it("waits for a value", function()
      local queue = sync.queue(1)
      local popper = task.spawn(function() return queue:pop() end)
      settle()
      assert.are.equal("queue", popper:waits_for())
      queue:push("late")
      assert.are.equal("late", popper:join())
    end)

    it("gives up after its time and takes nothing then", function()
      local queue = sync.queue(1)
      local started = timer.now()
      assert.are.same({ n = 3, nil, "timeout", "timeout" }, table.pack(queue:pop(0.02)))
      task.yield()
      assert.is_true(timer.now() - started >= 0.02)
      queue:push(1)
      assert.are.equal(1, queue:count())
    end)

    it("does not wait with 0 seconds", function()
      local queue = sync.queue(1)
      -- A coroutine of the script's own is where nobody may wait.
      local pop = coroutine.wrap(function() return queue:pop(0) end)
      assert.are.same({ n = 3, nil, "timeout", "timeout" }, table.pack(pop()))
      queue:push("there")
      assert.are.equal("there", queue:pop(0))
    end)

    it("serves first who came first", function()
      local queue, got = sync.queue(3), {}
      for _, name in ipairs { "a", "b", "c" } do
        pop_into(got, queue, name)
      end
      settle()
      for value = 1, 3 do
        queue:push(value)
      end
      settle()
      assert.are.same({ "a=1", "b=2", "c=3" }, got)
    end)

    it("lets nobody past a task that was woken and did not run yet", function()
      local queue, got = sync.queue(3), {}
      pop_into(got, queue, "first")
      settle()
      queue:push(1)
      assert.are.same({ n = 3, nil, "timeout", "timeout" }, table.pack(queue:pop(0)))
      settle()
      assert.are.same({ "first=1" }, got)
    end)

    it("loses no value when the woken task is cancelled before it runs", function()
      local queue, got = sync.queue(3), {}
      local first = pop_into(got, queue, "first")
      settle()
      pop_into(got, queue, "second")
      settle()
      queue:push("value")
      first:cancel()
      settle()
      assert.are.same({ "second=value" }, got)
      assert.are.equal(0, queue:count())
    end)

    it("keeps the value for later when nobody else waits", function()
      local queue = sync.queue(3)
      local popper = pop_into({}, queue, "only")
      settle()
      queue:push("value")
      popper:cancel()
      popper:join()
      assert.are.equal(1, queue:count())
      assert.are.equal("value", queue:pop(0))
    end)

    it("keeps the order when a woken task is cancelled", function()
      local queue, got = sync.queue(3), {}
      local first = pop_into(got, queue, "first")
      pop_into(got, queue, "second")
      settle()
      queue:push(1)
      queue:push(2)
      first:cancel()
      settle()
      assert.are.same({ "second=1" }, got)
      assert.are.equal(2, queue:pop(0))
    end)

    it("leaves no stale waiter behind after a timeout, a cancel and a deadline", function()
      local queue, got = sync.queue(3), {}
      assert.is_nil((queue:pop(0.01)))
      local cancelled = pop_into(got, queue, "cancelled")
      settle()
      cancelled:cancel()
      cancelled:join()
      assert.is_nil((task.with_timeout(0.01, queue.pop, queue)))
      pop_into(got, queue, "alive")
      settle()
      queue:push(1)
      settle()
      assert.are.same({ "alive=1" }, got)
    end)

    it("loses nothing when time is up at the moment the value comes", function()
      local queue, popped = sync.queue(100), 0
      for round = 1, 40 do
        local popper = task.spawn(function() return queue:pop(0.002) end)
        task.sleep(0.002)
        queue:push(round)
        if popper:join() then
          popped = popped + 1
        end
      end
      assert.are.equal(40, popped + queue:count())
    end)
  end)

  describe("push", function()
    it("waits while the queue is full, and goes in first come first served", function()
      local queue = sync.queue(1)
      queue:push(0)
      local pushers = {}
      for value = 1, 3 do
        pushers[value] = task.spawn(function() return queue:push(value) end)
      end
      settle()
      assert.are.equal("waiting", pushers[1]:status())
      assert.are.equal(1, queue:count())
      for value = 0, 3 do
        assert.are.equal(value, queue:pop())
      end
      for value = 1, 3 do
        assert.is_true(pushers[value]:join())
      end
    end)

    it("gives its room to the next when it is cancelled after it got it", function()
      local queue = sync.queue(1)
      queue:push(0)
      local first = task.spawn(function() queue:push("first") end)
      settle()
      local second = task.spawn(function() return queue:push("second") end)
      settle()
      assert.are.equal(0, queue:pop())
      first:cancel()
      assert.is_true(second:join())
      assert.are.equal("second", queue:pop(0))
      assert.is_true(queue:try_push("room again"))
    end)
  end)

  it("try_push tells when there is no room", function()
    local queue = sync.queue(1)
    assert.is_true(queue:try_push(1))
    assert.are.same({ n = 3, nil, "full", "full" }, table.pack(queue:try_push(2)))
    queue:pop()
    assert.is_true(queue:try_push(2))
  end)

  it("try_push does not take the room of a task that waits for it", function()
    local queue = sync.queue(1)
    queue:push(1)
    local pusher = task.spawn(function() return queue:push(2) end)
    settle()
    assert.are.equal(1, queue:pop())
    assert.is_nil((queue:try_push(3)))
    assert.is_true(pusher:join())
    assert.are.equal(2, queue:pop(0))
  end)

  describe("close", function()
    it("refuses new values and gives what is left", function()
      local queue = sync.queue(3)
      queue:push("left")
      queue:close()
      queue:close()
      assert.are.same({ n = 3, nil, "closed", "closed" }, table.pack(queue:push(2)))
      assert.are.same({ n = 3, nil, "closed", "closed" }, table.pack(queue:try_push(2)))
      assert.are.equal("left", queue:pop())
      assert.are.same({ n = 3, nil, "closed", "closed" }, table.pack(queue:pop()))
    end)

    it("wakes all who wait", function()
      local empty, full = sync.queue(1), sync.queue(1)
      full:push(1)
      local waiting = {}
      for i = 1, 3 do
        waiting[i] = task.spawn(function() return empty:pop() end)
        waiting[i + 3] = task.spawn(function() return full:push(2) end)
      end
      settle()
      empty:close()
      full:close()
      for _, one in ipairs(waiting) do
        assert.are.same({ n = 3, nil, "closed", "closed" }, table.pack(one:join()))
      end
      assert.are.equal(1, full:count())
    end)

    it("adds nothing for a task that had its room already", function()
      local queue = sync.queue(1)
      queue:push(1)
      local pusher = task.spawn(function() return queue:push(2) end)
      settle()
      queue:pop()
      queue:close()
      assert.are.same({ n = 3, nil, "closed", "closed" }, table.pack(pusher:join()))
      assert.are.equal(0, queue:count())
    end)

    it("does not say closed while the last value is on its way", function()
      local queue = sync.queue(1)
      local first = task.spawn(function() return queue:pop() end)
      settle()
      queue:push("last")
      queue:close()
      first:cancel()
      assert.are.equal("last", queue:pop())
      assert.are.equal("closed", select(2, queue:pop()))
    end)

    it("lets those who wait behind the last value go", function()
      local queue = sync.queue(1)
      local first = task.spawn(function() return queue:pop() end)
      settle()
      queue:push("last")
      queue:close()
      local second = task.spawn(function() return queue:pop() end)
      assert.are.equal("last", first:join())
      assert.are.same({ n = 3, nil, "closed", "closed" }, table.pack(second:join()))
    end)
  end)

  it("is iterated until it is closed and empty", function()
    local queue, got = sync.queue(2), {}
    local reader = task.spawn(function()
      for value in queue:values() do
        got[#got + 1] = value
      end
      return "ended"
    end)
    for _, value in ipairs { 1, false, 3 } do
      queue:push(value)
    end
    queue:close()
    assert.are.equal("ended", reader:join())
    assert.are.same({ 1, false, 3 }, got)
  end)

  it("carries every value once through many tasks, some of them cancelled", function()
    local queue, sum, count = sync.queue(4), 0, 0
    local function consume()
      for value in queue:values() do
        sum, count = sum + value, count + 1
      end
    end
    local consumers, doomed = {}, {}
    for i = 1, 5 do
      consumers[i] = task.spawn(consume)
      doomed[i] = task.spawn(consume)
    end
    for value = 1, 1000 do
      queue:push(value)
      if value % 200 == 0 then
        doomed[value // 200]:cancel()
      end
    end
    queue:close()
    for _, consumer in ipairs(consumers) do
      consumer:join()
    end
    assert.are.equal(1000, count)
    assert.are.equal(500500, sum)
  end)

  it("can be filled where nobody may wait", function()
    local queue = sync.queue(1)
    local push = coroutine.wrap(function() return queue:try_push("from a coroutine") end)
    assert.is_true(push())
    assert.are.equal("from a coroutine", queue:pop())
  end)

  it("says what it is", function()
    local queue = sync.queue(2)
    queue:push(1)
    assert.are.equal("moonwire.queue: 1 values", tostring(queue))
    queue:close()
    assert.are.equal("moonwire.queue: 1 values, closed", tostring(queue))
  end)
end)
