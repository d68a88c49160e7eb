--- Who is banned, until when and why: in the store, where all workers and machines find it, and in a table
--- that is asked for each connection.
local bus = require "moonwire.bus"
local check = require "moonwire.check"
local codec = require "moonwire.codec"
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local following = require "moonwire.gate.following"
local ipset = require "moonwire.ipset"
local log = require "moonwire.log"
local store = require "moonwire.store"
local task = require "moonwire.task"

local SCAN_MOST <const> = 1000
local LIFE_BYTES <const> = 16
local SWEEP_SECONDS <const> = 1 -- between two searches for bans that are over, when there is no room

---@class moonwire.gate.ban
---@field ends number
---@field reason string
---@field seen number when it was heard of last
---@field unstored? boolean the store did not take it

---@class moonwire.gate_bans
---@field private name string
---@field private entries table<string, moonwire.gate.ban> by network
---@field private followed table<string, table<moonwire.stream, true>> by network
---@field private life? string of what the store has: another one, when it has lost all
---@field private count integer
---@field private most integer
---@field private seconds number
---@field private prefixes moonwire.ipset_network_options
---@field private swept number
local Bans = { __name = "moonwire.gate_bans" }
Bans.__index = Bans

local function key_of(self, network)
  return ("gate/bans/%s/%s"):format(self.name, network)
end

local function topic_of(self)
  return "gate.bans." .. self.name
end

local function sweep(self, now)
  self.swept = now
  for network, entry in pairs(self.entries) do
    if entry.ends <= now then
      self.entries[network] = nil
      self.count = self.count - 1
    end
  end
end

-- False when there is no room for one more.
local function note(self, network, seconds, reason)
  local now = core.now()
  if self.count >= self.most and now - self.swept >= SWEEP_SECONDS then
    sweep(self, now)
  end
  local is_new = not self.entries[network]
  if is_new and self.count >= self.most then
    return false
  end
  self.count = self.count + (is_new and 1 or 0)
  self.entries[network] = { ends = now + seconds, reason = reason, seen = now }
  following.cut(self.followed, network)
  return true
end

local function forget(self, network)
  if self.entries[network] then
    self.entries[network] = nil
    self.count = self.count - 1
  end
end

local function is_ban(value)
  return type(value) == "table" and type(value.ends) == "number" and type(value.reason) == "string"
end

local function publish(self, network, seconds, reason)
  bus.publish(topic_of(self), { network = network, seconds = seconds, reason = reason })
end

-- nil, err: it is to be tried again.
local function keep(self, network, entry)
  local seconds = entry.ends - core.now()
  local value = { reason = entry.reason, ends = os.time() + math.ceil(seconds) }
  local ok, err = store.set(key_of(self, network), value, { expire = seconds })
  entry.unstored = not ok
  return ok, err
end

-- Whether the store is another one than before: one that has been down and kept nothing.
local function has_lost_all(self)
  local key, before = "gate/lives/" .. self.name, self.life
  local life = store.get(key)
  if not life then
    store.compare_and_set(key, nil, codec.hex_encode(crypto.random_bytes(LIFE_BYTES)))
    life = assert(store.get(key))
  end
  self.life = life
  return before ~= nil and before ~= life
end

