--- A part of a store, for a script that is not trusted: the keys below its service's name, and so much in
--- them. Not for scripts.
---
--- Each worker knows what the service has there from a look at all of it, and what it has changed since.
--- Others may have changed more: when it comes to the limit it looks again.
local core = require "moonwire.core"

local confined = {}

local BYTES <const> = 4 << 20 -- keys and values
local KEYS <const> = 10000
local KEY_MOST <const> = 500 -- bytes, with the prefix
local INTEGER_MOST <const> = 20 -- bytes of one
local PAGE <const> = 100 -- pairs that are looked at together
local LOOK_SECONDS <const> = 10 -- between two looks at all of it

---@class moonwire.store.confined: moonwire.store.backend
---@field private backend moonwire.store.backend
---@field private prefix string
---@field private bytes integer
---@field private keys integer
---@field private looked? number when that was known
local Confined = {}
Confined.__index = Confined

---@param backend moonwire.store.backend
---@param name string of the service
---@return moonwire.store.backend
function confined.new(backend, name)
  local prefix = ("sandbox/%s/"):format(name)
  return setmetatable({ backend = backend, prefix = prefix, bytes = 0, keys = 0 }, Confined)
end

-- --- how much there is

local function look(self)
  local bytes, keys, after = 0, 0, nil
  repeat
    local page, err, code = self.backend:scan(self.prefix, after, PAGE)
    if not page then
      return nil, err, code
    end
    for i = 1, #page, 2 do
      bytes, keys = bytes + #page[i] + #page[i + 1], keys + 1
    end
    after = page[#page - 1]
  until #page < 2 * PAGE or keys > KEYS or bytes > BYTES
  self.bytes, self.keys, self.looked = bytes, keys, core.now()
  return true
end

local function fits(self, bytes, keys)
  return self.bytes + bytes <= BYTES and self.keys + keys <= KEYS
end

-- What a value of so many bytes would add. → bytes, keys | nil, err, code
local function growth(self, key, size)
  local before, err, code = self.backend:get(key)
  if before then
    return size - #before, 0
  elseif code ~= "not_found" then
    return nil, err, code
  end
  return #key + size, 1
end

local function is_too_long(self, key)
  return #self.prefix + #key > KEY_MOST
end

-- The key in the store of a value that may be written, which counts as written then.
local function admit(self, key, size)
  if is_too_long(self, key) then
    return nil, "the key is too long, with the name of the service before it", "too_large"
  end
  key = self.prefix .. key
  local bytes, keys, code = growth(self, key, size)
  if not bytes then
    return nil, keys, code
  end
  local is_due = not self.looked or not fits(self, bytes, keys) and core.now() - self.looked > LOOK_SECONDS
  if is_due then
    local looked, err, why = look(self)
    if not looked then
      return nil, err, why
    end
  end
  if (bytes > 0 or keys > 0) and not fits(self, bytes, keys) then
    return nil, ("the store is full: a sandbox has room for %d keys and %d bytes"):format(KEYS, BYTES), "full"
  end
  self.bytes, self.keys = self.bytes + bytes, self.keys + keys
  return key
end

-- --- as a backend

local function not_found()
  return nil, "not found", "not_found"
end

function Confined:get(key)
  if is_too_long(self, key) then
    return not_found()
  end
  return self.backend:get(self.prefix .. key)
end

function Confined:set(key, bytes, expire, only_new)
  local place, err, code = admit(self, key, #bytes)
  if not place then
    return nil, err, code
  end
  return self.backend:set(place, bytes, expire, only_new)
end

function Confined:delete(key)
  return not is_too_long(self, key) and self.backend:delete(self.prefix .. key)
end

function Confined:incr(key, by, expire)
  local place, err, code = admit(self, key, INTEGER_MOST)
  if not place then
    return nil, err, code
  end
  return self.backend:incr(place, by, expire)
end

function Confined:expire(key, seconds)
  if is_too_long(self, key) then
    return not_found()
  end
  return self.backend:expire(self.prefix .. key, seconds)
end

function Confined:compare_and_set(key, expected, bytes, expire)
  local place, err, code = admit(self, key, bytes and #bytes or 0)
  if not place then
    return nil, err, code
  end
  return self.backend:compare_and_set(place, expected, bytes, expire)
end

function Confined:scan(prefix, after, count)
  if is_too_long(self, prefix) then
    return {}
  end
  local found, err, code = self.backend:scan(self.prefix .. prefix, after and self.prefix .. after, count)
  if not found then
    return nil, err, code
  end
  for i = 1, #found, 2 do
    found[i] = found[i]:sub(#self.prefix + 1)
  end
  return found
end

function Confined:close()
  self.backend:close()
end

return confined
