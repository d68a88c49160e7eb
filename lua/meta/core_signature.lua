---@meta moonwire.core
-- luacheck: ignore 212 241

--- What is looked for in the bytes of streams. Internal, as all of moonwire.core.
---@class moonwire.core
local core = {}

core.signature = {}

--- A set of signatures, whose numbers are their places.
---@param list table[] { text, whether it is an expression, how many first bytes are looked at }
---@return moonwire.signature_set? set nil: one is wrong
---@return integer? place of that one
---@return string? why
function core.signature.set(list) end

---@class moonwire.signature_set
local signature_set = {}

--- What looks at a stream.
---@return moonwire.signature_scan
function signature_set:scan() end

---@class moonwire.signature_scan
local signature_scan = {}

--- Looks at the next bytes.
---@param bytes string
---@param last? boolean nothing comes behind them
---@return integer[]? numbers that were found; those that gave up are negative; nil: none
function signature_scan:feed(bytes, last) end

--- Whether no more bytes can change anything.
---@return boolean
function signature_scan:is_done() end

return core