-- Takes what the store has. Returns the networks.
local function read_all(self)
  local prefix, known, last = key_of(self, ""), {}, nil
  repeat
    local count = 0
    task.yield() -- a store that never waits may have many
    for key, value in store.scan(prefix, { max = SCAN_MOST, after = last }) do
      count, last = count + 1, key
      if is_ban(value) and value.ends > os.time() then
        known[key:sub(#prefix + 1)] = true
        note(self, key:sub(#prefix + 1), value.ends - os.time(), value.reason)
      end
    end
  until count < SCAN_MOST
  return known
end

-- What the store has not is over, unless it could not be kept or has been lost there. What came to be while
-- the store was read stays.
local function reconcile(self)
  local begun, is_lost = core.now(), has_lost_all(self)
  local known, gone = read_all(self), {}
  for network, entry in pairs(self.entries) do
    gone[#gone + 1] = not known[network] and entry.seen < begun and network or nil
  end
  for _, network in ipairs(gone) do
    local entry = self.entries[network]
    if not entry or entry.ends <= core.now() or not (is_lost or entry.unstored) then
      forget(self, network)
    elseif keep(self, network, entry) then
      publish(self, network, entry.ends - core.now(), entry.reason)
    end
  end
end

local function read_again(self)
  local ok, fault = pcall(reconcile, self)
  if not ok and core.is_fault(fault) == "cancelled" then
    error(fault, 0)
  elseif not ok then
    log.warn("bans cannot be read", { name = self.name, reason = tostring(fault) })
  end
end

-- What others say of bans. The values are those of our own publish.
local function listen(self, subscription)
  for message in subscription do
    if message.seconds then
      note(self, message.network, message.seconds, message.reason)
    else
      forget(self, message.network)
    end
  end
end

---@param name string
---@param options table checked
---@return moonwire.gate_bans
local function new(name, options)
  local self = setmetatable({
    name = name, entries = {}, followed = {}, count = 0, swept = 0, most = options.most or 100000,
    seconds = options.seconds or 600,
    prefixes = { ipv4_prefix = options.ipv4_prefix or 32, ipv6_prefix = options.ipv6_prefix or 64 },
  }, Bans)
  task.spawn(listen, self, bus.subscribe(topic_of(self)))
  read_again(self)
  task.spawn(function()
    while true do
      task.sleep(options.refresh or 10)
      read_again(self)
    end
  end)
  return self
end

--- Bans a client, or the network that the prefixes make of its address. Holds in this worker at once, in the
--- others as soon as they hear of it.
---@param client string its address, with a port or without
---@param reason string
---@param seconds? number default: that of the list
---@return string? network that is banned
---@return string? err
---@return moonwire.code? code "invalid": no address of the internet; "full"
function Bans:add(client, reason, seconds)
  check.object(self, Bans, "add")
  check.type(client, "string", 1, "add")
  check.type(reason, "string", 2, "add")
  check.optional_seconds(seconds, 3, "add")
  local network = ipset.network(client, self.prefixes)
  if not network then
    return nil, ("ban %s: no address"):format(client), "invalid"
  end
  seconds = math.min(seconds or self.seconds, 1 << 31)
  if not note(self, network, seconds, reason) then
    return nil, "full", "full"
  end
  publish(self, network, seconds, reason)
  local ok, err = keep(self, network, self.entries[network])
  if not ok then
    log.warn("a ban is not stored", { name = self.name, network = network, reason = err })
  end
  return network
end

--- Why a client is banned, if it is.
---@param client string
---@return string? reason nil: it is not
---@return number? seconds that are left
function Bans:find(client)
  check.object(self, Bans, "find")
  check.type(client, "string", 1, "find")
  if self.count == 0 then
    return nil
  end
  local network = ipset.network(client, self.prefixes)
  local entry = network and self.entries[network]
  local left = entry and entry.ends - core.now() or 0
  if left <= 0 then
    return nil
  end
  return entry.reason, left
end

--- From now on a ban of the client, whoever makes it, aborts the stream; at once, if there is one already.
---@param client string its address
---@param stream moonwire.stream
---@return moonwire.gate_following? following to be closed when the stream is done with; nil: no address
function Bans:follow(client, stream)
  check.object(self, Bans, "follow")
  check.type(client, "string", 1, "follow")
  check.stream(stream, 2, "follow")
  local network = ipset.network(client, self.prefixes)
  if not network then
    return nil
  elseif self:find(client) then
    stream:abort()
  end
  return following.new(self.followed, network, stream)
end

--- Lets a client in again.
---@param client string
---@return boolean was_banned
function Bans:remove(client)
  check.object(self, Bans, "remove")
  check.type(client, "string", 1, "remove")
  local network = ipset.network(client, self.prefixes)
  if not network or not self.entries[network] then
    return false
  end
  forget(self, network)
  store.delete(key_of(self, network))
  bus.publish(topic_of(self), { network = network, seconds = false })
  return true
end

return { new = new }
