---@meta
-- luacheck: ignore 212 241

--- Compresses what comes bit by bit, from compress.encoder.
---@class moonwire.encoder
local encoder = {}

--- Takes in data, and returns what there is of its compressed form, often nothing yet.
---@param data string
---@param flush? boolean all that was taken in can be decompressed then; costs some bytes. Default false
---@return string? bytes
---@return string? err
---@return moonwire.code? code "full": no thread is free; "busy"; "closed": it failed before; "memory"
function encoder:add(data, flush) end

--- The rest of the compressed form. It takes nothing in any more.
---@param data? string the last of it; default ""
---@return string? bytes
---@return string? err
---@return moonwire.code? code "full": no thread is free; "busy"; "closed": it failed before; "memory"
function encoder:finish(data) end

--- Decompresses what comes bit by bit, from compress.decoder.
---@class moonwire.decoder
local decoder = {}

--- Takes in compressed bytes, and returns the data that they hold, all that can be known of it.
---@param bytes string
---@return string? data
---@return string? err
---@return moonwire.code? code "too_large"; "invalid": damaged; "full"; "busy"; "closed"; "memory"
function decoder:add(bytes) end

--- Says that there are no more bytes. It takes nothing in any more.
---@return boolean? complete true
---@return string? err
---@return moonwire.code? code "invalid": the end is missing; "busy"; "closed": it failed before
function decoder:finish() end
