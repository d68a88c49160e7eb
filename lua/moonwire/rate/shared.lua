--- So many events at once, and so many a second after that, for each of many clients: counted over the store,
--- by all workers together, and by all daemons that share one. Not for scripts.
---
--- The store keeps for each client when it will have been forgiven everything, in nanoseconds of the clock on
--- the wall (GCRA). A worker that has used up quickly what it took from there takes more the next time, for
--- the second that comes: then it need not ask for each event. Nor does it for a client that is refused,
--- until it may succeed. While the store is away each worker counts by itself.
local bucket = require "moonwire.rate.bucket"
local clients = require "moonwire.rate.clients"
local codec = require "moonwire.codec"
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local log = require "moonwire.log"
local store = require "moonwire.store"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

local shared = {}

local SECOND <const> = 1000000000 -- nanoseconds
local LONGEST <const> = 1 << 60 -- nanoseconds, 36 years, until a client is forgiven everything
local TRIES_MOST <const> = 20 -- while others take from the same client
local STORE_SECONDS <const> = 1 -- that an event waits for the store
local AWAY_SECONDS <const> = 5 -- until a store that has failed is asked again
local TAKEN_SECONDS <const> = 1 -- for which what was taken holds
local SHARE <const> = 8 -- of what may come at once, which one worker takes at most
local KEY_MOST <const> = 200 -- bytes of a client that stands in a key of the store as it is

---@class moonwire.rate.shared
---@field private prefix string of keys
---@field private interval integer nanoseconds that one event takes
---@field private burst integer
---@field private clients moonwire.rate.clients
---@field private own moonwire.rate.bucket counts while the store is away
---@field private away? number until when the store is not asked
local Shared = {}
Shared.__index = Shared

local function make_client()
  return { left = 0, took = 0, at = -math.huge, free_at = -math.huge, due = nil, turn = sync.semaphore(1) }
end

---@param name string those with the same one count together
---@param rate number events a second
---@param burst integer events at once
---@param max integer clients
---@return moonwire.rate.shared
function shared.new(name, rate, burst, max)
  return setmetatable({
    name = name, prefix = ("rate/%s/"):format(name), burst = burst, own = bucket.new(rate, burst, max),
    interval = math.max(1, math.ceil(math.min(SECOND / rate, LONGEST // burst))),
    clients = clients.new(max, burst / rate, make_client),
  }, Shared)
end

local function key_of(self, key)
  return self.prefix .. (#key <= KEY_MOST and key or codec.hex_encode(crypto.digest("sha256", key)))
end

-- --- the store

-- What was there last, unless it must be gone by now; nil: nobody knows of any.
local function guess(client, now)
  local due = client.due
  return due and due > now and due or nil
end

-- Takes up to `wanted` events if the store holds `held`.
-- → count, nanoseconds to wait when that is 0 | nil, err, code
local function exchange(self, name, client, now, held, wanted)
  local from = math.type(held) == "integer" and math.max(held, now) or now
  local free = (self.burst * self.interval - (from - now)) // self.interval
  if free < 1 then
    client.due = held
    return 0, from - now - (self.burst - 1) * self.interval
  end
  local count = math.min(wanted, free)
  local due = from + count * self.interval
  local changed, err, code = store.compare_and_set(name, held, due, { expire = (due - now) / SECOND })
  if not changed then
    return nil, err, code
  end
  client.due = due
  return count, 0
end

-- The same, whatever it holds.
local function take(self, key, client, wanted)
  local name, now = key_of(self, key), math.tointeger(core.wall() * SECOND // 1)
  local held = guess(client, now)
  for _ = 1, TRIES_MOST do
    local count, rest, code = exchange(self, name, client, now, held, wanted)
    if count or code ~= "conflict" then
      return count, rest, code
    end
    held, rest, code = store.get(name)
    if held == nil and code ~= "not_found" then
      return nil, rest, code
    end
  end
  return nil, "too many others change it", "conflict"
end

-- How many to take: more than the last time if those were used up quickly.
local function appetite(self, client)
  local is_quick = core.now() - client.at < TAKEN_SECONDS
  return is_quick and math.min(2 * client.took, math.max(1, self.burst // SHARE)) or 1
end

local function note_failure(self, err)
  if not self.is_away then
    log.warn("a rate limit counts in each worker by itself: the store is away",
      { limit = self.name, error = err })
  end
  self.is_away, self.away = true, core.now() + AWAY_SECONDS
end

local function note_success(self)
  if self.is_away then
    log.info("a rate limit counts over the store again", { limit = self.name })
  end
  self.is_away, self.away = false, nil
end

-- --- events

-- Whether there is one that was taken already.
local function use(client)
  local left = core.now() - client.at < TAKEN_SECONDS and client.left or 0
  client.left = math.max(left - 1, 0)
  return left > 0
end

-- A store that cannot be opened raises its fault.
local function try(ok, count, rest)
  if ok then
    return count, rest
  end
  local code, message = core.is_fault(count)
  if not code or code == "cancelled" then
    error(count, 0)
  end
  return nil, message
end

-- Seconds to wait; nil: the store is away. Others of this worker may have asked meanwhile.
local function ask(self, key, client)
  if use(client) then
    return 0
  end
  local count, rest = try(pcall(task.with_timeout, STORE_SECONDS, take, self, key, client,
    math.max(1, appetite(self, client))))
  if not count then
    return note_failure(self, rest)
  end
  note_success(self)
  if count == 0 then
    client.free_at = core.now() + rest / SECOND
    return math.max(rest / SECOND, 0)
  end
  client.left, client.took, client.at = count - 1, count, core.now()
  return 0
end

--- Counts an event, if it may be. May wait for the store, for a second at most.
---@param key string
---@return number seconds to wait until the next; 0: this one is fine, and counted
function Shared:take(key)
  local client, now = self.clients:find(key), core.now()
  if use(client) then
    return 0
  elseif now < client.free_at then
    return client.free_at - now
  elseif self.away and now < self.away then
    return self.own:take(key)
  end
  return client.turn:with(ask, self, key, client) or self.own:take(key)
end

return shared
