--- Queues. Scripts get them from moonwire.sync.
---
--- Two gates count the values and the room for more. A value lies in the queue
--- until the task that takes it runs, so a task that is cancelled on its way
--- takes nothing along.
local Gate = require "moonwire.sync.gate"
local check = require "moonwire.check"

---@class moonwire.queue
---@field private filled table the gate with a permit for each value
---@field private room table the gate with a permit for each value that may come
---@field private stored any[] the values, from `head` to `tail`
---@field private head integer
---@field private tail integer
---@field private closed boolean
local Queue = { __name = "moonwire.queue" }
Queue.__index = Queue

---@param limit integer
---@return moonwire.queue
function Queue.new(limit)
  return setmetatable({
    filled = Gate.new(0), room = Gate.new(limit), stored = {}, head = 1, tail = 0, closed = false,
  }, Queue)
end

local function refuse_nil(value, name)
  if value == nil then
    error(("bad argument #1 to '%s' (a queue holds no nil; use false or a table)"):format(name), 3)
  end
end

local function append(queue, value)
  queue.tail = queue.tail + 1
  queue.stored[queue.tail] = value
  queue.filled:release()
end

local function take(queue)
  local head = queue.head
  local value = queue.stored[head]
  queue.stored[head] = nil
  queue.head = head + 1
  queue.room:release()
  if queue.closed and queue.head > queue.tail then
    queue.filled:finish()
  end
  return value
end

-- What a task gets that came through the gate, or will never.
local function collect(queue, granted)
  if granted then
    return take(queue)
  end
  return nil, "closed", "closed"
end

--- Adds a value at the end. Waits while the queue is full; who came first goes
--- first.
---@param value any not nil
---@return true? pushed
---@return string? err
---@return moonwire.code? code "closed"
function Queue:push(value)
  check.object(self, Queue, "push")
  refuse_nil(value, "push")
  -- It may be closed while this task has its permit and does not run yet.
  if self.closed or not Gate.enter(self.room, nil, "queue") or self.closed then
    return nil, "closed", "closed"
  end
  append(self, value)
  return true
end

--- Adds a value at the end if there is room. Never waits.
---@param value any not nil
---@return true? pushed
---@return string? err
---@return moonwire.code? code "full", "closed"
function Queue:try_push(value)
  check.object(self, Queue, "try_push")
  refuse_nil(value, "try_push")
  if self.closed then
    return nil, "closed", "closed"
  end
  if not self.room:try() then
    return nil, "full", "full"
  end
  append(self, value)
  return true
end

--- Takes the first value. Waits while there is none; who came first gets it
--- first. A closed queue still gives what it holds.
---@param seconds? number how long to wait at most; 0: does not wait; default: for ever
---@return any value nil on failure
---@return string? err
---@return moonwire.code? code "timeout"; "closed": closed, and nothing is left
function Queue:pop(seconds)
  check.object(self, Queue, "pop")
  check.optional_seconds(seconds, 1, "pop")
  local granted = Gate.enter(self.filled, seconds, "queue")
  if granted == nil then
    return nil, "timeout", "timeout"
  end
  return collect(self, granted)
end

local function next_value(queue)
  return (queue:pop())
end

--- Takes value after value, waiting for each: `for value in queue:values() do`.
--- Ends when the queue is closed and empty.
---@return fun(queue: moonwire.queue): any
---@return moonwire.queue
function Queue:values()
  check.object(self, Queue, "values")
  return next_value, self
end

--- Ends the queue: nothing is added any more, tasks that wait in push get
--- "closed". What it holds can still be taken. May be called again.
function Queue:close()
  check.object(self, Queue, "close")
  if self.closed then
    return
  end
  self.closed = true
  self.room:finish()
  if self.head > self.tail then
    self.filled:finish()
  end
end

--- How many values it holds.
---@return integer
function Queue:count()
  check.object(self, Queue, "count")
  return self.tail - self.head + 1
end

-- For select: the gate, and what it gives.
function Queue:__source()
  return self.filled, collect
end

function Queue:__tostring()
  local count = self.tail - self.head + 1
  return ("moonwire.queue: %d values%s"):format(count, self.closed and ", closed" or "")
end

return Queue
