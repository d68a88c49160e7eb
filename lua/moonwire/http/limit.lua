--- How many requests a client may make: so many at once, and so many a second
--- after that. Others get 429 (RFC 6585 §4).
local check = require "moonwire.check"
local core = require "moonwire.core"
local log = require "moonwire.log"

---@class moonwire.http.limit
local limit = {}

local CLIENTS <const> = 10000
local KNOWN <const> = { rate = "number", burst = "integer", key = "function", max = "integer" }

---@class moonwire.http.rate_options
---@field rate number requests a second; may be below 1
---@field burst? integer requests at once; default: rate, rounded up
--- Who a request counts for; nil: for nobody. Default: the address of the peer without its port.
---@field key? fun(request: moonwire.http.request): string?
---@field max? integer clients that are remembered; beyond them some are forgiven early. Default 10000

-- Clients that were not seen for as long as it takes to be forgiven everything are forgotten: they stand in
-- `old` when the two tables change places.
---@class moonwire.http.rate_limit
---@field rate number
---@field burst integer
---@field max integer
---@field young table<string, { left: number, at: number }>
---@field old table<string, { left: number, at: number }>
---@field count integer of the young
---@field since number

local function address_of(request)
  return request.peer:match("^(.*):%d+$") or request.peer
end

local function age(self, now)
  if self.count >= self.max or now - self.since > self.burst / self.rate then
    self.old, self.young, self.count, self.since = self.young, {}, 0, now
  end
end

local function find(self, key, now)
  local client = self.young[key]
  if not client then
    age(self, now)
    client = self.old[key] or { left = self.burst, at = now }
    self.old[key] = nil
    self.young[key] = client
    self.count = self.count + 1
  end
  return client
end

-- Seconds to wait until the next request; 0: this one is fine, and counted.
local function take(self, key)
  local now = core.now()
  local client = find(self, key, now)
  client.left = math.min(self.burst, client.left + (now - client.at) * self.rate)
  client.at = now
  if client.left >= 1 then
    client.left = client.left - 1
    return 0
  end
  return (1 - client.left) / self.rate
end

--- A middleware that refuses requests of a client that makes too many. It counts
--- in this worker only.
---@param options moonwire.http.rate_options
---@return moonwire.http.middleware
function limit.rate(options)
  check.type(options, "table", 1, "rate")
  check.options(options, KNOWN, 1, "rate")
  local rate = options.rate
  if not rate or rate ~= rate or rate <= 0 then
    check.refuse(1, "rate", "option 'rate': requests a second, above 0, expected")
  end
  local burst = options.burst or math.max(1, math.ceil(rate))
  local self = {
    rate = rate, burst = burst, max = options.max or CLIENTS,
    young = {}, old = {}, count = 0, since = core.now(),
  }
  local key_of = options.key or address_of
  return function(next_handler)
    return function(request, response, ctx)
      local key = key_of(request)
      local seconds = key and take(self, key) or 0
      if seconds == 0 then
        return next_handler(request, response, ctx)
      end
      log.info("too many requests", { client = key, path = request.path })
      response:header("Retry-After", tostring(math.ceil(seconds))):status(429)
      response:send("429: too many requests\n")
    end
  end
end

return limit
