--- Connecting to Redis: the stream, the protocol, the password, the database. Not for scripts.
local Link = require "moonwire.redis.link"
local command = require "moonwire.redis.command"
local core = require "moonwire.core"
local net = require "moonwire.net"
local reply = require "moonwire.redis.reply"

local dial = {}

local FIRST_DELAY <const> = 0.05 -- seconds until a server that failed once is tried again
local DOUBLINGS_MOST <const> = 20

-- By the first word of what a server refuses a command with.
local CODES <const> = {
  NOAUTH = "denied", WRONGPASS = "denied", NOPERM = "denied", OOM = "full", LOADING = "unavailable",
  BUSY = "unavailable", MASTERDOWN = "unavailable", CLUSTERDOWN = "unavailable", TRYAGAIN = "unavailable",
  READONLY = "unavailable", NOREPLICAS = "unavailable", MISCONF = "unavailable", UNBLOCKED = "unavailable",
}

--- The code for what a server refuses a command with.
---@param problem moonwire.redis.error
---@return moonwire.code
function dial.code_of(problem)
  return CODES[problem.kind] or "invalid"
end

--- How long a server that has failed so many times in a row is left alone. By chance less than it
--- could be, so that not all clients come at once.
---@param failures integer
---@param most number seconds
---@return number seconds
function dial.delay(failures, most)
  local delay = math.min(FIRST_DELAY * 2 ^ math.min(failures - 1, DOUBLINGS_MOST), most)
  return delay * (0.5 + math.random() / 2)
end

-- One command of the greeting. A refusal is returned as the third value, too.
local function ask(link, due, ...)
  local replies, err, code = link:exchange(command.encode(table.pack(...)), 1, due - core.now())
  if not replies then
    return nil, err, code
  elseif reply.is_error(replies[1]) then
    local is_denied = (...) == "AUTH" or tostring(replies[1]):find("AUTH", 1, true)
    return nil, ("redis %s: %s"):format(link.address, replies[1]),
      is_denied and "denied" or dial.code_of(replies[1]), replies[1]
  end
  return true
end

local function greet_in_resp2(link, settings, due)
  local ok, err, code = true, nil, nil
  if settings.password and settings.user then
    ok, err, code = ask(link, due, "AUTH", settings.user, settings.password)
  elseif settings.password then
    ok, err, code = ask(link, due, "AUTH", settings.password)
  end
  if ok and settings.name then
    ask(link, due, "CLIENT", "SETNAME", settings.name) -- a server that knows no names needs none
  end
  return ok, err, code
end

-- Servers before Redis 6 do not know HELLO.
local function greet_in_resp3(link, settings, due)
  local words = { "HELLO", "3" }
  if settings.password then
    table.move({ "AUTH", settings.user or "default", settings.password }, 1, 3, 3, words)
  end
  if settings.name then
    table.move({ "SETNAME", settings.name }, 1, 2, #words + 1, words)
  end
  local ok, err, code, problem = ask(link, due, table.unpack(words))
  local text = problem and tostring(problem) or ""
  if text:find("^NOPROTO") or text:find("unknown command", 1, true) then
    return greet_in_resp2(link, settings, due)
  end
  return ok, err, code
end

local function greet(link, settings, due)
  local hello = settings.protocol == 2 and greet_in_resp2 or greet_in_resp3
  local ok, err, code = hello(link, settings, due)
  if ok and settings.database > 0 then
    return ask(link, due, "SELECT", settings.database)
  end
  return ok, err, code
end

--- Connects and greets. The connection is nobody's: it ends when it is closed, or not referred to.
---@param settings table of moonwire.redis.client
---@return moonwire.redis.link?
---@return string? err
---@return moonwire.code? code
function dial.open(settings)
  local due = core.now() + settings.connect_timeout
  local stream, err, code = net.connect(settings.address, {
    timeout = settings.connect_timeout, write_timeout = settings.timeout, tls = settings.tls,
    keepalive = not settings.address:find("^unix:"),
  })
  if not stream then
    return nil, err, code
  end
  local link, ok = Link.new(stream:keep(), settings.max), nil
  local _ <close> = setmetatable({}, { __close = function() return not ok and link:close() end })
  ok, err, code = greet(link, settings, due)
  if not ok then
    return nil, err, code
  end
  return link
end

return dial
