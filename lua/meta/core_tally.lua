---@meta moonwire.core
-- luacheck: ignore 212 241

--- How much clients have. Internal, as all of moonwire.core.
---@class moonwire.core
local core = {}

core.tally = {}

---@param name string
---@param v4_bits integer
---@param v6_bits integer
---@param rate number
---@param burst number
---@return moonwire.tally_rate
function core.tally.rate(name, v4_bits, v6_bits, rate, burst) end

---@param name string
---@param v4_bits integer
---@param v6_bits integer
---@param most integer
---@return moonwire.tally_places
function core.tally.places(name, v4_bits, v6_bits, most) end

return core
