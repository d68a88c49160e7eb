---@meta
-- luacheck: ignore 212 241

--- A number that grows, such as how many requests there were.
---@class moonwire.counter
local counter = {}

--- Adds to it. Values of its labels, one each, in the order in which they were named.
---@param amount number not negative
---@param ... string|number
function counter:add(amount, ...) end

--- A number that rises and falls, such as how many are connected.
---@class moonwire.gauge
local gauge = {}

--- Sets it in this worker.
---@param value number
---@param ... string|number values of its labels
function gauge:set(value, ...) end

--- Adds to it.
---@param amount number less than 0: takes away
---@param ... string|number values of its labels
function gauge:add(amount, ...) end

--- How often which values occur, such as how long answers take.
---@class moonwire.histogram
local histogram = {}

--- Counts a value in its bucket.
---@param value number
---@param ... string|number values of its labels
function histogram:observe(value, ...) end
