--- The backend "memory:": a table of this Lua state, which nobody else sees. Not for scripts.
local address = require "moonwire.store.address"
local core = require "moonwire.core"

---@class moonwire.store.memory: moonwire.store.backend
---@field private entries table<string, { bytes: string, due: number? }> those past their time included
---@field private keys string[]? of all entries, in order; nil: some have come or gone since
---@field private used integer bytes
---@field private most integer bytes
---@field private swept number when those past their time were last looked for
local Memory = {}
Memory.__index = Memory

local WEIGHT <const> = 100 -- bytes that an entry counts for besides key and value
local SWEEP_EVERY <const> = 10 -- seconds

local function put(self, key, entry)
  local before = self.entries[key]
  self.entries[key] = entry
  if (before == nil) ~= (entry == nil) then
    self.keys = nil
  end
  self.used = self.used + (entry and #key + #entry.bytes + WEIGHT or 0)
    - (before and #key + #before.bytes + WEIGHT or 0)
end

local function find(self, key)
  local entry = self.entries[key]
  if entry and entry.due and entry.due <= core.now() then
    put(self, key, nil)
    return nil
  end
  return entry
end

local function sweep(self)
  local now = core.now()
  self.swept = now
  for key, entry in pairs(self.entries) do
    if entry.due and entry.due <= now then
      put(self, key, nil)
    end
  end
end

-- Whether there is room for an entry.
local function has_room(self, key, bytes)
  local before = self.entries[key]
  local growth = #key + #bytes + WEIGHT - (before and #key + #before.bytes + WEIGHT or 0)
  return growth <= 0 or self.used + growth <= self.most
end

local function write(self, key, bytes, due)
  if core.now() - self.swept > SWEEP_EVERY or not has_room(self, key, bytes) then
    sweep(self)
  end
  if not has_room(self, key, bytes) then
    return nil, ("set %q: the store is full"):format(key), "full"
  end
  put(self, key, { bytes = bytes, due = due })
  return true
end

local function due_in(seconds)
  return seconds and core.now() + seconds
end

function Memory:get(key)
  local entry = find(self, key)
  if not entry then
    return nil, ("get %q: not found"):format(key), "not_found"
  end
  return entry.bytes
end

function Memory:set(key, bytes, expire, only_new)
  if only_new and find(self, key) then
    return nil, ("set %q: it exists"):format(key), "exists"
  end
  return write(self, key, bytes, due_in(expire))
end

function Memory:delete(key)
  local was_there = find(self, key) ~= nil
  put(self, key, nil)
  return was_there
end

function Memory:incr(key, by, expire)
  local entry = find(self, key)
  local before = entry and math.tointeger(entry.bytes:find "^%-?%d+$" and tonumber(entry.bytes) or nil)
  if entry and not before then
    return nil, ("incr %q: it holds no integer"):format(key), "invalid"
  end
  local sum = (before or 0) + by
  if (by > 0) ~= (sum > (before or 0)) and by ~= 0 then
    return nil, ("incr %q: the sum is too large"):format(key), "invalid"
  end
  local due = due_in(expire)
  if entry then
    due = entry.due
  end
  local ok, err, code = write(self, key, ("%d"):format(sum), due)
  if not ok then
    return nil, err, code
  end
  return sum
end

function Memory:expire(key, seconds)
  local entry = find(self, key)
  if not entry then
    return nil, ("expire %q: not found"):format(key), "not_found"
  end
  entry.due = due_in(seconds)
  return true
end

function Memory:compare_and_set(key, expected, bytes, expire)
  local entry = find(self, key)
  if (entry and entry.bytes) ~= expected then
    return nil, "conflict", "conflict"
  elseif bytes then
    return write(self, key, bytes, due_in(expire))
  end
  put(self, key, nil)
  return true
end

-- The place of the first key that is not before `key`.
local function place_of(keys, key)
  local low, high = 1, #keys + 1
  while low < high do
    local middle = (low + high) // 2
    if keys[middle] < key then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

local function sorted_keys(self)
  if not self.keys then
    local keys = {}
    for key in pairs(self.entries) do
      keys[#keys + 1] = key
    end
    table.sort(keys)
    self.keys = keys
  end
  return self.keys
end

function Memory:scan(prefix, after, count)
  local keys, found = sorted_keys(self), {}
  local from = after and after >= prefix and after .. "\0" or prefix
  for i = place_of(keys, from), #keys do
    local key = keys[i]
    if key:sub(1, #prefix) ~= prefix or #found == 2 * count then
      break
    end
    local entry = self.entries[key]
    if entry and not (entry.due and entry.due <= core.now()) then
      found[#found + 1] = key
      found[#found + 1] = entry.bytes
    end
  end
  return found
end

function Memory:close()
  self.entries, self.keys, self.used = {}, nil, 0
end

local memory = { shared = false }

local SIZE <const> = 64 << 20

---@param of moonwire.store.address
---@return string? problem
function memory.check(of)
  local _, problem = address.size(of, SIZE)
  if of.rest ~= "" then
    return "memory: has no path"
  end
  return address.unknown(of, { size = true }) or problem
end

---@param of moonwire.store.address
---@return moonwire.store.memory
function memory.open(of)
  local most = address.size(of, SIZE)
  return setmetatable({ entries = {}, used = 0, most = most, swept = core.now() }, Memory)
end

return memory
