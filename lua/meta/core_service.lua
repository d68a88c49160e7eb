---@meta moonwire.core
-- luacheck: ignore 212 241

--- A service and the daemon that it is of. Internal, as all of moonwire.core.
---@class moonwire.core
local core = {}

--- What the main task of a daemon's service tells the daemon. Raises elsewhere.
core.service = {}

--- One more door, before `ready`.
---@param door moonwire.door
---@param ctx moonwire.ctx
---@param options? moonwire.serve_options
---@param name string a new one
function core.service.door(door, ctx, options, name) end

--- The service has started and could serve.
---@param functions moonwire.service
---@param ctx moonwire.ctx
---@param options? moonwire.serve_options
function core.service.ready(functions, ctx, options) end

--- The service cannot start.
---@param message string
function core.service.fail(message) end

--- Whether connections come.
---@return boolean
function core.service.is_serving() end

--- The next bound datagram socket, the caller's from now on.
---@return integer? descriptor
function core.service.take_datagram() end

--- Waits for the end of the last connection. Main task only.
---@param seconds number
---@return boolean ended false: some are left
function core.service.drain(seconds) end

--- Seconds that are allowed for stopping.
---@return number
function core.service.drain_time() end

--- Answers an operator's request.
---@param id integer
---@param text string JSON
function core.service.answer(id, text) end

return core
