--- Tasks: functions that run side by side and may wait anywhere. What a task
--- starts ends with it: its children are cancelled and awaited when it returns,
--- and its streams close.
local check = require "moonwire.check"
local core = require "moonwire.core"

local task = {}

---@class moonwire.task
---@field join fun(self: moonwire.task, seconds?: number): ... waits for its end; what it returned, or `nil, err, code`
---@field cancel fun(self: moonwire.task) raises "cancelled" at its wait and at every later one
---@field status fun(self: moonwire.task): "ready"|"running"|"waiting"|"ending"|"done"
---@field waits_for fun(self: moonwire.task): string? what it waits for: "read", "sleep", …

---@class moonwire.group
---@field spawn fun(self: moonwire.group, fn: function, ...): moonwire.task starts a task in the group
---@field wait fun(self: moonwire.group, seconds?: number): true?, string?, string? waits for all; `nil, err, code` of the first that failed
---@field cancel fun(self: moonwire.group) cancels all its tasks
---@field close fun(self: moonwire.group) cancels all its tasks and waits for their end

--- Starts a task in the group of the running one. It runs when this one waits.
---@param fn function called with the other arguments
---@param ... any
---@return moonwire.task
task.spawn = core.task.spawn

--- The running task.
---@return moonwire.task
task.current = core.task.current

--- Waits.
---@param seconds number fractional, not negative
---@return true
task.sleep = core.task.sleep

--- Lets the other tasks that are ready run first.
---@return true
task.yield = core.task.yield

--- Opens a group: tasks that end together. `local group <close> = task.group()`
--- cancels and awaits them at the end of the block. When one of them fails, the
--- others are cancelled.
---@return moonwire.group
task.group = core.task.group

-- The scope is closed before anything is returned, so that no task is left behind.
local function leave(scope, ok, ...)
  scope:close()
  if ok then
    return ...
  end
  if core.is_fault(...) == "timeout" and scope:expired() then
    return nil, "timeout", "timeout"
  end
  error((...), 0)
end

--- Calls a function under a deadline that covers everything it waits for. Past
--- it the wait raises, the function is left, and the tasks it started are
--- cancelled and awaited. Scopes nest: the nearest deadline counts.
---@param seconds number fractional, not negative
---@param fn function called with the other arguments
---@param ... any
---@return any ... what fn returned, or `nil, "timeout", "timeout"`
function task.with_timeout(seconds, fn, ...)
  check.seconds(seconds, 1, "with_timeout")
  check.callable(fn, 2, "with_timeout")
  local scope = core.task.group(seconds)
  return leave(scope, xpcall(fn, core.task.keep_traceback, ...))
end

return task
