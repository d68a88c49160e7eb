--- How much a client may have: so many things at once, so many a second. Counted over all workers, in memory
--- of fixed size.
---
---     local logins = tally.rate("logins", { rate = 1, burst = 5 })
---     if not logins:take(conn:peer_address()) then … end
local check = require "moonwire.check"
local core = require "moonwire.core"

local tally = {}

local PREFIX_KNOWN <const> = { ipv4_prefix = "number", ipv6_prefix = "number" }
local RATE_KNOWN <const> = {
  rate = "number", burst = "number", ipv4_prefix = "number", ipv6_prefix = "number",
}
local IPV4_BITS <const>, IPV6_BITS <const> = 32, 128
local IPV6_PREFIX <const> = 64 -- whoever has IPv6 has so many addresses

---@class moonwire.tally_options
---@field ipv4_prefix? integer bits of an address that tell clients apart; default 32: each is one
---@field ipv6_prefix? integer the same of IPv6; default 64

---@class moonwire.tally_rate_options: moonwire.tally_options
---@field rate number turns a second; may be below 1
---@field burst? number turns at once, 1 at least; default: rate, rounded up

-- The bits of both families, or what is wrong.
local function bits_of(options)
  local v4 = options and options.ipv4_prefix or IPV4_BITS
  local v6 = options and options.ipv6_prefix or IPV6_PREFIX
  if math.type(v4) ~= "integer" or v4 < 0 or v4 > IPV4_BITS then
    return nil, "option 'ipv4_prefix': an integer from 0 to 32 expected"
  elseif math.type(v6) ~= "integer" or v6 < 0 or v6 > IPV6_BITS then
    return nil, "option 'ipv6_prefix': an integer from 0 to 128 expected"
  end
  return v4, v6
end

-- What is wrong with the numbers of a rate; nil: nothing.
local function problem_of(rate, burst)
  if not rate or rate ~= rate or rate <= 0 then
    return "option 'rate': turns a second, above 0, expected"
  elseif burst ~= burst or burst < 1 then
    return "option 'burst': a number of turns, 1 or more, expected"
  end
end

--- Turns at a rate. Those of one name and the same options are one rate, in all workers and generations of
--- the service.
---@class moonwire.tally_rate
---@field private counted userdata
local Rate = { __name = "moonwire.tally_rate" }
Rate.__index = Rate

--- Makes a rate, or finds it again.
---@param name string
---@param options moonwire.tally_rate_options
---@return moonwire.tally_rate
function tally.rate(name, options)
  check.type(name, "string", 1, "rate")
  check.type(options, "table", 2, "rate")
  check.options(options, RATE_KNOWN, 2, "rate")
  local v4, v6 = bits_of(options)
  local burst = options.burst or options.rate and math.max(1, math.ceil(options.rate))
  local problem = not v4 and v6 or problem_of(options.rate, burst)
  if problem then
    check.refuse(2, "rate", problem --[[@as string]])
  end
  return setmetatable({ counted = core.tally.rate(name, v4, v6, options.rate, burst) }, Rate)
end

--- Takes a turn of a client's.
---@param client string its address, with a port or without; or anything else, which is a client by itself
---@return boolean taken
---@return number? seconds that it would have to wait
function Rate:take(client)
  check.object(self, Rate, "take")
  check.type(client, "string", 1, "take")
  return self.counted:take(client)
end

--- Places to be in. Those of one name and the same prefixes are one, in all workers and generations of the
--- service, however many there are to be.
---@class moonwire.tally_places
---@field private counted userdata
local Places = { __name = "moonwire.tally_places" }
Places.__index = Places

--- Makes places, or finds them again.
---@param name string
---@param most integer places of one client
---@param options? moonwire.tally_options
---@return moonwire.tally_places
function tally.places(name, most, options)
  check.type(name, "string", 1, "places")
  check.count(most, 2, "places")
  check.options(options, PREFIX_KNOWN, 3, "places")
  local v4, v6 = bits_of(options)
  if not v4 then
    check.refuse(3, "places", v6 --[[@as string]])
  end
  return setmetatable({ counted = core.tally.places(name, v4, v6, most) }, Places)
end

--- Takes a place of a client's. It is free again when it is closed: with the task, at the latest.
---@param client string as of Rate:take
---@return moonwire.tally_place? place nil: it has as many as it may
function Places:enter(client)
  check.object(self, Places, "enter")
  check.type(client, "string", 1, "enter")
  return self.counted:enter(client)
end

--- How many places a client has.
---@param client string
---@return integer
function Places:count(client)
  check.object(self, Places, "count")
  check.type(client, "string", 1, "count")
  return self.counted:count(client)
end

return tally
