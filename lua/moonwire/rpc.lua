--- Remote calls as JSON in frames, for programs in any language: docs/api/rpc.md is the schema.
local check = require "moonwire.check"
local frame = require "moonwire.frame"
local json = require "moonwire.json"
local net = require "moonwire.net"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

local rpc = {}

local VERSION <const> = 1
local MAX <const>, CALLS <const>, SECONDS <const> = 1048576, 64, 30
local HELLO <const> = json.encode { rpc = VERSION }

---@class moonwire.rpc_options
---@field max? integer bytes of a message at most; default 1048576
---@field calls? integer requests of a connection that are worked on at a time; default 64
---@field timeout? number|false of a client: seconds that a call may take; default 30

local KNOWN <const> = { max = "integer", calls = "integer", timeout = "seconds" }
local CALL_KNOWN <const> = { timeout = "seconds" }

-- One writer at a time: a second one that would have to wait were "busy".
local function new_channel(conn, options)
  options = options or {}
  return {
    conn = conn, lock = sync.semaphore(1), limits = { length = "u32be", max = options.max or MAX },
    calls = sync.semaphore(options.calls or CALLS), timeout = options.timeout,
  }
end

local function send(channel, message)
  local text = json.encode(message)
  if #text > channel.limits.max then
    return nil, "too_large", "too_large"
  end
  return channel.lock:with(frame.write, channel.conn, text, channel.limits)
end

-- A message: nil, err, "protocol" for a frame that holds none.
local function receive(channel)
  local text, err, code = frame.read(channel.conn, channel.limits)
  if not text then
    return nil, err, code
  end
  local message = json.decode(text)
  if type(message) ~= "table" then
    return nil, "read rpc: no JSON object", "protocol"
  end
  return message
end

local function is_id(id)
  return math.type(id) == "integer" or type(id) == "string" and #id <= 64
end

local function fail(channel, id, code, message)
  return send(channel, { id = id, error = { code = code, message = message } })
end

-- A method returns a result, or nil, err, code; what it raises stays in our log.
local function work(channel, methods, message, leave)
  local _ <close> = leave
  local method, id = methods[message.method], message.id
  if not method then
    return id ~= nil and fail(channel, id, "not_found", "no such method")
  end
  local ok, result, err, code = xpcall(method, debug.traceback, message.params)
  if not ok then
    if id ~= nil then
      fail(channel, id, "error", "internal error")
    end
    error(result, 0)
  elseif id == nil then
    return
  elseif result == nil and err then
    return fail(channel, id, code or "error", tostring(err))
  end
  if result == nil then
    result = json.null
  end
  local _, _, failed = send(channel, { id = id, result = result })
  return failed == "too_large" and fail(channel, id, "too_large", "the result is too large")
end

-- The first message of each side; false when the peer speaks no version of ours.
local function is_greeted(channel)
  local hello, err, code = receive(channel)
  if not hello then
    return nil, err, code
  elseif hello.rpc ~= VERSION then
    fail(channel, json.null, "version", ("version %d expected"):format(VERSION))
    return nil, "read rpc: another version", "protocol"
  end
  return true
end

local function serve(conn, methods, options)
  local channel = new_channel(conn, options)
  if not is_greeted(channel) then
    return
  end
  channel.lock:with(frame.write, conn, HELLO, channel.limits)
  local leave = setmetatable({}, { __close = function() channel.calls:release() end })
  local message = receive(channel)
  while message do
    if type(message.method) ~= "string" or message.id ~= nil and not is_id(message.id) then
      return fail(channel, json.null, "invalid", "no request")
    end
    channel.calls:acquire()
    task.spawn(work, channel, methods, message, leave)
    message = receive(channel)
  end
  for _ = 1, options and options.calls or CALLS do
    channel.calls:acquire()
  end
end

--- A handler of connections that answers calls with functions.
---@param methods table<string, fun(params: any): any, string?, string?>
---@param options? moonwire.rpc_options
---@return fun(conn: moonwire.stream)
function rpc.handler(methods, options)
  check.type(methods, "table", 1, "handler")
  check.options(options, KNOWN, 2, "handler")
  return function(conn)
    return serve(conn, methods, options)
  end
