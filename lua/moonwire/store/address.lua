--- The URL of a store, in its parts. Not for scripts.
local units = require "moonwire.config.units"

local address = {}

---@class moonwire.store.address
---@field url string all of it
---@field scheme string names the backend: lua/moonwire/store/SCHEME.lua
---@field rest string what stands between "SCHEME:" and "?": "///var/lib/moonwire/store", "//cache:6379/0", ""
---@field options table<string, string> what stands behind "?": size=64M&sync=always

local function read_options(query)
  local options = {}
  for pair in query:gmatch "[^&]+" do
    local key, value = pair:match "^([%w_]+)=([^=%c]+)$"
    if not key then
      return nil, ("'%s' is no option; such as size=64M"):format(pair)
    elseif options[key] then
      return nil, ("the option '%s' stands there twice"):format(key)
    end
    options[key] = value
  end
  return options
end

--- Splits a URL; nil and what is wrong with it.
---@param url string
---@return moonwire.store.address?
---@return string? problem
function address.split(url)
  local scheme, rest = url:match "^(%l[%l%d_]*):([^%c%s]*)$"
  if not scheme then
    return nil, 'no URL of a store, such as "lmdb:///var/lib/moonwire/store"'
  end
  local place, query = rest:match "^([^?]*)%??(.*)$"
  local options, problem = read_options(query)
  if not options then
    return nil, problem
  end
  return { url = url, scheme = scheme, rest = place, options = options }
end

--- The option `size` of an address in bytes; nil and what is wrong with it.
---@param of moonwire.store.address
---@param otherwise integer
---@return integer?
---@return string? problem
function address.size(of, otherwise)
  local size = of.options.size
  local bytes = size and units.bytes(size) or otherwise
  if size and (not units.bytes(size) or bytes < 1 << 20 or bytes > 1 << 40) then
    return nil, ('size: from 1M to 1T expected (such as "64M"), got "%s"'):format(size)
  end
  return bytes
end

--- What is wrong with the options of an address, when they are none of these; nil: nothing.
---@param of moonwire.store.address
---@param known table<string, true|table<string, true>> true: any value
---@return string? problem
function address.unknown(of, known)
  local keys = {}
  for key in pairs(known) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for key, value in pairs(of.options) do
    if not known[key] then
      return ("unknown option '%s' (known: %s)"):format(key, table.concat(keys, ", "))
    elseif known[key] ~= true and not known[key][value] then
      return ("option '%s': '%s' is none of its words"):format(key, value)
    end
  end
end

return address
