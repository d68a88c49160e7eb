---@meta moonwire.core
-- luacheck: ignore 212 241

--- Plain data as bytes. Internal, as all of moonwire.core.
---@class moonwire.core
local core = {}

core.data = {}

--- Plain data as bytes, for another state or process. Raises for what is none, naming the way to it.
---@param value any
---@param name? string what the value is called then; default "value"
---@param level? integer whose line is blamed, as of error(); default 1, the caller
---@return string bytes
function core.data.encode(value, name, level) end

---@param bytes string
---@return any value nil for nil, too
---@return string? err
---@return moonwire.code? code "invalid"
function core.data.decode(bytes) end

return core
