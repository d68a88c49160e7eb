---@meta moonwire.core
-- luacheck: ignore 212 241

--- Networks with numbers. Internal, as all of moonwire.core.
---@class moonwire.core
local core = {}

core.ipset = {}

--- Each network has its place in the list for a number.
---@param networks string[]
---@return moonwire.ipset_table? table nil: one is no network
---@return integer? place of that one
---@return string? why
function core.ipset.table(networks) end

--- Each network has the place of its value for a number.
---@param text string
---@return moonwire.ipset_table? table nil: a line is wrong
---@return any[]|integer? values or that line
---@return string? why
function core.ipset.parse(text) end

---@param address string
---@param v4_bits integer
---@param v6_bits integer
---@return string? network
function core.ipset.network(address, v4_bits, v6_bits) end

---@class moonwire.ipset_table
local ipset_table = {}

--- The number of the most specific network that holds an address.
---@param address string
---@return integer?
function ipset_table:find(address) end

---@return integer
function ipset_table:count() end

return core
