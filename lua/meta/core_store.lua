---@meta moonwire.core
-- luacheck: ignore 212 241

--- The store in a file. Internal, as all of moonwire.core.
---@class moonwire.core
local core = {}

core.store = {}

--- Opens the store in a folder, which is made if it is not there.
---@param folder string
---@param size integer bytes that it may take
---@param keep boolean its times are by the calendar
---@return moonwire.store_file?
---@return string? err
---@return moonwire.code?
function core.store.open(folder, size, keep) end

--- Where the default store is: what config or command line say.
---@return string? url nil: nothing
---@return string? folder of the daemon's own, for an address without a path
---@return string name of the service
function core.store.default() end

--- A backend: lua/moonwire/store/handle.lua says what each function does. None of them waits.
---@class moonwire.store_file: moonwire.store.backend
local file = {}

---@param key string
---@return string? bytes
---@return string? err
---@return moonwire.code? code "not_found"
function file:get(key) end

---@param key string
---@param bytes string
---@param seconds? number
---@param only_new boolean
---@return true?
---@return string? err
---@return moonwire.code? code "exists", "full"
function file:set(key, bytes, seconds, only_new) end

---@param key string
---@return boolean? was_there
---@return string? err
---@return moonwire.code?
function file:delete(key) end

---@param key string
---@param by integer
---@param seconds? number
---@return integer? sum
---@return string? err
---@return moonwire.code? code "invalid", "full"
function file:incr(key, by, seconds) end

---@param key string
---@param seconds? number
---@return true?
---@return string? err
---@return moonwire.code? code "not_found"
function file:expire(key, seconds) end

---@param key string
---@param expected? string
---@param bytes? string
---@param seconds? number
---@return true?
---@return string? err
---@return moonwire.code? code "conflict", "full"
function file:compare_and_set(key, expected, bytes, seconds) end

---@param prefix string
---@param after? string
---@param count integer
---@return string[]? pairs
---@return string? err
---@return moonwire.code?
function file:scan(prefix, after, count) end

--- Bytes that keys and values take, and may take.
---@return integer used
---@return integer most
function file:usage() end

function file:close() end

return core
