--- Keys and values that outlive a connection, and a generation of the code: counts, sessions, bans, the last
--- words of a chat. What the default store is says the config (`store`), or `moonwire run --store URL`.
---
---     local count = store.incr("visits/" .. address, 1, { expire = 60 })
---
--- Functions of this module work on the default store; store.open gives others, with the same functions as
--- methods.
local Store = require "moonwire.store.handle"
local backend = require "moonwire.store.backend"
local check = require "moonwire.check"
local confined = require "moonwire.store.confined"
local core = require "moonwire.core"

local store = {}

---@class moonwire.store_set_options
---@field expire? number|false seconds until it is gone; false: never, the default
---@field only_new? boolean only when the key is not there

---@class moonwire.store_expire_options
---@field expire? number|false seconds

---@class moonwire.store_scan_options
---@field max? integer keys at most; default 1000
---@field after? string begins behind this key

--- Opens a store. Nothing is connected before the first use.
---@param url string "memory:", "lmdb:///var/lib/moonwire/store?size=256M", "redis://cache.example"
---@return moonwire.store?
---@return string? err
---@return moonwire.code?
function store.open(url)
  check.type(url, "string", 1, "open")
  local module, of = backend.find(url)
  if not module then
    check.refuse(1, "open", of)
  end
  local opened, err, code = module.open(of)
  if not opened then
    return nil, err, code
  end
  return Store.new(opened, url)
end

-- The folder is that of an address that names none.
local function open_default()
  local url, folder, name = core.store.default()
  local module, of = backend.find(url or "memory:")
  local opened, err, code
  if module then
    opened, err, code = module.open(of, folder)
  else
    err, code = ("open store %s: %s"):format(url, of), "invalid"
  end
  if not opened then
    error(core.fault(code, err), 0)
  elseif core.sandbox then
    opened = confined.new(opened, name)
  end
  return Store.new(opened, url or "memory:")
end

local default

-- Opened at the first use; raises a fault when it cannot be.
local function get_default()
  default = default or open_default()
  return default
end

-- Calls of the module are calls of the method, also for whose line a mistake is.

--- What is kept under a key.
---@param key string
---@return any value
---@return string? err
---@return moonwire.code? code "not_found"
function store.get(key)
  return Store.get(get_default(), key)
end

--- Keeps a value under a key, for a time or until it is replaced. Plain data only, as on the bus; raises for
--- all else.
---@param key string 1 to 500 bytes
---@param value any not nil; 1 MiB at most
---@param options? moonwire.store_set_options
---@return true?
---@return string? err
---@return moonwire.code? code "exists", "full", "too_large"
function store.set(key, value, options)
  return Store.set(get_default(), key, value, options)
end

--- Takes a key away.
---@param key string
---@return boolean? was_there
---@return string? err
---@return moonwire.code? code
function store.delete(key)
  return Store.delete(get_default(), key)
end

--- Counts: adds to the integer under a key, from 0 when it is not there.
---@param key string
---@param by? integer default 1; may be negative
---@param options? moonwire.store_expire_options of a key that this makes; later ones change nothing
---@return integer? sum
---@return string? err
---@return moonwire.code? code "invalid": it is no integer, or would not fit; "full"
function store.incr(key, by, options)
  return Store.incr(get_default(), key, by, options)
end

--- Sets when a key that is there will be gone.
---@param key string
---@param seconds number|false from now; false: never
---@return true?
---@return string? err
---@return moonwire.code? code "not_found"
function store.expire(key, seconds)
  return Store.expire(get_default(), key, seconds)
end

--- Changes a key only if it holds what is expected; in one step, whoever else writes. An integer and a float
--- are different.
---@param key string
---@param expected any nil: it is not there
---@param value any nil: it is taken away
---@param options? moonwire.store_expire_options
---@return true?
---@return string? err
---@return moonwire.code? code "conflict": it holds something else; "full", "too_large"
function store.compare_and_set(key, expected, value, options)
  return Store.compare_and_set(get_default(), key, expected, value, options)
end

--- Goes through the keys that begin with `prefix`, in order of their bytes. A key that comes or goes
--- meanwhile may be among them or not. Raises a fault when the store cannot be read.
---@param prefix string may be empty
---@param options? moonwire.store_scan_options
---@return fun(): string?, any next key, value
function store.scan(prefix, options)
  return Store.scan(get_default(), prefix, options)
end

return store
