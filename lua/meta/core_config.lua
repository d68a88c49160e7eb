---@meta moonwire.core
-- luacheck: ignore 212 241

--- What judging configs and scripts needs. Internal, as all of moonwire.core.
---@class moonwire.core
local core = {}

--- Calls a function as pcall does, and ends it when it computes for longer, whatever it catches. It may not
--- wait.
---@param seconds number of the processor
---@param fn function
---@param ... any
---@return boolean ok
---@return any ... what it returned, or the error
function core.attempt(seconds, fn, ...) end

---@class moonwire.scratch_options
---@field sandbox? boolean the state is one for scripts from others
---@field memory? integer bytes that it may take
---@field name? string of the service, for the log

--- Calls a function of a module in a Lua state of its own, which is gone after. It may not wait.
---@param options moonwire.scratch_options
---@param module string
---@param name string of the function
---@param ... string|boolean|nil
---@return string|boolean|nil ...
function core.scratch(options, module, name, ...) end

core.config = {}

--- The files that fit a pattern, in the order of their names.
---@param pattern string
---@return string[]
function core.config.files(pattern) end

---@class moonwire.listen_address
---@field scheme "tcp"|"udp"|"unix"|"fd"
---@field name string the one spelling
---@field kind "stream"|"datagram"
---@field port? integer

--- Reads an address to listen on.
---@param text string
---@return moonwire.listen_address?
---@return string? why it is none
function core.config.address(text) end

--- Whether a text is a network.
---@param text string
---@return true?
---@return string? why it is none
function core.config.network(text) end

return core
