--- Connections that are kept for the next request. Not for scripts.
---
--- A place is kept under a key, which holds all that makes one connection another than the next. Whether a
--- link is still open only the link knows: counts are upper bounds, and are made good when they are reached.
local core = require "moonwire.core"

local Pool = {}
Pool.__index = Pool

---@param total integer connections at once
---@param per_key integer of these, under one key
---@param keep number seconds that one may rest
function Pool.new(total, per_key, keep)
  return setmetatable({
    total = total, per_key = per_key, keep = keep, places = {}, count = 0, waiting = 0,
    waiters = core.waiters.new("connection of a pool"),
  }, Pool)
end

local function place_of(pool, key)
  local place = pool.places[key]
  if not place then
    place = { links = setmetatable({}, { __mode = "k" }), count = 0, idle = {},
      waiters = core.waiters.new("connection of a pool") }
    pool.places[key] = place
  end
  return place
end

-- Counts what is there, and forgets what has closed.
local function count_place(place)
  local count, idle = 0, {}
  for link in next, place.links do
    if link:is_open() then
      count = count + 1
    else
      place.links[link] = nil
    end
  end
  for _, link in ipairs(place.idle) do
    if place.links[link] then
      idle[#idle + 1] = link
    end
  end
  place.count, place.idle = count, idle
  return count
end

local function count_all(pool)
  local count = 0
  for key, place in next, pool.places do
    local here = count_place(place)
    count = count + here
    if here == 0 and place.waiters:is_empty() then
      pool.places[key] = nil
    end
  end
  pool.count = count
end

-- One that rests elsewhere makes room.
local function close_idle(pool)
  for _, place in next, pool.places do
    local link = table.remove(place.idle, 1)
    if link then
      place.links[link], place.count, pool.count = nil, place.count - 1, pool.count - 1
      link:close()
      return true
    end
  end
  return false
end

-- The last one used is the most likely to be alive.
local function take_idle(pool, place)
  local link = table.remove(place.idle)
  while link do
    local stream = link:use()
    if stream then
      return link, stream
    end
    place.links[link] = nil
    place.count, pool.count = place.count - 1, pool.count - 1
    link = table.remove(place.idle)
  end
end

-- A new link, if there is room.
local function open(pool, key, place)
  if place.count >= pool.per_key and count_place(place) >= pool.per_key then
    return nil, place.waiters
  end
  if pool.count >= pool.total then
    count_all(pool)
    if pool.count >= pool.total and not close_idle(pool) then
      return nil, pool.waiters
    end
  end
  pool.places[key] = place
  local link = core.http.link(place.waiters, pool.waiters)
  place.links[link] = true
  place.count, pool.count = place.count + 1, pool.count + 1
  return link
end

-- Woken and then cancelled: the next in line has its turn.
local function wait(pool, waiters, seconds)
  local guard <close> = setmetatable({}, { __close = function(self)
    pool.waiting = pool.waiting - 1
    if not self.done then
      waiters:wake()
    end
  end })
  pool.waiting = pool.waiting + 1
  local _, err, code = waiters:wait(seconds)
  guard.done = true
  return code == nil, err, code
end

--- A connection, or a place for one. Waits while there are too many.
---@param key string
---@param seconds? number to wait at most
---@return table? link the running task's
---@return any stream, or nil: to be connected; or err
---@return moonwire.code? code "timeout"
function Pool:take(key, seconds)
  local place = place_of(self, key)
  local waits, due = self.waiting > 0 and not place.waiters:is_empty(), nil
  while true do
    local link, stream
    local waiters = place.waiters
    if not waits then
      link, stream = take_idle(self, place)
      if link then
        return link, stream
      end
      link, waiters = open(self, key, place)
      if link then
        return link
      end
    end
    due = due or core.now() + (seconds or math.huge)
    local ok, err, code = wait(self, waiters, math.max(due - core.now(), 0))
    if not ok then
      return nil, err, code
    end
    waits = false
  end
end

--- Gives a connection back that may be used again.
---@param key string
---@param link table
function Pool:give(key, link)
  local place = self.places[key]
  if not place or not place.links[link] then
    link:close()
  elseif link:rest(self.keep) then
    place.idle[#place.idle + 1] = link
    if self.waiting > 0 and not place.waiters:wake() then
      self.waiters:wake()
    end
  end
end

--- Closes what rests.
function Pool:close()
  for _, place in next, self.places do
    for _, link in ipairs(place.idle) do
      link:close()
    end
    place.idle = {}
  end
end

return Pool
