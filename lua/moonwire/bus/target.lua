--- The URL of a bus that other daemons share: a server of Redis, and a channel there. Not for scripts.
local address = require "moonwire.store.address"
local redis = require "moonwire.redis.address"

local target = {}

local SCHEMES <const> = { redis = true, rediss = true, unix = true }
local OPTIONS <const> = { prefix = true, authorities = true }
local PREFIX <const> = "moonwire"

---@class moonwire.bus.target
---@field address string for net.connect
---@field user? string
---@field password? string
---@field database integer
---@field tls? table options of net.connect
---@field channel string

--- Takes a URL apart: "redis://user:password@host:6379?prefix=shop".
---@param url string
---@return moonwire.bus.target?
---@return string? problem without the URL, which may hold a password
function target.parse(url)
  local of = address.split(url)
  if not of or not SCHEMES[of.scheme] then
    return nil, 'no URL of a bus, such as "redis://cache.example:6379"'
  end
  local unknown = address.unknown(of, OPTIONS)
  if unknown then
    return nil, unknown
  end
  local parts, problem = redis.parse(of.scheme .. ":" .. of.rest)
  if not parts then
    return nil, problem
  end
  parts.tls, problem = redis.tls(of.scheme, of.options)
  if problem then
    return nil, problem
  end
  parts.channel = (of.options.prefix or PREFIX) .. ":bus"
  return parts
end

return target
