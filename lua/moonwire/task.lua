--- Tasks: functions that run side by side and may wait anywhere. What a task
--- starts ends with it: its children are cancelled and awaited when it returns,
--- and its streams close.
local check = require "moonwire.check"
local core = require "moonwire.core"

local task = {}

--- Starts a task. It runs when this one waits, and ends before this one does: it
--- belongs to the group that was opened last, or to the running task itself. An
--- error in it is logged with its traceback.
---@param fn function called with the other arguments
---@param ... any
---@return moonwire.task
task.spawn = core.task.spawn

--- The running task.
---@return moonwire.task
task.current = core.task.current

--- Waits. Others run meanwhile.
---@param seconds number fractional, not negative; 0 waits for the next turn of the loop
---@return true
task.sleep = core.task.sleep

--- Lets the other tasks that are ready run first.
---@return true
task.yield = core.task.yield

--- Opens a group: tasks that end together. `local group <close> = task.group()`
--- cancels and awaits them at the end of the block. When one of them fails, the
--- others are cancelled. Until it is closed, task.spawn of this task puts tasks
--- into it, and past its deadline every wait of this task raises "timeout".
---@param seconds? number from now to the deadline; default: none
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
