local sync = require "moonwire.sync"
local task = require "moonwire.task"

local function settle()
  for _ = 1, 5 do
    task.yield()
  end
end

describe("an event", function()
  it("wakes all who wait, and those who come later", function()
    local event, waiting = sync.event(), {}
    for i = 1, 3 do
      waiting[i] = task.spawn(function() return event:wait() end)
    end
    settle()
    assert.is_false(event:is_set())
    assert.are.equal("event", waiting[1]:waits_for())
    event:set()
    assert.is_true(event:is_set())
    for i = 1, 3 do
      assert.is_true(waiting[i]:join())
    end
    assert.is_true(event:wait())
    assert.is_true(event:wait(0))
  end)

  it("makes tasks wait again when it is cleared", function()
    local event = sync.event()
    event:set()
    event:set()
    event:clear()
    assert.is_false(event:is_set())
    assert.are.same({ n = 3, nil, "timeout", "timeout" }, table.pack(event:wait(0)))
    assert.are.same({ n = 3, nil, "timeout", "timeout" }, table.pack(event:wait(0.01)))
  end)

  it("does not call back whom it has woken", function()
    local event = sync.event()
    local waiting = task.spawn(function() return event:wait() end)
    settle()
    event:set()
    event:clear()
    assert.is_true(waiting:join(5))
  end)

  it("wakes those who stay when others gave up", function()
    local event = sync.event()
    local cancelled = task.spawn(function() event:wait() end)
    local expired = task.spawn(function() return event:wait(0.01) end)
    local staying = task.spawn(function() return event:wait() end)
    settle()
    cancelled:cancel()
    assert.are.equal("timeout", select(2, expired:join()))
    event:set()
    assert.is_true(staying:join())
    assert.are.equal("cancelled", select(3, cancelled:join()))
  end)

  it("keeps no trace of waits that are over", function()
    local event = sync.event()
    collectgarbage()
    local before = collectgarbage "count"
    for _ = 1, 2000 do
      task.with_timeout(0, event.wait, event)
    end
    for _ = 1, 20 do
      event:wait(0.001)
    end
    collectgarbage()
    collectgarbage() -- what has a finalizer goes in the second cycle
    assert.is_true(collectgarbage "count" - before < 64)
  end)

  it("says what it is, and refuses a dot for a colon", function()
    local event = sync.event()
    assert.are.equal("moonwire.event: clear", tostring(event))
    event:set()
    assert.are.equal("moonwire.event: set", tostring(event))
    local ok, message = pcall(function() event.wait(1) end)
    assert.is_false(ok)
    assert.matches("^%S*event_spec%.lua:%d+: moonwire%.event expected", message)
  end)
end)
