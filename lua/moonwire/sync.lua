--- What tasks agree by: queues, semaphores, events, and waiting for the first
--- of several. All of them serve who came first, and lose nothing when a task
--- that waits is cancelled or runs out of time. They work within one Lua state:
--- between workers there is the bus.
local Event = require "moonwire.sync.event"
local Queue = require "moonwire.sync.queue"
local Semaphore = require "moonwire.sync.semaphore"
local check = require "moonwire.check"
local select = require "moonwire.sync.select"

local sync = {}

---@class moonwire.select_options
---@field [integer] moonwire.queue|moonwire.event|moonwire.semaphore|moonwire.task
---@field timeout? number seconds; 0: does not wait; default: for ever

--- A queue of values from tasks for tasks.
---@param limit integer how many values it holds at most; above it push waits
---@return moonwire.queue
function sync.queue(limit)
  check.count(limit, 1, "queue")
  return Queue.new(limit)
end

--- A semaphore: so many tasks may be inside at a time.
---@param permits integer
---@return moonwire.semaphore
function sync.semaphore(permits)
  check.count(permits, 1, "semaphore")
  return Semaphore.new(permits)
end

--- An event that has not happened yet.
---@return moonwire.event
function sync.event()
  return Event.new()
end

--- Waits for the first of several queues, events, semaphores and tasks. Of
--- those that are ready already the first in the list counts. Nothing is taken
--- from the others, and nothing at all when time is up or the task is cancelled.
--- A queue gives its value, or `nil, "closed", "closed"`; an event true; a
--- semaphore true, with the permit taken; a task what it returned.
---@param options moonwire.select_options
---@return integer? index which one was ready
---@return any ... what it gives; on failure err and code: "timeout"
function sync.select(options)
  local ok, sources = pcall(select.read, options)
  if not ok then
    error(sources, 2)
  end
  return select.first(sources)
end

return sync
