--- The stream sockets of LuaSocket, over ours. Not for scripts: they come from
--- moonwire.compat.socket.
local net = require "moonwire.net"
local transfer = require "moonwire.compat.socket.transfer"

local stream = {}

local QUEUED_BYTES <const> = 64 * 1024 -- send would wait above
local CONNECT_SECONDS <const> = 120 -- without settimeout; the kernel gives up about then

-- As setoption has them; true: what this value asks for is so anyway.
local OPTIONS <const> = {
  ["tcp-nodelay"] = "nodelay", keepalive = "keepalive", reuseport = "reuse_port", ["ipv6-v6only"] = "v6_only",
}

---@class moonwire.compat.socket
---@field state "master"|"client"|"server"|"closed"
---@field kind "tcp"|"unix"
---@field stream? moonwire.stream of a client
---@field listener? moonwire.listener of a server, and of a master that is bound
---@field accepted? moonwire.stream that select has accepted
---@field block number|false seconds that one wait may take
---@field total number|false seconds that one call may take
---@field counters? moonwire.stream_counters as of its close
---@field broken? boolean it was reset
---@field limit number|false|nil what the stream was told last
---@field options table<string, any> for connect and listen
local Socket = { __name = "moonwire.compat.socket" }
Socket.__index = Socket

---@param kind "tcp"|"unix"
---@return moonwire.compat.socket
function stream.new(kind)
  return setmetatable({ state = "master", kind = kind, block = false, total = false, options = {} }, Socket)
end

---@return boolean
function stream.is_socket(value)
  return getmetatable(value) == Socket
end

local function client(kind, transport)
  local self = stream.new(kind)
  self.state, self.stream = "client", transport
  return self
end

-- "10.0.0.1", 25 → "tcp://10.0.0.1:25"; nil when that is no address.
local function address_of(self, host, port)
  if self.kind == "unix" then
    return "unix://" .. host
  end
  host = host == "*" and "0.0.0.0" or host
  port = math.tointeger(tonumber(port))
  if not port or port < 0 or port > 65535 or not host:find("^[%w.:_%%-]+$") then
    return nil
  end
  return ("tcp://%s:%d"):format(host:find(":", 1, true) and "[" .. host .. "]" or host, port)
end

-- "[::1]:25" → "::1", 25, "inet6"
local function split(address)
  local host, port = address:match("^%[(.*)%]:(%d+)$")
  if host then
    return host, math.tointeger(tonumber(port)), "inet6"
  end
  host, port = address:match("^(.*):(%d+)$")
  if host then
    return host, math.tointeger(tonumber(port)), "inet"
  end
  return (address:gsub("^unix://", ""))
end

-- --- time ---

--- Limits what a call may wait: "b", each single wait; "t", all together. None: for ever.
function Socket:settimeout(seconds, mode)
  local limit = seconds and seconds >= 0 and seconds or false
  if mode == "t" or mode == "r" then
    self.total = limit
  else
    self.block = limit
  end
  return 1
end

function Socket:gettimeout()
  return self.block or -1, self.total or -1
end

-- --- connecting and listening ---

-- Calls a function of net with an address. One without a port is no address.
local function open(self, verb, host, port, options)
  local address = address_of(self, host, port)
  if not address then
    return nil, transfer.NOT_KNOWN
  end
  local opened, message, code = verb(address, options)
  if not opened then
    return nil, transfer.word(message, code)
  end
  return opened
end

local function connect_options(self)
  local options = { timeout = transfer.left(self, transfer.due_of(self)) or CONNECT_SECONDS }
  if options.timeout == 0 then
    options.timeout = CONNECT_SECONDS -- it holds up this task alone
  end
  options.keepalive = self.options.keepalive
  options.nodelay = self.options.nodelay
  if self.listener then
    options.local_address = self.listener:local_address()
    self.listener:close()
    self.listener = nil
  end
  return options
end

