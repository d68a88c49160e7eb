--- The backend "redis:": keys on a server of Redis, for many machines. Not for scripts.
---
--- A key is kept as `PREFIX:k:KEY`. Redis knows no order of keys, so that all of them stand in a sorted set
--- as well, `PREFIX:keys`. Keys whose time is up stay in there until somebody comes across them: a scan, or
--- one of the looks that every new key takes at two others, which hold them down to about half of the set.
local address_of_redis = require "moonwire.redis.address"
local addresses = require "moonwire.store.address"
local redis = require "moonwire.redis"
local scripts = require "moonwire.store.redis_scripts"

---@class moonwire.store.redis: moonwire.store.backend
---@field private client moonwire.redis_client
---@field private prefix string of keys
---@field private index string the sorted set
local Redis = {}
Redis.__index = Redis

local OPTIONS <const> = { prefix = true, authorities = true }
local PREFIX <const> = "moonwire"
local MILLISECONDS <const> = 1000
local TIMEOUT <const> = 5 -- seconds until a reply is there

-- What a server that is away, or broke off, has in common.
local AWAY <const> = {
  refused = true, eof = true, reset = true, timeout = true, unavailable = true, not_found = true,
  unreachable = true,
}

-- nil, err, code with a code of stores.
local function fail(err, code)
  return nil, err, AWAY[code] and "unreachable" or code
end

local function run(self, source, key, ...)
  local reply, err, code = self.client:script(source, { self.prefix .. key, self.index },
    { key, self.prefix, ... })
  if err then
    return fail(err, code)
  end
  return reply
end

-- Milliseconds, one at least; "" for ever.
local function lifetime(seconds)
  return seconds and math.max(1, math.ceil(seconds * MILLISECONDS)) or ""
end

function Redis:get(key)
  local bytes, err, code = self.client:call("GET", self.prefix .. key)
  if err then
    return fail(err, code)
  elseif not bytes then
    return nil, ("get %q: not found"):format(key), "not_found"
  end
  return bytes
end

function Redis:set(key, bytes, expire, only_new)
  local is_set, err, code = run(self, scripts.SET, key, bytes, lifetime(expire), only_new and "NX" or "")
  if not is_set then
    return nil, err, code
  elseif is_set == 0 then
    return nil, ("set %q: it exists"):format(key), "exists"
  end
  return true
end

function Redis:delete(key)
  local count, err, code = run(self, scripts.DELETE, key)
  if not count then
    return nil, err, code
  end
  return count == 1
end

function Redis:incr(key, by, expire)
  local sum, err, code = run(self, scripts.INCR, key, by, lifetime(expire))
  if not sum then
    return nil, err, code
  end
  return math.tointeger(tonumber(sum))
end

function Redis:expire(key, seconds)
  local found, err, code = run(self, scripts.EXPIRE, key, lifetime(seconds))
  if not found then
    return nil, err, code
  elseif found == 0 then
    return nil, ("expire %q: not found"):format(key), "not_found"
  end
  return true
end

function Redis:compare_and_set(key, expected, bytes, expire)
  local changed, err, code = run(self, scripts.COMPARE_AND_SET, key, lifetime(expire),
    expected and "is" or "is not there", expected or "", bytes and "set" or "delete", bytes or "")
  if not changed then
    return nil, err, code
  elseif changed == 0 then
    return nil, "conflict", "conflict"
  end
  return true
end

-- The end of a range that holds all keys which begin with a prefix.
local function end_of(prefix)
  local head = prefix:match("^(.-)\xff*$")
  return head == "" and "+" or "(" .. head:sub(1, -2) .. string.char(head:byte(-1) + 1)
end

function Redis:scan(prefix, after, count)
  local from = after and after >= prefix and "(" .. after or "[" .. prefix
  local found = {}
  repeat
    local part, err, code = self.client:script(scripts.SCAN, { self.index },
      { self.prefix, from, end_of(prefix), count - #found // 2 })
    if not part then
      return fail(err, code)
    end
    from = part[1]
    table.move(part, 2, #part, #found + 1, found)
  until from == "" or #found // 2 == count
  return found
end

function Redis:close()
  self.client:close()
end

local function url_of(address)
  return address.scheme .. ":" .. address.rest
end

local backend = { shared = true }

--- What is wrong with an address; nil: nothing.
---@param address moonwire.store.address
---@return string? problem
function backend.check(address)
  local problem = addresses.unknown(address, OPTIONS)
  if not problem then
    problem = select(2, address_of_redis.tls(address.scheme, address.options))
  end
  return problem or select(2, redis.connect(url_of(address)))
end

---@param address moonwire.store.address
---@return moonwire.store.backend?
---@return string? err
---@return moonwire.code?
function backend.open(address)
  local client, err, code = redis.connect(url_of(address), {
    name = "moonwire-store", timeout = TIMEOUT, tls = address_of_redis.tls(address.scheme, address.options),
  })
  if not client then
    return nil, err, code
  end
  local name = address.options.prefix or PREFIX
  return setmetatable({ client = client, prefix = name .. ":k:", index = name .. ":keys" }, Redis)
end

return backend
