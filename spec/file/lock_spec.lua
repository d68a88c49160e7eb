local condition = require "spec.support.condition"
local core = require "moonwire.core"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local task = require "moonwire.task"

local TIMEOUT <const> = { n = 3, nil, "timeout", "timeout" }

describe("a lock", function()
  local place, root

  before_each(function()
    place = folder.new()
    root = assert(file.root(place.path))
  end)

  after_each(function()
    root:close()
    place:remove()
  end)

  -- Whether another program gets it at once.
  local function is_free(kind)
    return process.run { "flock", "--nonblock", kind or "--exclusive", place.path .. "/lock", "true" } == 0
  end

  it("keeps other programs out until it is closed", function()
    local lock = assert(root:lock "lock")
    assert.is_false(is_free())
    assert.is_false(is_free "--shared")
    lock:close()
    assert.is_true(is_free())
  end)

  it("may be shared", function()
    local first <close> = assert(root:lock("lock", { exclusive = false }))
    local second <close> = assert(root:lock("lock", { exclusive = false }))
    assert.is_true(first:is_open() and second:is_open())
    assert.is_true(is_free "--shared")
    assert.is_false(is_free())
    assert.are.same(TIMEOUT, table.pack(root:lock("lock", { timeout = 0 })))
  end)

  it("is awaited until another process ends, while all else goes on", function()
    local other <close> = process.start { moonwire.binary, "run", "-e", ([[
      local file = require "moonwire.file"
      local lock = assert(file.lock(%q))
      print "locked"
      require "moonwire.task".sleep(60)
    ]]):format(place.path .. "/lock") }
    condition.wait_until(function() return other:errors():find("locked", 1, true) end)
    local started = core.now()
    assert.are.same(TIMEOUT, table.pack(root:lock("lock", { timeout = 0.05 })))
    assert.is_true(core.now() - started >= 0.05)
    local waiting = {}
    for i = 1, 10 do -- more than there are threads
      waiting[i] = task.spawn(function()
        local lock <close> = assert(root:lock("lock", { timeout = 20 }))
        return lock:is_open()
      end)
    end
    task.sleep(0.03)
    assert.is_true(root:write("meanwhile", "x"))
    other:signal "KILL"
    for i = 1, 10 do
      assert.is_true(waiting[i]:join(20))
    end
  end)

  it("is not had by a task that was cancelled, or past its deadline", function()
    local held = assert(root:lock "lock")
    local waiting = task.spawn(root.lock, root, "lock")
    task.sleep(0.02)
    waiting:cancel()
    assert.are.equal("cancelled", select(3, waiting:join()))
    assert.are.same(TIMEOUT, table.pack(task.with_timeout(0.02, root.lock, root, "lock")))
    held:close()
    condition.wait_until(is_free)
  end)

  it("is given up when it comes to nobody", function()
    for _ = 1, 20 do
      local opened <close> = assert(root:open("lock", "update"))
      local waiting = task.spawn(opened.lock, opened)
      task.yield()
      waiting:cancel()
      condition.wait_until(is_free)
    end
  end)

  it("may be put on an open file and taken off", function()
    local opened <close> = assert(root:open("lock", "update"))
    assert.is_true(opened:lock())
    assert.is_false(is_free())
    assert.is_true(opened:lock { exclusive = false })
    assert.is_true(is_free "--shared")
    assert.is_true(opened:unlock())
    assert.is_true(is_free())
    local other <close> = assert(root:lock "lock")
    assert.are.same(TIMEOUT, table.pack(opened:lock { timeout = 0.01 }))
    assert.is_true(other:is_open())
  end)

  it("leaves what the file holds", function()
    place:write("lock", "content")
    local lock <close> = assert(root:lock "lock")
    assert.are.equal("content", root:read "lock")
    assert.is_true(lock:is_open())
  end)
end)
