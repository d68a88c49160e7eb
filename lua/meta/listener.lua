---@meta
-- luacheck: ignore 212 241

--- A socket that takes connections, from net.listen or net.serve. It closes with
--- the task that opened it; `keep` changes that.
---@class moonwire.listener
local listener = {}

--- Waits for a connection. Only for listeners of net.listen; those of net.serve
--- take their connections themselves.
---@param seconds? number how long at most; default: for ever
---@return moonwire.stream? stream closes with the running task
---@return string? err
---@return moonwire.code? code "timeout", "closed", "busy" (another task waits here)
function listener:accept(seconds) end

--- Stops listening. Connections that are open stay. A task that waits in accept
--- gets "closed". May be called again.
function listener:close() end

--- The address it listens on, with the port that the kernel chose for port 0.
---@return string? address "127.0.0.1:7000", "[::]:7000", "unix:///run/x.sock"
---@return string? err
---@return moonwire.code? code "closed"
function listener:local_address() end

--- Whether it has not been closed.
---@return boolean
function listener:is_open() end

--- Lets the listener, and the tasks of its connections, outlive the task that
--- opened it: they are the service's now. Somebody must keep a reference to it.
---@return moonwire.listener listener itself
function listener:keep() end
