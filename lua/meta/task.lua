---@meta
-- luacheck: ignore 212 241

--- A task, from task.spawn or task.current.
---@class moonwire.task
local task = {}

--- Waits for its end and returns what its function returned. When it ended
--- otherwise: `nil, err, code`, where code is "cancelled", that of the fault which
--- was raised in it, or "error" for any other error, which was logged already.
--- After "timeout" it goes on.
---@param seconds? number how long at most; default: for ever
---@return any ...
function task:join(seconds) end

--- Ends its wait: "cancelled" is raised there, and at every later wait of it, so
--- that it leaves. Does not wait for its end. Nothing happens when it has ended.
function task:cancel() end

--- What it does.
---@return "ready"|"running"|"waiting"|"ending"|"done" status ending: it waits for the tasks that it started
function task:status() end

--- What it waits for, for status pages and messages.
---@return string? name "read", "write", "sleep", "queue", …; nil when it does not wait
function task:waits_for() end

--- Tasks that end together, from task.group. The first that fails cancels the
--- others. A group belongs to the task that opened it and ends with it.
---@class moonwire.group
local group = {}

--- Starts a task in the group. It runs when this one waits.
---@param fn function called with the other arguments
---@param ... any
---@return moonwire.task
function group:spawn(fn, ...) end

--- Waits until all its tasks have ended. When one of them failed, err and code
--- are those of the first, as task:join tells them. After "timeout" they go on.
---@param seconds? number how long at most; default: for ever
---@return true? done
---@return string? err
---@return moonwire.code? code "timeout", "cancelled", "error", …
function group:wait(seconds) end

--- Cancels all its tasks, and those that are spawned into it later. Does not wait.
function group:cancel() end

--- Cancels all its tasks and waits for their end. So does the end of the block of
--- `local group <close> = task.group()`. May be called again.
function group:close() end

--- Whether the deadline that it was opened with is over.
---@private
---@return boolean
function group:expired() end
