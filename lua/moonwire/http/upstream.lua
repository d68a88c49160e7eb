--- The servers behind a reverse proxy: which of them is next, and which rest. Not for scripts.
local core = require "moonwire.core"
local dial = require "moonwire.http.dial"
local merge = require "moonwire.http.settings".merge
local url = require "moonwire.http.url"

local upstream = {}

---@class moonwire.http.upstream
---@field name string the URL
---@field way table as of dial.open
---@field key string of its connections in the pool
---@field folder? string what stands before every path
---@field host? string that is sent instead of the client's
---@field seed integer
---@field active integer requests in progress
---@field fails integer within the window that began at `since`
---@field since number
---@field down_until number
---@field is_up boolean as active checks have it

local Group = {}
Group.__index = Group

-- FNV-1a, then mixed: neighbours come far apart.
local function hash(text)
  local value = 0xcbf29ce484222325
  for index = 1, #text do
    value = (value ~ text:byte(index)) * 0x100000001b3
  end
  return value
end

local function mix(value)
  value = (value ~ (value >> 30)) * 0xbf58476d1ce4e5b9
  value = (value ~ (value >> 27)) * 0x94d049bb133111eb
  return (value ~ (value >> 31)) >> 1
end

local function read_one(text, settings)
  local address = text:match("^unix://(.+)$") and text
  local parts, err = url.parse(address and "http://localhost/" or text)
  if not parts then
    return nil, err
  end
  local connection = settings.connection
  if settings.proxy_header then -- without an address, unless a request says one
    connection = merge(connection, { proxy_header = {} })
  end
  local way = { to = parts, address = address, tls = settings.tls, connection = connection,
    timeout = settings.connect_timeout, read_timeout = settings.read_timeout }
  local host = settings.host == "upstream" and url.authority(parts) or settings.host
  return {
    name = text, way = way, key = dial.key(way), seed = hash(text), active = 0, fails = 0, since = 0,
    down_until = 0, is_up = true, host = host ~= "client" and host or nil,
    folder = parts.path ~= "/" and parts.path:gsub("/$", "") or nil,
  }
end

-- What a client is told apart by.
local function read_hash(by)
  local kind, name = by:match("^(%a+):?(.*)$")
  if kind == "address" then
    return function(request) return (request.peer:gsub(":%d+$", "")) end
  elseif kind == "header" and name ~= "" then
    return function(request) return request:header(name) or request.peer end
  elseif kind == "cookie" and name ~= "" then
    local pattern = "; ?" .. name:gsub("%p", "%%%0") .. "=([^;]*)"
    return function(request)
      return (";" .. (request:header("cookie") or "")):match(pattern) or request.peer
    end
  end
end

--- A group of servers.
---@param settings table
---@return table? group
---@return string? problem
function upstream.new(settings)
  local group = setmetatable({ list = {}, turn = 0, balance = settings.balance, fails = settings.fails,
    within = settings.within, cooldown = settings.cooldown, client_key = read_hash(settings.hash) }, Group)
  for index, text in ipairs(settings.upstreams) do
    local one, err = read_one(text, settings)
    if not one then
      return nil, "option 'upstreams': " .. err
    end
    group.list[index] = one
  end
  if #group.list == 0 then
    return nil, "option 'upstreams': one at least expected"
  elseif not group.client_key then
    return nil, "option 'hash': \"address\", \"header:NAME\" or \"cookie:NAME\" expected"
  end
  return group
end

local function is_available(one, now, tried)
  return one.is_up and one.down_until <= now and not (tried and tried[one])
end

local choose = {}

function choose.round_robin(group, now, tried)
  local list, turn = group.list, group.turn
  for _ = 1, #list do
    turn = turn % #list + 1
    if is_available(list[turn], now, tried) then
      group.turn = turn
      return list[turn]
    end
  end
end

-- Beginning with whose turn it is, so that equals take turns.
function choose.least_connections(group, now, tried)
  local list, best = group.list, nil
  for step = 1, #list do
    local one = list[(group.turn + step - 1) % #list + 1]
    if is_available(one, now, tried) and (not best or one.active < best.active) then
      best = one
    end
  end
  group.turn = group.turn % #list + 1
  return best
end

-- The one with the highest number for this client (rendezvous hashing): when a server leaves, only its own
-- move.
function choose.hash(group, now, tried, request)
  local key, best, highest = hash(group.client_key(request)), nil, -1
  for _, one in ipairs(group.list) do
    local value = mix(key ~ one.seed)
    if value > highest and is_available(one, now, tried) then
      best, highest = one, value
    end
  end
  return best
end

--- The server for a request; nil: there is none.
---@param request moonwire.http.request
---@param tried? table<table, boolean> those that this request was with already
---@return moonwire.http.upstream?
function Group:choose(request, tried)
  return choose[self.balance](self, core.now(), tried, request)
end

--- Seconds until one may be there again.
---@return integer
function Group:retry_after()
  local now, first = core.now(), math.huge
  for _, one in ipairs(self.list) do
    first = math.min(first, one.is_up and one.down_until or now + self.cooldown)
  end
  return math.max(math.ceil(first - now), 1)
end

--- A request that the server should have answered has failed. Too often within a time: it rests for a while,
--- and after that one more failure is enough.
---@param one moonwire.http.upstream
function Group:note_failure(one)
  local now = core.now()
  if now - one.since > self.within and one.down_until == 0 then
    one.fails, one.since = 0, now
  end
  one.fails = one.fails + 1
  if one.fails >= self.fails then
    one.down_until, one.fails = now + self.cooldown, self.fails - 1
    return true
  end
  return false
end

--- The server answers.
---@param one moonwire.http.upstream
function Group:note_success(one)
  if one.fails > 0 then
    one.fails, one.since, one.down_until = 0, 0, 0
  end
end

return upstream
