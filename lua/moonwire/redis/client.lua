--- Clients of Redis. Scripts get them from moonwire.redis.
local Cluster = require "moonwire.redis.cluster"
local Subscription = require "moonwire.redis.subscription"
local check = require "moonwire.check"
local codec = require "moonwire.codec"
local command = require "moonwire.redis.command"
local connections = require "moonwire.redis.connections"
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local dial = require "moonwire.redis.dial"
local reply = require "moonwire.redis.reply"

local NULL <const> = core.json.null
local REDIRECTIONS_MOST <const> = 5 -- of a command that waits
local DIGESTS_MOST <const> = 1000 -- of scripts, that a client remembers
-- What a client of `exclusive` has in place of a connection once the function has ended.
local ENDED <const> = { exchange = function() return nil, "closed", "closed" end }
local MULTI <const>, EXEC <const> = command.encode { "MULTI" }, command.encode { "EXEC" }

---@class moonwire.redis_client
---@field private settings table
---@field private connections moonwire.redis.connections
---@field private cluster? moonwire.redis.cluster
---@field private own? moonwire.redis.link of a client that `exclusive` has made
---@field private state? string of that connection: see command.next_state
---@field private digests table<string, string>
---@field private digest_count integer
local Client = { __name = "moonwire.redis_client" }
Client.__index = Client

---@param settings table
---@return moonwire.redis_client
function Client.new(settings)
  local home = connections.new(settings)
  return setmetatable({
    settings = settings, connections = home, digests = {}, digest_count = 0,
    cluster = settings.cluster and Cluster.new(settings, home) or nil,
  }, Client)
end

-- What a caller gets for a reply.
local function result(value)
  if reply.is_error(value) then
    return nil, tostring(value), dial.code_of(value)
  elseif value == NULL then
    return nil
  end
  return value
end

local function exchange(self, bytes, count, seconds)
  local link, err, code = self.own, nil, nil
  if not link then
    link, err, code = self.connections:shared()
  end
  if not link then
    return nil, err, code
  end
  return link:exchange(bytes, count, seconds or self.settings.timeout)
end

-- The replies to one command; in a cluster, of the server that has its key.
local function exchange_one(self, key, bytes)
  if self.cluster then
    return self.cluster:call(key, bytes, self.settings.timeout)
  end
  return exchange(self, bytes, 1)
end

local function first_result(replies, err, code)
  if not replies then
    return nil, err, code
  end
  return result(replies[1])
end

-- Remembers what a command leaves behind on a connection of its own.
local function note(self, parts)
  self.state = self.own and command.next_state(self.state, parts)
end

local function with_own(self, node, link, fn, ...)
  local own = setmetatable({
    settings = self.settings, connections = node, own = link, digests = self.digests,
    digest_count = self.digest_count,
  }, Client)
  local _ <close> = setmetatable({}, { __close = function(_, problem)
    own.own = ENDED
    node:give(link, problem == nil and not own.state)
  end })
  return fn(own, ...)
end

-- Calls a function with a client that has a connection of its own to one server.
local function apart(self, node, fn, ...)
  local permit <close> = node:permit()
  local link, err, code = nil, "too many connections are in use", "timeout"
  if permit then
    link, err, code = node:take()
  end
  if not link then
    return nil, err, code
  end
  return with_own(self, node, link, fn, ...)
end

-- A command that waits at the server for so long; in a cluster, where its key is.
local function exchange_waiting(self, key, bytes, seconds)
  seconds = seconds + self.settings.timeout
  if self.own then
    return exchange(self, bytes, 1, seconds)
  end
  local node = self.cluster and self.cluster:of(key) or self.connections
  local replies, err, code
  for _ = 0, REDIRECTIONS_MOST do
    replies, err, code = apart(self, node, exchange, bytes, 1, seconds)
    node = replies and self.cluster and self.cluster:redirection(replies[1])
    if not node then
      break
    end
  end
  return replies, err, code
end

--- Calls a command and waits for its reply, beside other tasks over one connection. Commands that wait at
--- the server, such as BLPOP, get a connection of their own.
---@param name string "GET"; upper or lower case
---@param ... string|number its arguments
---@return any reply nil for a null
---@return string? err what the server refuses it with; or what became of the connection
---@return moonwire.code? code "invalid", "denied", "unavailable", "full", "refused", "timeout",
---"unreachable", "eof", "reset", "closed", "protocol", "too_large"
function Client:call(name, ...)
  check.object(self, Client, "call")
  local parts = table.pack(name, ...)
  local bytes, position, problem = command.prepare(parts, self.own ~= nil)
  if not bytes then
    check.refuse(position, "call", problem)
  end
  local seconds, key = command.waits(parts), self.cluster and command.key(parts)
  if seconds then
    return first_result(exchange_waiting(self, key, bytes, seconds))
  end
  note(self, parts)
  return first_result(exchange_one(self, key, bytes))
end

-- The first keys of commands.
local function keys_of(commands)
  local keys = {}
  for index, parts in ipairs(commands) do
    keys[index] = command.key(parts)
  end
  return keys
end

