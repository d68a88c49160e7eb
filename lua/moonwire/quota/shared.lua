--- A quota that is counted over the store, by all who have the same key. While the store is away it counts by
--- itself, and tells the store later. Not for scripts.
local log = require "moonwire.log"
local store = require "moonwire.store"

local shared = {}

---@class moonwire.quota.shared: moonwire.quota
---@field limit integer bytes
---@field used integer bytes, as far as is known here
---@field private key string
---@field private unsaid integer bytes that the store has not been told of
local Shared = { __name = "moonwire.quota" }
Shared.__index = Shared

-- Adds to the count, and what could not be told before. → whether the store has it
local function add(self, bytes)
  local unsaid = self.unsaid
  self.unsaid = 0
  local sum, err = store.incr(self.key, bytes + unsaid)
  if not sum then
    self.unsaid = self.unsaid + unsaid + bytes
    self.used = self.used + bytes
    if not self.is_away then
      log.warn("a quota is counted by this worker alone: the store is away", { key = self.key, error = err })
    end
    self.is_away = true
    return false
  end
  self.used, self.is_away = sum, false
  return true
end

-- Has the store begin with what was counted, unless somebody has changed it since it was looked at.
local function begin(self, before, counted)
  local begun, err, code = store.compare_and_set(self.key, before, counted)
  if begun then
    self.used = counted
  elseif code == "conflict" then
    add(self, 0)
  else
    self.is_away = true
    log.warn("a quota is counted by this worker alone: the store is away", { key = self.key, error = err })
  end
end

--- A quota of that key.
---@param key string
---@param limit integer bytes
---@param count fun(): integer?, string?, moonwire.code? counts the files; waits
---@param recount boolean whether they are counted although the store has a number
---@return moonwire.quota?
---@return string? err
---@return moonwire.code?
function shared.new(key, limit, count, recount)
  local self = setmetatable({ key = key, limit = limit, used = 0, unsaid = 0, is_away = false }, Shared)
  local before = store.get(key)
  if math.type(before) == "integer" and not recount then
    self.used = before
    return self
  end
  local counted, err, code = count()
  if not counted then
    return nil, err, code
  end
  self.used = counted
  begin(self, before, counted)
  return self
end

--- Whether a value is one.
---@param value any
---@return boolean
function shared.is_one(value)
  return getmetatable(value) == Shared
end

--- Takes bytes before they are written. May wait for the store.
---@param bytes integer
---@return boolean is_taken false: there is no room for them
function Shared:take(bytes)
  if self.is_away and self.used + bytes > self.limit and not add(self, 0) then
    return false
  end
  add(self, bytes)
  if self.used > self.limit then
    add(self, -bytes)
    return false
  end
  return true
end

--- Gives back bytes of what was removed, or not written after all. May wait for the store.
---@param bytes integer
function Shared:give(bytes)
  add(self, -bytes)
  self.used = math.max(self.used, 0)
end

return shared
