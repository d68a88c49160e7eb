--- What is remembered of clients, by their keys, for as long as it matters. Not for scripts.
---
--- Those that were not asked for as long as it takes to be forgiven everything are forgotten: they stand in
--- `old` when the two tables change places.
local core = require "moonwire.core"

local clients = {}

---@class moonwire.rate.clients
---@field private max integer
---@field private seconds number
---@field private make fun(): table
---@field private young table<string, table>
---@field private old table<string, table>
---@field private count integer of the young
---@field private since number
local Clients = {}
Clients.__index = Clients

---@param max integer that are remembered; beyond them some are forgotten early
---@param seconds number after which nothing matters any more
---@param make fun(): table what a new one is
---@return moonwire.rate.clients
function clients.new(max, seconds, make)
  return setmetatable({
    max = max, seconds = seconds, make = make, young = {}, old = {}, count = 0, since = core.now(),
  }, Clients)
end

local function age(self)
  local now = core.now()
  if self.count >= self.max or now - self.since > self.seconds then
    self.old, self.young, self.count, self.since = self.young, {}, 0, now
  end
end

---@param key string
---@return table client
function Clients:find(key)
  local client = self.young[key]
  if not client then
    age(self)
    client = self.old[key] or self.make()
    self.old[key] = nil
    self.young[key] = client
    self.count = self.count + 1
  end
  return client
end

return clients
