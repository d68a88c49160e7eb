---@meta
-- luacheck: ignore 212 241

--- A place that a client has taken, from tally_places:enter. It closes with the task that took it; `keep`
--- changes that.
---@class moonwire.tally_place
local tally_place = {}

--- Gives the place back. May be called again.
function tally_place:close() end

--- Lets it outlive the task that took it: it is the service's now.
---@return moonwire.tally_place self
function tally_place:keep() end

return tally_place
