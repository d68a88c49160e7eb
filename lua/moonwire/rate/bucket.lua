--- So many events at once, and so many a second after that, for each of many clients: counted in this worker.
--- Not for scripts.
local clients = require "moonwire.rate.clients"
local core = require "moonwire.core"

local bucket = {}

---@class moonwire.rate.bucket
---@field private rate number
---@field private burst integer
---@field private clients moonwire.rate.clients
local Bucket = {}
Bucket.__index = Bucket

---@param rate number events a second
---@param burst integer events at once
---@param max integer clients
---@return moonwire.rate.bucket
function bucket.new(rate, burst, max)
  local function make()
    return { left = burst, at = core.now() }
  end
  return setmetatable({ rate = rate, burst = burst, clients = clients.new(max, burst / rate, make) }, Bucket)
end

--- Counts an event, if it may be.
---@param key string
---@return number seconds to wait until the next; 0: this one is fine, and counted
function Bucket:take(key)
  local now, client = core.now(), self.clients:find(key)
  client.left = math.min(self.burst, client.left + (now - client.at) * self.rate)
  client.at = now
  if client.left >= 1 then
    client.left = client.left - 1
    return 0
  end
  return (1 - client.left) / self.rate
end

return bucket
