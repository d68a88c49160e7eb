--- The stream sockets of LuaSocket, over ours. Not for scripts: they come from
--- moonwire.compat.socket.
local core = require "moonwire.core"
local net = require "moonwire.net"

local stream = {}

local LINE_BYTES <const> = 1024 * 1024 -- of a line at most
local ALL_BYTES <const> = 64 * 1024 * 1024 -- of receive("*a")
local PIECE_BYTES <const> = 64 * 1024
local CONNECT_SECONDS <const> = 120 -- without settimeout; the kernel gives up about then

local NOT_KNOWN <const> = "host or service not provided, or not known"

-- What LuaSocket says for our codes; others keep our message.
local WORDS <const> = {
  eof = "closed", reset = "closed", closed = "closed", timeout = "timeout", refused = "connection refused",
  in_use = "address already in use", denied = "permission denied", not_found = NOT_KNOWN,
}

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

local function word(message, code)
  return WORDS[code] or message
end

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

local function due_of(self)
  return self.total and core.now() + self.total
end

-- What the next wait may take; false: no limit.
local function left(self, due)
  local rest = due and math.max(due - core.now(), 0)
  if rest and self.block then
    return math.min(rest, self.block)
  end
  return rest or self.block
end

local function set_limit(self, seconds)
  if self.limit ~= seconds then
    self.stream:configure { read_timeout = seconds, write_timeout = seconds }
    self.limit = seconds
  end
end

-- --- connecting and listening ---

-- Calls a function of net with an address. One without a port is no address.
local function open(self, verb, host, port, options)
  local address = address_of(self, host, port)
  if not address then
    return nil, NOT_KNOWN
  end
  local opened, message, code = verb(address, options)
  if not opened then
    return nil, word(message, code)
  end
  return opened
end

local function connect_options(self)
  local options = { timeout = left(self, due_of(self)) or CONNECT_SECONDS }
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
    opened, message, code = self.listener:accept(left(self, due_of(self)) or math.huge)
    if not opened then
      return nil, word(message, code)
    end
  end
  return client(self.kind, opened)
end

-- --- sending and receiving ---

local function check_client(self)
  return self.state == "client" and not self.broken and self.stream:is_open()
end

-- What LuaSocket says, of a fault in reading or writing.
local function fault(self, message, code)
  self.broken = self.broken or code == "reset"
  return word(message, code)
end

--- Sends bytes i to j, and returns the index of the last one sent.
function Socket:send(data, i, j)
  data = tostring(data)
  i, j = i or 1, j or -1
  i = i < 0 and math.max(#data + i + 1, 1) or math.max(i, 1)
  j = j < 0 and #data + j + 1 or math.min(j, #data)
  if not check_client(self) then
    return nil, "closed", i - 1
  end
  local due, sent = due_of(self), i - 1
  while sent < j do
    set_limit(self, left(self, due))
    local last = math.min(sent + PIECE_BYTES, j)
    local ok, message, code = self.stream:write(data:sub(sent + 1, last))
    if not ok and code ~= "timeout" then
      return nil, fault(self, message, code), sent
    end
    sent = last -- after a timeout it is queued still
    if not ok and sent < j then
      return nil, "timeout", sent
    end
  end
  return sent
end

-- What is there, without waiting.
local function pending(self, max)
  if not self.stream:is_open() then
    return ""
  end
  set_limit(self, 0)
  return self.stream:read_some(max) or ""
end

-- Pieces until there are `size` bytes, or until the end of data.
local function receive_pieces(self, size, to_end, prefix)
  local pieces, have, due = { prefix }, #prefix, due_of(self)
  while have < size do
    set_limit(self, left(self, due))
    local piece, message, code = self.stream:read_some(math.min(size - have, PIECE_BYTES))
    if code == "eof" and to_end then
      return table.concat(pieces)
    elseif not piece then
      return nil, fault(self, message, code), table.concat(pieces)
    end
    pieces[#pieces + 1] = piece
    have = have + #piece
  end
  if to_end then
    return nil, "too_large", table.concat(pieces)
  end
  return table.concat(pieces)
end

-- A limit on single waits begins anew with every byte that comes.
local function receive_line(self, prefix)
  local due = due_of(self)
  repeat
    local before = self.stream:counters().received
    set_limit(self, left(self, due))
    local line, message, code = self.stream:read_line(LINE_BYTES)
    if line then
      return prefix .. line:gsub("\r", "")
    end
    local open_still = code == "timeout" and self.stream:is_open()
    local moves = open_still and self.stream:counters().received > before and left(self, due) ~= 0
    if not moves then
      local partial = code == "too_large" and "" or pending(self, LINE_BYTES):gsub("\r", "")
      return nil, fault(self, message, code), prefix .. partial
    end
  until false
end

--- Receives a line ("*l"), all data to its end ("*a"), or so many bytes. What came
--- before a fault is the third result.
function Socket:receive(pattern, prefix)
  prefix = prefix or ""
  if not check_client(self) then
    return nil, "closed", prefix
  end
  pattern = pattern or "*l"
  if type(pattern) == "number" then
    return receive_pieces(self, pattern, false, prefix)
  end
  local letter = tostring(pattern):gsub("^%*", ""):sub(1, 1)
  if letter == "l" then
    return receive_line(self, prefix)
  elseif letter == "a" then
    return receive_pieces(self, ALL_BYTES, true, prefix)
  end
  error(("bad argument #1 to 'receive' (invalid receive pattern '%s')"):format(pattern), 2)
end

-- --- for select ---

--- Waits until a call of receive, or accept, would not wait.
function Socket:await_input()
  if self.state == "server" then
    if not self.accepted then
      local opened = self.listener:accept()
      self.accepted = opened and opened:keep()
    end
  elseif check_client(self) then
    set_limit(self, false)
    self.stream:peek(1)
  end
end

--- Whether send would not wait.
---@return boolean
function Socket:has_room()
  local counters = self.stream and self.stream:counters()
  return not counters or counters.pending <= PIECE_BYTES
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
  if not check_client(self) then
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
  if not check_client(self) then
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
