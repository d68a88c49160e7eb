--- C modules that stop the whole process while they wait, and what there is
--- instead. Each is told of once in a service, when it is required first.
--- Not for scripts.
local log = require "moonwire.log"

local blocking = {}

local SOCKET <const> = "moonwire.net, or moonwire.compat.socket for libraries that need LuaSocket"
local DATABASE <const> = "moonwire.process, or a server that is spoken to over moonwire.net"
local LOOP <const> = "moonwire.net, moonwire.task and moonwire.timer: it has an event loop of its own"

--- The module → what to use instead.
---@type table<string, string>
blocking.modules = {
  ["socket.core"] = SOCKET,
  ["socket.unix"] = "moonwire.net with unix:// addresses, or moonwire.compat.socket",
  ["socket.serial"] = "moonwire.process",
  ["ssl.core"] = "tls:// addresses of moonwire.net, and conn:start_tls",
  ["lcurl"] = "a client over moonwire.net, or moonwire.process with curl",
  ["cURL"] = "a client over moonwire.net, or moonwire.process with curl",
  ["lualdap"] = "moonwire.process with ldapsearch",
  ["cyrussasl"] = "moonwire.process",
  ["lunbound"] = "moonwire.dns",
  ["lsqlite3"] = DATABASE,
  ["luasql.sqlite3"] = DATABASE,
  ["luasql.mysql"] = DATABASE,
  ["luasql.postgres"] = DATABASE,
  ["luasql.odbc"] = DATABASE,
  ["dbd.sqlite3"] = DATABASE,
  ["dbd.mysql"] = DATABASE,
  ["dbd.postgresql"] = DATABASE,
  ["pgsql"] = DATABASE,
  ["posix.unistd"] = "moonwire.task for sleep, moonwire.process for fork and exec, moonwire.net for the rest",
  ["posix.poll"] = "moonwire.net and moonwire.sync",
  ["posix.sys.wait"] = "moonwire.process",
  ["posix.sys.socket"] = "moonwire.net",
  ["inotify"] = "moonwire.process",
  ["lpty"] = "moonwire.process",
  ["readline"] = "moonwire.net, or `moonwire run --stdio`",
  ["curses"] = "moonwire.process",
  ["_cqueues"] = LOOP,
  ["luv"] = LOOP,
  ["luaevent.core"] = LOOP,
  ["ev"] = LOOP,
}

local told = {}

--- Says so if the module is one of these and is there to be loaded.
---@param name string
function blocking.note(name)
  local instead = blocking.modules[name]
  if instead and not told[name] and package.searchpath(name, package.cpath) then
    told[name] = true
    log.warn(("module '%s' blocks the whole process while it waits"):format(name), { instead = instead })
  end
end

return blocking