--- Sends commands at once and waits for all their replies. Other tasks' commands may come between.
---@param commands (string|number)[][]
---@return any[]? replies with redis.null for nulls, and errors: see redis.is_error
---@return string? err
---@return moonwire.code? code "refused", "timeout", "unreachable", "eof", "reset", "closed", "denied",
---"protocol", "too_large"
function Client:pipeline(commands)
  check.object(self, Client, "pipeline")
  check.type(commands, "table", 1, "pipeline")
  local pieces, problem = command.prepare_list(commands, self.own ~= nil)
  if not pieces then
    check.refuse(1, "pipeline", problem)
  elseif #pieces == 0 then
    return {}
  elseif self.cluster then
    return self.cluster:pipeline(keys_of(commands), pieces, self.settings.timeout)
  end
  for _, parts in ipairs(commands) do
    note(self, parts)
  end
  return exchange(self, table.concat(pieces), #pieces)
end

local function exchange_transaction(self, commands, pieces)
  local bytes, count = MULTI .. table.concat(pieces) .. EXEC, #pieces + 2
  if self.cluster then
    local key = commands[1] and command.key(commands[1])
    return self.cluster:transaction(key, bytes, count, self.settings.timeout)
  end
  return exchange(self, bytes, count)
end

-- The reply to EXEC; when that tells of a command that was refused, the first refusal.
local function outcome(replies)
  local last = replies[#replies]
  if last == NULL then
    return nil, "a key that is watched has changed", "conflict"
  elseif not reply.is_error(last) then
    return last
  end
  for _, value in ipairs(replies) do
    if reply.is_error(value) then
      return result(value)
    end
  end
end

--- Has commands carried out together, with nobody's between (MULTI, EXEC).
---@param commands (string|number)[][]
---@return any[]? replies with redis.null for nulls, and errors: see redis.is_error
---@return string? err
---@return moonwire.code? code "conflict": a key that is watched has changed; nothing was done, as with
---"invalid"; "denied", "unavailable", "full", "refused", "timeout", "unreachable", "eof", "reset", "closed",
---"protocol", "too_large"
function Client:transaction(commands)
  check.object(self, Client, "transaction")
  check.type(commands, "table", 1, "transaction")
  local pieces, problem = command.prepare_list(commands) -- within it nothing may be about the connection
  if not pieces then
    check.refuse(1, "transaction", problem)
  end
  note(self, { "EXEC" })
  local replies, err, code = exchange_transaction(self, commands, pieces)
  if not replies then
    return nil, err, code
  end
  return outcome(replies)
end

local function digest_of(self, source)
  local digest = self.digests[source]
  if not digest then
    if self.digest_count == DIGESTS_MOST then
      self.digests, self.digest_count = {}, 0
    end
    digest = codec.hex_encode(crypto.digest("sha1", source))
    self.digests[source], self.digest_count = digest, self.digest_count + 1
  end
  return digest
end

--- Has a script of Redis carried out (EVALSHA), which is sent whole when the server does not know it (EVAL).
---@param source string text of the script
---@param keys string[] KEYS in it: the keys that it touches
---@param arguments? (string|number)[] ARGV in it
---@return any reply nil for a null
---@return string? err
---@return moonwire.code? code "invalid", "denied", "unavailable", "full", "refused", "timeout",
---"unreachable", "eof", "reset", "closed", "protocol", "too_large"
function Client:script(source, keys, arguments)
  check.object(self, Client, "script")
  check.type(source, "string", 1, "script")
  check.type(keys, "table", 2, "script")
  check.type(arguments or {}, "table", 3, "script")
  local bytes, position, problem = command.prepare_script("EVALSHA", digest_of(self, source), keys,
    arguments or {})
  if not bytes then
    check.refuse(position, "script", problem)
  end
  local replies, err, code = exchange_one(self, keys[1], bytes)
  if replies and reply.is_error(replies[1]) and replies[1].kind == "NOSCRIPT" then
    bytes = command.prepare_script("EVAL", source, keys, arguments or {})
    replies, err, code = exchange_one(self, keys[1], bytes)
  end
  return first_result(replies, err, code)
end

--- Calls a function with a client that has a connection of its own, for as long as the function runs: for
--- WATCH, SELECT and the like. Waits while `connections` of these are in use, for
--- `timeout` at most.
---@param fn fun(own: moonwire.redis_client, ...: any): any
---@param ... any
---@return any ... what the function returns
---@return string? err
---@return moonwire.code? code of what it returns; "refused", "timeout", "unreachable", "denied", "closed",
---"protocol"
function Client:exclusive(fn, ...)
  check.object(self, Client, "exclusive")
  check.callable(fn, 1, "exclusive")
  if self.own then
    return fn(self, ...)
  end
  return apart(self, self.connections, fn, ...)
end

local function subscribe(self, word, names)
  if self.connections.closed then
    return nil, "closed", "closed"
  end
  return Subscription.new(self.settings, word, names)
end

--- Listens to channels, over a connection of its own.
---@param ... string their names
---@return moonwire.redis_subscription?
---@return string? err
---@return moonwire.code? code "refused", "timeout", "unreachable", "denied", "eof", "reset", "closed",
---"protocol"
function Client:subscribe(...)
  check.object(self, Client, "subscribe")
  local names = table.pack(...)
  for index = 1, math.max(names.n, 1) do
    check.type(names[index], "string", index, "subscribe")
  end
  return subscribe(self, "SUBSCRIBE", names)
end

--- Listens to all channels whose names fit patterns of Redis: "room.*".
---@param ... string
---@return moonwire.redis_subscription?
---@return string? err
---@return moonwire.code? code "refused", "timeout", "unreachable", "denied", "eof", "reset", "closed",
---"protocol"
function Client:psubscribe(...)
  check.object(self, Client, "psubscribe")
  local patterns = table.pack(...)
  for index = 1, math.max(patterns.n, 1) do
    check.type(patterns[index], "string", index, "psubscribe")
  end
  return subscribe(self, "PSUBSCRIBE", patterns)
end

--- Closes its connections: who waits for a reply gets `closed`. Subscriptions stay. May be called again.
function Client:close()
  check.object(self, Client, "close")
  if not self.own then
    self.connections:close()
  end
  if self.cluster then
    self.cluster:close()
  end
end

Client.__close = Client.close

function Client:__tostring()
  return "moonwire.redis_client: " .. self.settings.address
end

return Client
