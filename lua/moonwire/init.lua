--- What concerns the service as a whole.
local core = require "moonwire.core"

local moonwire = {}

---@class moonwire.memory_use
---@field used integer bytes that live values and garbage take
---@field taken integer bytes that the service has from the system; what is freed is kept for reuse
---@field limit? integer bytes that it may take; nil: no limit

--- How much memory the scripts of this service use. Buffers of connections are not
--- part of it; they have marks of their own.
---@return moonwire.memory_use
moonwire.memory = core.memory

return moonwire
