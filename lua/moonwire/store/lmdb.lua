--- The backend "lmdb:": a file of this machine, which all workers and generations of the daemon share. Not
--- for scripts.
---
---     lmdb:                           in the folder that the daemon gives it, gone with the daemon
---     lmdb:///var/lib/moonwire/store  in that folder, and kept
local address = require "moonwire.store.address"
local core = require "moonwire.core"

local lmdb = { shared = true }

local SIZE <const> = 64 << 20

---@param of moonwire.store.address
---@return string? problem
function lmdb.check(of)
  local _, problem = address.size(of, SIZE)
  if of.rest ~= "" and not of.rest:find "^///[^/]" then
    return 'an absolute path expected, such as "lmdb:///var/lib/moonwire/store"'
  end
  return address.unknown(of, { size = true }) or problem
end

---@param of moonwire.store.address
---@param folder? string for an address without a path
---@return moonwire.store.backend?
---@return string? err
---@return moonwire.code?
function lmdb.open(of, folder)
  local size = address.size(of, SIZE)
  if of.rest ~= "" then
    return core.store.open(of.rest:sub(3), size, true)
  elseif not folder then
    return nil, "open store lmdb: it has no path, as it may in the config alone", "invalid"
  end
  return core.store.open(folder, size, false)
end

return lmdb
