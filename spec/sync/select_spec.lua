local core = require "moonwire.core"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

local function settle()
  for _ = 1, 5 do
    task.yield()
  end
end

local function select_in_task(options)
  local selecting = task.spawn(function() return sync.select(options) end)
  settle()
  assert.are.equal("select", selecting:waits_for())
  return selecting
end

describe("select", function()
  it("gives the first in the list that is ready, and leaves the others", function()
    local empty, first, second, event = sync.queue(1), sync.queue(1), sync.queue(1), sync.event()
    first:push("one")
    second:push("two")
    event:set()
    assert.are.same({ n = 2, 2, "one" }, table.pack(sync.select { empty, first, second, event }))
    assert.are.same({ n = 2, 3, "two" }, table.pack(sync.select { empty, first, second, event }))
    assert.are.same({ n = 2, 4, true }, table.pack(sync.select { empty, first, second, event }))
  end)

  it("waits for a queue", function()
    local one, two = sync.queue(1), sync.queue(1)
    local selecting = select_in_task { one, two }
    two:push("value")
    one:push("stays")
    assert.are.same({ n = 2, 2, "value" }, table.pack(selecting:join()))
    assert.are.equal(0, two:count())
    assert.are.equal(1, one:count())
  end)

  it("waits for an event", function()
    local queue, event = sync.queue(1), sync.event()
    local selecting = select_in_task { queue, event }
    event:set()
    assert.are.same({ n = 2, 2, true }, table.pack(selecting:join()))
  end)

  it("takes a permit of a semaphore", function()
    local semaphore, event = sync.semaphore(1), sync.event()
    assert.are.same({ n = 2, 2, true }, table.pack(sync.select { event, semaphore }))
    assert.are.equal(0, semaphore:available())
    local selecting = select_in_task { event, semaphore }
    semaphore:release()
    assert.are.same({ n = 2, 2, true }, table.pack(selecting:join()))
    assert.are.equal(0, semaphore:available())
  end)

  it("waits for the end of a task and gives its results", function()
    local gate = sync.event()
    local watched = task.spawn(function()
      gate:wait()
      return "a", nil, "c"
    end)
    local selecting = task.spawn(function() return sync.select { sync.event(), watched } end)
    settle()
    gate:set()
    assert.are.same({ n = 4, 2, "a", nil, "c" }, table.pack(selecting:join()))
    assert.are.same({ n = 4, 1, "a", nil, "c" }, table.pack(sync.select { watched }))
  end)

  it("tells how a task failed", function()
    local watched = task.spawn(task.sleep, 60)
    watched:cancel()
    assert.are.same({ n = 4, 1, nil, "cancelled", "cancelled" }, table.pack(sync.select { watched }))
  end)

  it("tells that a queue is closed", function()
    local queue, event = sync.queue(1), sync.event()
    local selecting = select_in_task { event, queue }
    queue:close()
    assert.are.same({ n = 4, 2, nil, "closed", "closed" }, table.pack(selecting:join()))
    assert.are.same({ n = 4, 2, nil, "closed", "closed" }, table.pack(sync.select { event, queue }))
  end)

  it("gives up after its time, and takes nothing then", function()
    local queue, event = sync.queue(1), sync.event()
    local before = core.task.count()
    local watched = task.spawn(task.sleep, 60)
    assert.are.same({ n = 3, nil, "timeout", "timeout" },
      table.pack(sync.select { queue, event, watched, timeout = 0.01 }))
    assert.are.same({ n = 3, nil, "timeout", "timeout" },
      table.pack(sync.select { queue, event, watched, timeout = 0 }))
    assert.are.equal(before + 1, core.task.count())
    queue:push("value")
    assert.are.equal(1, queue:count())
    watched:cancel()
  end)

  it("does not wait with 0 seconds", function()
    -- A coroutine of the script's own is where nobody may wait.
    local selecting = coroutine.wrap(sync.select)
    local results = table.pack(selecting { sync.queue(1), sync.event(), timeout = 0 })
    assert.are.same({ n = 3, nil, "timeout", "timeout" }, results)
  end)

  it("passes on what it got when its task is cancelled before it runs", function()
    local one, two = sync.queue(1), sync.queue(1)
    local selecting = select_in_task { one, two }
    local popping = task.spawn(function() return two:pop() end)
    settle()
    two:push("value")
    selecting:cancel()
    assert.are.equal("value", popping:join())
  end)

  it("leaves no stale waiter behind when it is cancelled or runs out of time", function()
    local one, two, event = sync.queue(1), sync.queue(1), sync.event()
    local watched = task.spawn(task.sleep, 60)
    local selecting = select_in_task { one, two, event, watched }
    selecting:cancel()
    selecting:join()
    assert.is_nil((task.with_timeout(0.01, sync.select, { one, two, event, watched })))
    one:push(1)
    event:set()
    assert.are.equal(1, one:count())
    assert.are.equal(1, one:pop(0))
    assert.are.equal("sleep", watched:waits_for())
    watched:cancel()
  end)

  it("gets one value, also when several become ready at once", function()
    local one, two = sync.queue(1), sync.queue(1)
    local selecting = select_in_task { one, two, one }
    one:push("first")
    two:push("second")
    assert.are.same({ n = 2, 1, "first" }, table.pack(selecting:join()))
    assert.are.equal("second", two:pop(0))
    assert.are.equal(0, one:count())
  end)

  it("stands in line like everybody else", function()
    local queue, order = sync.queue(3), {}
    local function note(name, wait)
      task.spawn(function()
        local value = wait()
        order[#order + 1] = name .. value
      end)
      settle()
    end
    note("pop ", function() return queue:pop() end)
    note("select ", function() return select(2, sync.select { queue }) end)
    note("pop ", function() return queue:pop() end)
    for value = 1, 3 do
      queue:push(value)
    end
    settle()
    assert.are.same({ "pop 1", "select 2", "pop 3" }, order)
  end)

  it("loses nothing among many tasks", function()
    local one, two, stop, count = sync.queue(2), sync.queue(2), sync.event(), 0
    local takers = {}
    for i = 1, 5 do
      takers[i] = task.spawn(function()
        while sync.select { one, two, stop } ~= 3 do
          count = count + 1
        end
      end)
    end
    for i = 1, 200 do
      (i % 3 == 0 and one or two):push(i)
      local doomed = task.spawn(sync.select, { two, one })
      task.yield()
      doomed:cancel()
      if doomed:join() then
        count = count + 1
      end
    end
    while one:count() + two:count() > 0 do
      task.yield()
    end
    stop:set()
    for _, taker in ipairs(takers) do
      taker:join()
    end
    assert.are.equal(200, count)
  end)

  describe("raises at the caller's line", function()
    local function refused(options, pattern)
      local ok, message = pcall(function() sync.select(options) end)
      assert.is_false(ok)
      assert.matches("^%S*select_spec%.lua:%d+: bad argument #1 to 'select' %(" .. pattern, message)
    end

    it("for an unknown option", function()
      refused({ sync.event(), time = 1 }, "unknown option 'time'")
    end)

    it("for a time that is none", function()
      refused({ sync.event(), timeout = -1 }, "option 'timeout': seconds, not negative, expected")
      refused({ sync.event(), timeout = "1" }, "option 'timeout'")
    end)

    it("for nothing to wait for", function()
      refused({}, "nothing to wait for")
      refused(nil, "table expected, got nil")
    end)

    it("for what cannot be waited for", function()
      refused({ sync.event(), 5 }, "%[2%] must be a queue, an event, a semaphore or a task, not a number")
      refused({ io.stdout }, "%[1%] must be")
      refused({ {} }, "%[1%] must be")
    end)

    it("for the running task", function()
      refused({ task.current() }, "%[1%] is the running task")
    end)
  end)
end)
