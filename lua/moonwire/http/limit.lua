--- How many requests a client may make: so many at once, and so many a second
--- after that. Others get 429 (RFC 6585 §4).
local bucket = require "moonwire.rate.bucket"
local check = require "moonwire.check"
local log = require "moonwire.log"

---@class moonwire.http.limit
local limit = {}

local NAME_MOST <const> = 64 -- bytes
local CLIENTS <const> = 10000
local KNOWN <const> = {
  rate = "number", burst = "integer", key = "function", max = "integer",
  shared = "string",
}

---@class moonwire.http.rate_options
---@field rate number requests a second; may be below 1
---@field burst? integer requests at once; default: rate, rounded up
--- Who a request counts for; nil: for nobody. Default: the address of the peer without its port.
---@field key? fun(request: moonwire.http.request): string?
---@field max? integer clients that are remembered; beyond them some are forgiven early. Default 10000
--- The name of a count in the store: all who have the same one count together, in all workers, and in all
--- daemons that have the same store.
---@field shared? string

-- The store is for those who want it: a script in a sandbox has none.
local function open(name, rate, burst, max)
  return name and require "moonwire.rate.shared".new(name, rate, burst, max) or bucket.new(rate, burst, max)
end

local function address_of(request)
  return request.peer:match("^(.*):%d+$") or request.peer
end

--- A middleware that refuses requests of a client that makes too many. It counts in this worker only, unless
--- it is `shared`.
---@param options moonwire.http.rate_options
---@return moonwire.http.middleware
function limit.rate(options)
  check.type(options, "table", 1, "rate")
  check.options(options, KNOWN, 1, "rate")
  local rate = options.rate
  if not rate or rate ~= rate or rate <= 0 then
    check.refuse(1, "rate", "option 'rate': requests a second, above 0, expected")
  end
  if options.shared and not (#options.shared > 0 and #options.shared <= NAME_MOST) then
    check.refuse(1, "rate", ("option 'shared': a name of 1 to %d bytes expected"):format(NAME_MOST))
  end
  local burst = options.burst or math.max(1, math.ceil(rate))
  local counts = open(options.shared, rate, burst, options.max or CLIENTS)
  local key_of = options.key or address_of
  return function(next_handler)
    return function(request, response, ctx)
      local key = key_of(request)
      local seconds = key and counts:take(key) or 0
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
