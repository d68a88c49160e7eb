---@meta
-- luacheck: ignore 212 241

--- A process that process.spawn started. It is asked to end when the task that
--- started it ends (SIGTERM), and killed when it does not; `keep` changes that.
---@class moonwire.child
---@field stdin? moonwire.stream what is written here it reads; nil unless "stream" was asked for
---@field stdout? moonwire.stream what it writes to standard output
---@field stderr? moonwire.stream what it writes to standard error
local child = {}

--- Waits until it has ended, and says how. May be called by several tasks, and
--- again later.
---@param seconds? number how long at most; default: for ever
---@return integer? status what it ended with; 128 and the signal's number when one ended it
---@return string? signal the name of that signal, such as "kill"; or err
---@return moonwire.code? code "timeout": it runs on
function child:wait(seconds) end

--- How it has ended; nil while it runs.
---@return integer? status as of wait
---@return string? signal
function child:status() end

--- Sends a signal to it, and to all that it has started unless `group` is false.
---@param signal? string name such as "term", "kill", "hup", "stop"; default "term"
---@return true? sent
---@return string? err
---@return moonwire.code? code "closed" (it has ended), "denied"
function child:kill(signal) end

--- The id of the process.
---@return integer
function child:id() end

--- Closes its streams and asks it to end; past `kill_after` seconds it is killed.
--- Does not wait for that: `wait` does. May be called again.
function child:close() end

--- Lets it outlive the task that started it, and its streams too: they are the
--- service's now.
---@return moonwire.child child itself
function child:keep() end