--- Connects. Without limit when settimeout asks for none to wait: it is this task alone that waits.
function Socket:connect(host, port)
  if self.state ~= "master" then
    return nil, self.state == "closed" and "closed" or "already connected"
  end
  local opened, message = open(self, net.connect, host, port, connect_options(self))
  if not opened then
    return nil, message
  end
  self.state, self.stream = "client", opened
  return 1
end

function Socket:bind(host, port)
  local options = { reuse_port = self.options.reuse_port, v6_only = self.options.v6_only }
  local opened, message = open(self, net.listen, host, port, options)
  if not opened then
    return nil, message
  end
  self.listener = opened
  return 1
end

--- The kernel listens since bind.
function Socket:listen()
  if not self.listener then
    local bound, message = self:bind("*", 0)
    if not bound then
      return nil, message
    end
  end
  self.state = "server"
  return 1
end

function Socket:accept()
  if self.state ~= "server" then
    return nil, "closed"
  end
  local opened = self.accepted
  self.accepted = nil
  if not opened then
    local message, code
    opened, message, code = self.listener:accept(transfer.left(self, transfer.due_of(self)) or math.huge)
    if not opened then
      return nil, transfer.word(message, code)
    end
  end
  return client(self.kind, opened)
end

-- --- sending and receiving ---

Socket.send, Socket.receive = transfer.send, transfer.receive

-- --- for select ---

--- Waits until a call of receive, or accept, would not wait.
function Socket:await_input()
  if self.state == "server" then
    if not self.accepted then
      local opened = self.listener:accept()
      self.accepted = opened and opened:keep()
    end
  elseif transfer.is_connected(self) then
    transfer.set_limit(self, false)
    self.stream:peek(1)
  end
end

--- Whether send would not wait.
---@return boolean
function Socket:has_room()
  local counters = self.stream and self.stream:counters()
  return not counters or counters.pending <= QUEUED_BYTES
end

--- What select waits for; LuaSocket has a number here.
function Socket:getfd()
  return self
end

--- Whether data was read ahead that select could not see: ours sees it.
function Socket:dirty()
  return false
end

-- --- about it ---

--- Before connect or bind: "tcp-nodelay", "keepalive", "reuseport", "ipv6-v6only".
--- "reuseaddr" is always on. Others are not supported.
function Socket:setoption(name, value)
  value = value == nil or value
  if name == "reuseaddr" then
    return value and 1 or nil, not value and "unsupported" or nil
  end
  local key = OPTIONS[name]
  if not key then
    return nil, "unsupported"
  end
  if self.state == "master" then
    self.options[key] = value
    return 1
  end
  local now = self.options[key]
  if now == nil then
    now = key == "nodelay"
  end
  return now == value and 1 or nil, now ~= value and "unsupported" or nil
end

function Socket:getsockname()
  local holder = self.listener or self.stream
  local address = holder and holder:local_address()
  if not address then
    return nil, "closed"
  end
  return split(address)
end

function Socket:getpeername()
  if not transfer.is_connected(self) then
    return nil, "closed"
  end
  return split(self.stream:peer_address())
end

function Socket:getfamily()
  local _, _, family = self:getsockname()
  return family or "inet"
end

--- Bytes received and sent, and its age in seconds; of a closed one, as of then.
function Socket:getstats()
  local counters = self.stream and self.stream:counters() or self.counters
  if not counters then
    return 0, 0, 0
  end
  return counters.received, counters.sent + counters.pending, counters.age
end

function Socket:shutdown(how)
  if not transfer.is_connected(self) then
    return nil, "closed"
  end
  if how ~= "receive" then
    self.stream:shutdown_write()
  end
  return 1
end

function Socket:close()
  self.counters = self.stream and self.stream:counters() or self.counters
  for _, name in ipairs { "stream", "accepted", "listener" } do
    if self[name] then
      self[name]:close()
    end
  end
  self.state = "closed"
  return 1
end

Socket.__close = Socket.close

function Socket:__tostring()
  return ("%s{%s}: %p"):format(self.kind, self.state, self)
end

return stream
