--- What libraries for LuaSocket need of it, over our streams: they wait as a task
--- does, and hold up nobody else.
---
---     require("moonwire.compat.socket").install()
---     local http = require "socket.http" -- LuaSocket's own, unchanged
local core = require "moonwire.core"
local dns = require "moonwire.dns"
local ends = require "moonwire.compat.socket.ends"
local stream = require "moonwire.compat.socket.stream"
local task = require "moonwire.task"

local socket = {
  _VERSION = "LuaSocket 3.1.0", -- what libraries ask for, and http sends as its name
  _SETSIZE = math.maxinteger, -- select takes any number of sockets
  BLOCKSIZE = ends.block_bytes,
  sinkt = ends.sinks, sink = ends.choose(ends.sinks),
  sourcet = ends.sources, source = ends.choose(ends.sources),
  choose = ends.choose,
  select = require "moonwire.compat.socket.select",
  dns = {},
}

local NOT_KNOWN <const> = "host or service not provided, or not known"

-- --- sockets ---

--- A TCP socket that is not connected yet.
function socket.tcp()
  return stream.new("tcp")
end

socket.tcp4, socket.tcp6 = socket.tcp, socket.tcp

--- A Unix socket.
local function unix()
  return stream.new("unix")
end

--- Connects to a host.
function socket.connect(host, port, local_host, local_port)
  local connection = socket.tcp()
  if local_host then
    local bound, message = connection:bind(local_host, local_port or 0)
    if not bound then
      return nil, message
    end
  end
  local ok, message = connection:connect(host, port)
  if not ok then
    return nil, message
  end
  return connection
end

socket.connect4, socket.connect6 = socket.connect, socket.connect

--- Listens.
function socket.bind(host, port)
  local server = socket.tcp()
  local ok, message = server:bind(host, port)
  if not ok then
    return nil, message
  end
  server:listen()
  return server
end

-- --- faults that are raised ---

local Raised = {}

--- A function that returns what it gets, and raises when the first of it is
--- false; the finalizer is called before that.
function socket.newtry(finalizer)
  return function(...)
    if ... then
      return ...
    end
    if finalizer then
      pcall(finalizer)
    end
    error(setmetatable({ (select(2, ...)) }, Raised), 0)
  end
end

socket.try = socket.newtry()

local function unwrap(ok, ...)
  if ok then
    return ...
  end
  if getmetatable((...)) == Raised then
    return nil, (...)[1]
  end
  error((...), 0)
end

--- The function, with what `try` raises in it returned as nil and a message.
function socket.protect(fn)
  return function(...)
    return unwrap(pcall(fn, ...))
  end
end

--- All arguments but the first `count`.
function socket.skip(count, ...)
  return select(count + 1, ...)
end

-- --- time ---

local to_wall_clock <const> = os.time() - core.now()

--- Seconds since 1970, whole ones as of the wall clock when this was loaded.
function socket.gettime()
  return core.now() + to_wall_clock
end

--- Waits; others run meanwhile.
function socket.sleep(seconds)
  task.sleep(math.max(seconds, 0))
end

-- --- names ---

local function resolved(name, addresses)
  return { name = name, alias = {}, ip = addresses }
end

--- The first address of a host, and all.
function socket.dns.toip(host)
  local addresses = dns.addresses(host, { family = "v4" })
  if not addresses then
    return nil, NOT_KNOWN
  end
  return addresses[1], resolved(host, addresses)
end

--- The first name of an address, and all.
function socket.dns.tohostname(address)
  local names = dns.reverse(address)
  if not names then
    return nil, NOT_KNOWN
  end
  return names[1], resolved(names[1], { address })
end

--- All addresses of a host with their families.
function socket.dns.getaddrinfo(host)
  local addresses = dns.addresses(host)
  if not addresses then
    return nil, NOT_KNOWN
  end
  local list = {}
  for i, address in ipairs(addresses) do
    list[i] = { addr = address, family = address:find(":", 1, true) and "inet6" or "inet" }
  end
  return list
end

--- The name of this machine.
function socket.dns.gethostname()
  local file <close> = assert(io.open("/proc/sys/kernel/hostname"))
  return file:read("l")
end

-- --- instead of LuaSocket ---

local MODULES <const> = {
  socket = socket, ["socket.core"] = socket,
  ["socket.unix"] = setmetatable({ stream = unix }, { __call = unix }),
}

--- From now on `require "socket"` gives this module in this service, also to
--- the libraries that are required later. Raises when LuaSocket itself is there already.
---@return table socket this module
function socket.install()
  for name, module in pairs(MODULES) do
    if package.loaded[name] and package.loaded[name] ~= module then
      error(("'%s' was required already, and is LuaSocket's: install this one first"):format(name), 2)
    end
  end
  for name, module in pairs(MODULES) do
    package.loaded[name] = module
  end
  return socket
end

return socket
