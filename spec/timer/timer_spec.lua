local condition = require "spec.support.condition"
local core = require "moonwire.core"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local timer = require "moonwire.timer"

local function run(code)
  local status, _, errors = process.run { moonwire.binary, "run", "-e", code }
  return status, errors
end

describe("timer.now", function()
  it("goes on while a task waits and stands still while it runs", function()
    local before = timer.now()
    assert.are.equal(before, timer.now())
    task.sleep(0.01)
    local passed = timer.now() - before
    assert.is_true(passed >= 0.01 and passed < 5)
  end)
end)

describe("timer.after", function()
  it("calls once, with its arguments, not before its time", function()
    local called, started = sync.queue(10), timer.now()
    timer.after(0.03, function(...)
      called:push { timer.now() - started, select("#", ...), ... }
    end, "a", nil, "c")
    local elapsed, count, first, second, third = table.unpack(called:pop(5), 1, 5)
    assert.is_true(elapsed >= 0.03)
    assert.are.same({ 3, "a", nil, "c" }, { count, first, second, third })
    assert.is_nil((called:pop(0.05)))
  end)

  it("calls soon after 0 seconds, but not at once", function()
    local called = sync.event()
    timer.after(0, called.set, called)
    assert.is_false(called:is_set())
    assert.is_true(called:wait(5))
  end)

  it("may wait in what it calls", function()
    local done = sync.event()
    timer.after(0, function()
      task.sleep(0.01)
      done:set()
    end)
    assert.is_true(done:wait(5))
  end)

  it("calls in the order of time", function()
    local order = sync.queue(3)
    timer.after(0.03, order.push, order, "third")
    timer.after(0.01, order.push, order, "first")
    timer.after(0.02, order.push, order, "second")
    assert.are.same({ "first", "second", "third" }, { (order:pop(5)), (order:pop(5)), (order:pop(5)) })
  end)

  it("ends at once when it is cancelled", function()
    local before = core.task.count()
    local once, again = timer.after(3600, print), timer.every(3600, print)
    task.yield()
    assert.are.equal(before + 2, core.task.count())
    once:cancel()
    again:cancel()
    condition.wait_until(function() return core.task.count() == before end)
  end)

  it("does not call when it is cancelled", function()
    local called = sync.event()
    local handle = timer.after(0.02, called.set, called)
    assert.are.equal("moonwire.timer: active", tostring(handle))
    handle:cancel()
    handle:cancel()
    assert.are.equal("moonwire.timer: cancelled", tostring(handle))
    assert.is_nil((called:wait(0.04)))
  end)

  it("does not call when it is cancelled at the moment it falls due", function()
    local called = 0
    for _ = 1, 10 do
      local handle = timer.after(0, function() called = called + 1 end)
      handle:cancel()
    end
    task.sleep(0.01)
    assert.are.equal(0, called)
  end)

  it("lets a call that runs go on when it is cancelled", function()
    local entered, done = sync.event(), sync.event()
    local handle
    handle = timer.after(0, function()
      entered:set()
      handle:cancel()
      task.sleep(0.01)
      done:set()
    end)
    entered:wait(5)
    handle:cancel()
    assert.is_true(done:wait(5))
  end)

  it("ends with the task that made it", function()
    local called = sync.event()
    task.spawn(function() timer.after(0.01, called.set, called) end):join()
    assert.is_nil((called:wait(0.03)))
  end)

  it("is not late because others wait longer", function()
    local called = sync.event()
    local long = timer.after(60, function() end)
    timer.after(0.01, called.set, called)
    assert.is_true(called:wait(5))
    long:cancel()
  end)
end)

describe("timer.every", function()
  it("calls again and again until it is cancelled", function()
    local ticks, handle = sync.queue(100), nil
    local count, started = 0, timer.now()
    handle = timer.every(0.01, function(...)
      count = count + 1
      ticks:push(table.concat({ ... }, " "))
      if count == 3 then
        handle:cancel()
      end
    end, "a", "b")
    for _ = 1, 3 do
      assert.are.equal("a b", ticks:pop(5))
    end
    assert.is_true(timer.now() - started >= 0.03)
    assert.is_nil((ticks:pop(0.05)))
  end)

  it("keeps its schedule whatever the calls take", function()
    local interval, started, phases = 0.05, timer.now(), sync.queue(20)
    local handle = timer.every(interval, function()
      local elapsed = timer.now() - started
      phases:push(elapsed % interval)
      task.sleep(0.4 * interval)
    end)
    local late = {}
    for i = 1, 9 do
      late[i] = phases:pop(5)
    end
    handle:cancel()
    table.sort(late)
    -- A timer that counts from the end of each call would be late by 0.0, 0.4, 0.8, 0.2,
    -- 0.6 of an interval by turns.
    assert.is_true(late[5] < 0.25 * interval)
  end)

  it("never runs twice at a time, and leaves out what it missed", function()
    local interval, running, most, calls = 0.01, 0, 0, 0
    local started = timer.now()
    local handle = timer.every(interval, function()
      running, calls = running + 1, calls + 1
      most = math.max(most, running)
      task.sleep(2.5 * interval)
      running = running - 1
    end)
    condition.wait_until(function() return calls >= 5 end)
    local slots = (timer.now() - started) / interval
    handle:cancel()
    assert.are.equal(1, most)
    assert.is_true(calls <= slots / 3 + 1)
  end)

  it("goes on after an error, which is logged each time", function()
    local status, errors = run [[
      local timer = require "moonwire.timer"
      local count, handle = 0, nil
      handle = timer.every(0.005, function()
        count = count + 1
        if count == 3 then
          handle:cancel()
        end
        error("tick " .. count .. " failed")
      end)
    ]]
    assert.are.equal(0, status)
    for count = 1, 3 do
      assert.matches("tick " .. count .. " failed", errors)
    end
  end)

  it("ends with the task that made it, also amidst a call", function()
    local entered, left = sync.event(), sync.event()
    local owner = task.spawn(function()
      timer.every(0.005, function()
        entered:set()
        local _ <close> = setmetatable({}, { __close = function() left:set() end })
        task.sleep(60)
      end)
      task.sleep(60)
    end)
    assert.is_true(entered:wait(5))
    owner:cancel()
    owner:join()
    assert.is_true(left:is_set())
  end)

  it("raises for an interval that is none", function()
    for _, interval in ipairs { 0, -1, math.huge, 0 / 0, "1" } do
      local ok, message = pcall(function() timer.every(interval, print) end)
      assert.is_false(ok)
      assert.matches("^%S*timer_spec%.lua:%d+: bad argument #1 to 'every'", message)
    end
  end)
end)

describe("timers", function()
  it("raise at the caller's line for what is no time or no function", function()
    for _, call in ipairs { "after", "every" } do
      local ok, message = pcall(function() timer[call]("soon", print) end)
      assert.is_false(ok)
      assert.matches("^%S*timer_spec%.lua:%d+: bad argument #1 to '" .. call .. "' %(seconds", message)
      ok, message = pcall(function() timer[call](1, "print") end)
      assert.is_false(ok)
      assert.matches("^%S*timer_spec%.lua:%d+: bad argument #2 to '" .. call .. "' %(function", message)
    end
  end)

  it("keep a program running until they are done", function()
    local status, errors = run [[require "moonwire.timer".after(0.02, print, "called")]]
    assert.are.equal(0, status)
    assert.are.equal("called\n", errors)
  end)
end)
