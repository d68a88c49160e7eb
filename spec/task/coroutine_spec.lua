-- Coroutines that scripts make: whatever waits may be called in them.
local core = require "moonwire.core"
local net = require "moonwire.net"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

local function results(...)
  return { n = select("#", ...), ... }
end

describe("a coroutine of the script's own", function()
  it("may wait, while other tasks run", function()
    local numbers = sync.queue(1)
    local other <close> = task.group()
    other:spawn(function()
      for i = 1, 3 do
        numbers:push(i)
      end
      numbers:close()
    end)
    local generate = coroutine.wrap(function()
      for number in numbers:values() do
        coroutine.yield(number * 10)
      end
    end)
    local order = {}
    for number in generate do
      order[#order + 1] = number
    end
    assert.same({ 10, 20, 30 }, order)
  end)

  it("may wait inside others, and keeps what each yields and returns", function()
    local inner = coroutine.create(function(...)
      local got = results(coroutine.yield(task.sleep(0.001), ...))
      task.yield()
      return "returned", table.unpack(got, 1, got.n)
    end)
    local outer = coroutine.wrap(function(...)
      local first = results(coroutine.resume(inner, ...))
      task.sleep(0.001)
      coroutine.yield(table.unpack(first, 1, first.n))
      return coroutine.resume(inner, 7, nil, 8)
    end)
    assert.same({ n = 4, true, true, "a", nil }, results(outer("a", nil)))
    assert.same({ n = 5, true, "returned", 7, nil, 8 }, results(outer()))
    assert.equal("dead", coroutine.status(inner))
  end)

  it("may read and write streams", function()
    local a, b = net.pair()
    local lines = coroutine.wrap(function()
      for line in a:lines() do
        coroutine.yield(line)
      end
    end)
    task.spawn(function()
      for i = 1, 3 do
        b:write("line ", i, "\n")
        task.sleep(0.001)
      end
      b:close()
    end)
    assert.same({ "line 1", "line 2", "line 3" }, { lines(), lines(), lines() })
    assert.is_nil(lines())
  end)

  it("gets what the task is woken with", function()
    local waiters = core.waiters.new("test")
    local woken = task.spawn(function()
      return coroutine.wrap(function() return waiters:wait() end)()
    end)
    task.yield()
    assert.equal("test", woken:waits_for())
    waiters:wake("one", nil, 3)
    assert.same({ n = 3, "one", nil, 3 }, results(woken:join()))
  end)

  it("has the connection, the group and the deadline of its task", function()
    local function wait_for_long()
      return coroutine.wrap(function() return task.sleep(60) end)()
    end
    assert.same({ n = 3, nil, "timeout", "timeout" }, results(task.with_timeout(0.01, wait_for_long)))
    local child
    local parent = task.spawn(function()
      coroutine.wrap(function() child = task.spawn(task.sleep, 60) end)()
    end)
    task.yield()
    parent:cancel()
    parent:join()
    assert.equal("done", child:status())
  end)

  it("is where the cancelling of the task is raised, and runs what closes there", function()
    local order = {}
    local cancelled = task.spawn(function()
      local own = coroutine.create(function()
        local _ <close> = setmetatable({}, { __close = function() order[#order + 1] = "closed" end })
        task.sleep(60)
      end)
      local ok, fault = coroutine.resume(own)
      order[#order + 1] = tostring(ok) .. " " .. fault.code
      coroutine.close(own)
      error(fault, 0)
    end)
    task.yield()
    cancelled:cancel()
    assert.equal("cancelled", select(3, cancelled:join()))
    assert.same({ "false cancelled", "closed" }, order)
  end)

  it("cannot be resumed or closed by others while it waits", function()
    local own = coroutine.create(function()
      task.sleep(0.01)
      return "waited"
    end)
    local first = task.spawn(function() return coroutine.resume(own) end)
    task.yield()
    assert.same({ false, "cannot resume a coroutine that waits" }, { coroutine.resume(own) })
    assert.has_error(function() coroutine.close(own) end, "cannot close a coroutine that runs or waits")
    assert.same({ true, "waited" }, { first:join() })
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(own) })
    assert.is_true(coroutine.close(own))
  end)

  it("may be resumed by one task after the other", function()
    local own = coroutine.create(function()
      for i = 1, 4 do
        task.sleep(0.001)
        coroutine.yield(i)
      end
    end)
    for i = 1, 4 do
      assert.same({ true, i }, { task.spawn(coroutine.resume, own):join() })
    end
  end)

  it("cannot wait where a function in C does not let it", function()
    local list = setmetatable({}, {
      __len = function() return 1 end,
      __index = function() return coroutine.wrap(function() task.sleep(0) end)() end,
    })
    local ok, message = pcall(table.concat, list)
    assert.is_false(ok)
    assert.matches("cannot wait here: ", message, 1, true)
  end)
end)

describe("the functions of coroutine", function()
  it("do as Lua's do", function()
    local own = coroutine.create(function(a)
      local b = coroutine.yield(a + 1)
      error("raised " .. b, 0)
    end)
    assert.same({ true, 2 }, { coroutine.resume(own, 1) })
    assert.equal("suspended", coroutine.status(own))
    assert.same({ false, "raised x" }, { coroutine.resume(own, "x") })
    assert.equal("dead", coroutine.status(own))
    assert.same({ false, "raised x" }, { coroutine.close(own) })

    local running = coroutine.running()
    assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(running) })
    local own_status
    local inside = coroutine.create(function(self)
      own_status = coroutine.status(self)
      return coroutine.resume(self)
    end)
    assert.same({ true, false, "cannot resume non-suspended coroutine" },
      { coroutine.resume(inside, inside) })
    assert.equal("running", own_status)
    assert.has_error(function() coroutine.resume(1) end)
    assert.has_error(function() coroutine.wrap(1) end)
  end)

  it("add the place of the caller to an error in a wrapped one, and pass other values", function()
    local fails = coroutine.wrap(function() error "inside" end)
    local _, message = pcall(function() return (fails()) end)
    assert.matches("^[^:]+:%d+: [^:]+:%d+: inside$", message)
    assert.matches("cannot resume dead coroutine", select(2, pcall(fails)))
    local value = {}
    assert.equal(value, select(2, pcall(coroutine.wrap(function() error(value) end))))
  end)

  it("close what is suspended, and give the error of what closes", function()
    local closed
    local own = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function()
        closed = true
        error("closing", 0)
      end })
      coroutine.yield()
    end)
    coroutine.resume(own)
    assert.same({ false, "closing" }, { coroutine.close(own) })
    assert.is_true(closed)
    assert.is_true(coroutine.close(coroutine.create(print)))
  end)

  it("nest until Lua's limit, and say so", function()
    local function nest(depth)
      return coroutine.wrap(function() return nest(depth + 1) end)()
    end
    local ok, message = pcall(nest, 1)
    assert.is_false(ok)
    assert.matches("C stack overflow", message, 1, true)
  end)
end)
