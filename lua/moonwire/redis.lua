--- Clients of Redis: commands of many tasks over one connection, transactions, scripts, subscriptions.
---
---     local client = assert(redis.connect "redis://127.0.0.1:6379")
---     client:call("SET", "name", "value")
local Client = require "moonwire.redis.client"
local address = require "moonwire.redis.address"
local check = require "moonwire.check"
local core = require "moonwire.core"
local reply = require "moonwire.redis.reply"

local NULL <const> = core.json.null

local redis = {}

--- What stands for a null within replies.
redis.null = NULL

---@class moonwire.redis_options
---@field user? string default that of the URL, or "default"
---@field password? string default that of the URL, or none
---@field database? integer default that of the URL, or 0
---@field name? string what the server shows the connections by (CLIENT LIST)
---@field tls? table options of TLS, as of net.connect, for rediss://
---@field protocol? 2|3 the version of RESP; default 3, and 2 with servers that know no other
---@field timeout? number seconds until replies are there; default 10
---@field connect_timeout? number seconds for name, connection and greeting; default 5
---@field delay_most? number seconds that a server which fails is left alone at most; default 10
---@field ping_interval? number seconds of silence after which a subscription asks its server; default 30
---@field max? integer bytes of a reply at most; default 16777216
---@field cluster? boolean follow redirections to other servers of a cluster; default false
---@field connections? integer at once besides the shared one and those of subscriptions; default 16

local KNOWN <const> = {
  user = "string", password = "string", database = "any", name = "string", tls = "table",
  protocol = { [2] = true, [3] = true }, timeout = "any", connect_timeout = "any", delay_most = "any",
  ping_interval = "any", max = "integer", connections = "integer", cluster = "boolean",
}
local DEFAULTS <const> = {
  timeout = 10, connect_timeout = 5, delay_most = 10, ping_interval = 30, max = 1 << 24, connections = 16,
  protocol = 3,
}
local SECONDS <const> = { "timeout", "connect_timeout", "delay_most", "ping_interval" }

-- What is wrong with options that check.options leaves to us; nil: nothing.
local function problem_of(options)
  for _, name in ipairs(SECONDS) do
    local value = options[name]
    if value ~= nil and not (type(value) == "number" and value > 0) then
      return ("option '%s': seconds above 0 expected, got %s"):format(name, tostring(value))
    end
  end
  local database = options.database
  if database ~= nil and not (math.type(database) == "integer" and database >= 0) then
    return ("option 'database': integer, not negative, expected, got %s"):format(tostring(database))
  elseif options.name and options.name:find("[^!-~]") then
    return "option 'name': printable characters without spaces expected"
  end
end

--- A client of the server at a URL: `redis://user:password@host:port/database`, `rediss://…` (TLS),
--- `unix:///path`. It connects when the first command is called, and again whenever that is needed.
---@param url string
---@param options? moonwire.redis_options
---@return moonwire.redis_client? client
---@return string? err
---@return moonwire.code? code "invalid"
function redis.connect(url, options)
  check.type(url, "string", 1, "connect")
  check.options(options, KNOWN, 2, "connect")
  local problem = problem_of(options or {})
  if problem then
    check.refuse(2, "connect", problem)
  end
  local settings, err, code = address.parse(url)
  if not settings then
    return nil, err, code
  elseif options and options.tls and not settings.address:find("^tls:") then
    check.refuse(2, "connect", "option 'tls' goes with a rediss:// URL")
  end
  for _, source in ipairs { DEFAULTS, options or {} } do
    for key, value in next, source do
      settings[key] = value
    end
  end
  return Client.new(settings)
end

--- Whether something in a list of replies is what the server refuses a command with. It has the fields
--- `kind`, the word that it begins with ("WRONGTYPE"), and `message`, all of it.
---@param value any
---@return boolean
function redis.is_error(value)
  return reply.is_error(value)
end

return redis
