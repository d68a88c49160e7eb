--- Timers: functions that are called later, or again and again, each time as a
--- task that may wait. A timer belongs to the task that made it and ends with it.
local check = require "moonwire.check"
local core = require "moonwire.core"

local timer = {}

---@class moonwire.timer
---@field private wakeup table wakes the task of the timer when it is cancelled
---@field private cancelled boolean
local Timer = { __name = "moonwire.timer" }
Timer.__index = Timer

local function new()
  return setmetatable({ wakeup = core.waiters.new("timer"), cancelled = false }, Timer)
end

-- Whether the moment came; false: the timer was cancelled before.
local function wait_until(handle, due)
  while not handle.cancelled do
    local left = due - core.now()
    if left <= 0 then
      return true
    end
    handle.wakeup:wait(left)
  end
  return false
end

local function run_once(handle, due, fn, ...)
  if wait_until(handle, due) then
    return fn(...)
  end
end

-- The next moment of the schedule that is still to come: what was missed is skipped.
local function next_due(due, seconds)
  local missed = (core.now() - due) // seconds
  return due + seconds * (missed > 0 and missed + 1 or 1)
end

local function run_again(handle, seconds, fn, ...)
  local due = core.now() + seconds
  while wait_until(handle, due) do
    core.task.spawn(fn, ...):join()
    due = next_due(due, seconds)
  end
end

--- Calls a function once, after a time.
---@param seconds number fractional, not negative
---@param fn function called with the other arguments
---@param ... any
---@return moonwire.timer
function timer.after(seconds, fn, ...)
  check.seconds(seconds, 1, "after")
  check.callable(fn, 2, "after")
  local handle = new()
  core.task.spawn(run_once, handle, core.now() + seconds, fn, ...)
  return handle
end

--- Calls a function again and again, for the first time after one interval. The
--- schedule does not drift. The function never runs twice at a time: calls that
--- fall due while it still runs are left out. An error in it is logged, and the
--- timer goes on.
---@param seconds number the interval, above 0
---@param fn function called with the other arguments
---@param ... any
---@return moonwire.timer
function timer.every(seconds, fn, ...)
  check.seconds(seconds, 1, "every")
  check.callable(fn, 2, "every")
  if seconds == 0 or seconds == math.huge then
    check.refuse(1, "every", "an interval above 0 expected")
  end
  local handle = new()
  core.task.spawn(run_again, handle, seconds, fn, ...)
  return handle
end

--- The time on the clock that timers and deadlines go by. It never jumps; its
--- zero means nothing. Read once a turn of the loop: it stands still while a task runs.
---@return number seconds
function timer.now()
  return core.now()
end

--- The function is not called any more. A call that runs already goes on to its
--- end. May be called again.
function Timer:cancel()
  check.object(self, Timer, "cancel")
  self.cancelled = true
  self.wakeup:wake()
end

function Timer:__tostring()
  return "moonwire.timer: " .. (self.cancelled and "cancelled" or "active")
end

return timer