end

--- A client; it ends with the task that made it.
---@class moonwire.rpc_client
---@field private channel table
---@field private waiting table<integer, moonwire.queue>
---@field private last integer
local Client = {}
Client.__index = Client
Client.__name = "moonwire.rpc_client"

-- What is left to do when no reply can come any more, also because the reading task was cancelled.
local function finish(self)
  self.ended = self.ended or { "closed", "closed" }
  self.channel.conn:close()
  for _, queue in pairs(self.waiting) do
    queue:close()
  end
end

-- Hands replies to those who wait for them; at its end all are told.
local function read_replies(self)
  local _ <close> = setmetatable({}, { __close = function() finish(self) end })
  local message, err, code = receive(self.channel)
  while message do
    local queue = self.waiting[message.id or 0]
    if queue then
      queue:try_push(message)
    end
    message, err, code = receive(self.channel)
  end
  self.ended = { err, code }
end

-- Of what is no address it returns false and what is wrong with it.
local function open(address)
  if type(address) ~= "string" then
    return address
  end
  if address:find "^udp:" then
    return false, "not over datagrams"
  end
  return check.try(net.connect, address)
end

-- Says hello as a client and hears the server's.
local function greet(channel)
  local ok, err, code = frame.write(channel.conn, HELLO, channel.limits)
  if not ok then
    return nil, err, code
  end
  return is_greeted(channel)
end

--- Connects to a server of this protocol.
---@param address string|moonwire.stream
---@param options? moonwire.rpc_options
---@return moonwire.rpc_client? client
---@return string? err
---@return moonwire.code? code as of net.connect; "protocol": it speaks another version, or something else
function rpc.connect(address, options)
  check.options(options, KNOWN, 2, "connect")
  if type(address) ~= "string" then
    check.stream(address, 1, "connect")
  end
  local conn, err, code = open(address)
  if conn == false then
    check.refuse(1, "connect", err)
  elseif not conn then
    return nil, err, code
  end
  local channel = new_channel(conn, options)
  local ok, problem, kind = greet(channel)
  if not ok then
    conn:close()
    return nil, problem, kind
  end
  conn:configure { read_timeout = false }
  local self = setmetatable({ channel = channel, waiting = {}, last = 0 }, Client)
  task.spawn(read_replies, self)
  return self
end

local function take(self, queue, options)
  local seconds = options and options.timeout
  if seconds == nil then
    seconds = self.channel.timeout
  end
  local reply, _, code
  if seconds == false then
    reply, _, code = queue:pop()
  else
    reply, _, code = queue:pop(seconds or SECONDS)
  end
  if not reply then
    local ended = code == "timeout" and { code, code } or self.ended
    return nil, ended[1], ended[2]
  elseif type(reply.error) == "table" then
    return nil, tostring(reply.error.message), tostring(reply.error.code)
  end
  return reply.result
end

--- Calls a method and waits for its result.
---@param method string
---@param params? any what JSON can tell
---@param options? { timeout: number|false }
---@return any? result json.null when it returned nothing
---@return string? err
---@return string? code of the method, or "timeout", "eof", "reset", "closed", "too_large", "protocol"
function Client:call(method, params, options)
  check.type(method, "string", 1, "call")
  check.options(options, CALL_KNOWN, 3, "call")
  if self.ended then
    return nil, "closed", "closed"
  end
  self.last = self.last + 1
  local id, queue = self.last, sync.queue(1)
  self.waiting[id] = queue
  local _ <close> = setmetatable({}, { __close = function() self.waiting[id] = nil end })
  local ok, err, code = send(self.channel, { id = id, method = method, params = params })
  if not ok then
    return nil, err, code
  end
  return take(self, queue, options)
end

--- Calls a method without waiting for a result.
---@param method string
---@param params? any
---@return true?
---@return string? err
---@return moonwire.code? code as of stream:write
function Client:notify(method, params)
  check.type(method, "string", 1, "notify")
  return send(self.channel, { method = method, params = params })
end

--- Ends it. Calls that wait get "closed".
function Client:close()
  self.channel.conn:close()
end

Client.__close = Client.close

return rpc
