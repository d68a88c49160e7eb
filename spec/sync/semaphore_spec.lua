local sync = require "moonwire.sync"
local task = require "moonwire.task"

local function settle()
  for _ = 1, 5 do
    task.yield()
  end
end

describe("a semaphore", function()
  it("lets so many in, and no more", function()
    local semaphore = sync.semaphore(2)
    assert.is_true(semaphore:acquire())
    assert.is_true(semaphore:acquire())
    assert.are.equal(0, semaphore:available())
    assert.are.same({ n = 3, nil, "timeout", "timeout" }, table.pack(semaphore:acquire(0)))
    assert.are.same({ n = 3, nil, "timeout", "timeout" }, table.pack(semaphore:acquire(0.01)))
    semaphore:release()
    assert.is_true(semaphore:acquire(0))
  end)

  it("lets in first who came first, and nobody past them", function()
    local semaphore, order = sync.semaphore(1), {}
    semaphore:acquire()
    local tasks = {}
    for i = 1, 4 do
      tasks[i] = task.spawn(function()
        semaphore:acquire()
        order[#order + 1] = i
        semaphore:release()
      end)
    end
    settle()
    semaphore:release()
    assert.is_nil((semaphore:acquire(0)))
    for i = 1, 4 do
      tasks[i]:join()
    end
    assert.are.same({ 1, 2, 3, 4 }, order)
    assert.are.equal(1, semaphore:available())
  end)

  it("passes the permit on when the woken task is cancelled before it runs", function()
    local semaphore = sync.semaphore(1)
    semaphore:acquire()
    local first = task.spawn(function() semaphore:acquire() end)
    settle()
    local second = task.spawn(function() return semaphore:acquire() end)
    settle()
    semaphore:release()
    first:cancel()
    assert.is_true(second:join())
    assert.are.equal(0, semaphore:available())
    semaphore:release()
    assert.are.equal(1, semaphore:available())
  end)

  it("forgets who gave up", function()
    local semaphore = sync.semaphore(1)
    semaphore:acquire()
    assert.is_nil((semaphore:acquire(0.01)))
    assert.is_nil((task.with_timeout(0.01, semaphore.acquire, semaphore)))
    semaphore:release()
    assert.are.equal(1, semaphore:available())
  end)

  it("raises when it is released more often than acquired", function()
    local semaphore = sync.semaphore(1)
    local ok, message = pcall(function() semaphore:release() end)
    assert.is_false(ok)
    assert.matches("^%S*semaphore_spec%.lua:%d+: semaphore released more often than acquired$", message)
  end)

  it("raises for permits that are none", function()
    for _, permits in ipairs { 0, 2.5, "1" } do
      assert.has_error(function() sync.semaphore(permits) end)
    end
  end)

  describe("with", function()
    it("holds a permit while the function runs, and gives its results", function()
      local semaphore = sync.semaphore(1)
      local results = table.pack(semaphore:with(function(...)
        assert.are.equal(0, semaphore:available())
        task.yield()
        return ...
      end, 1, nil, 3))
      assert.are.same({ n = 3, 1, nil, 3 }, results)
      assert.are.equal(1, semaphore:available())
    end)

    it("lays the permit down when the function raises", function()
      local semaphore = sync.semaphore(1)
      local ok, message = pcall(semaphore.with, semaphore, function() error("boom", 0) end)
      assert.is_false(ok)
      assert.are.equal("boom", message)
      assert.are.equal(1, semaphore:available())
    end)

    it("lays the permit down when its task is cancelled", function()
      local semaphore = sync.semaphore(1)
      local holder = task.spawn(function() semaphore:with(task.sleep, 60) end)
      settle()
      assert.are.equal(0, semaphore:available())
      holder:cancel()
      assert.is_true(semaphore:acquire(5))
    end)

    it("refuses what is no function before it takes a permit", function()
      local semaphore = sync.semaphore(1)
      local ok, message = pcall(function() semaphore:with("x") end)
      assert.is_false(ok)
      assert.matches("semaphore_spec%.lua:%d+: bad argument #1 to 'with' %(function expected", message)
      assert.are.equal(1, semaphore:available())
    end)
  end)

  it("bounds how many run at a time", function()
    local semaphore, inside, most = sync.semaphore(3), 0, 0
    local group <close> = task.group()
    for _ = 1, 20 do
      group:spawn(function()
        semaphore:with(function()
          inside = inside + 1
          most = math.max(most, inside)
          task.yield()
          inside = inside - 1
        end)
      end)
    end
    assert.is_true(group:wait())
    assert.are.equal(3, most)
    assert.are.equal(3, semaphore:available())
    assert.are.equal("moonwire.semaphore: 3 of 3 free", tostring(semaphore))
  end)
end)
