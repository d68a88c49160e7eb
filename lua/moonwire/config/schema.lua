--- Every option there is: the one list that configs are checked against, and the documentation, too.
--- Not for scripts.
local bus = require "moonwire.config.bus"
local kind = require "moonwire.config.kind"
local listener = require "moonwire.config.listener"
local network = require "moonwire.config.network"
local plain = require "moonwire.config.plain"
local store = require "moonwire.config.store"
local tls = require "moonwire.config.tls"

local schema = {}

local DAY <const>, HOUR <const> = 86400, 3600
local K <const>, M <const>, G <const>, T <const> = 1 << 10, 1 << 20, 1 << 30, 1 << 40

schema.WORKERS_MOST = 64

local path = kind.text("an absolute path", "^/[^%c]*$")
local account = kind.text("the name of an account", "^[%w_][%w_.-]*%$?$")
local file = kind.text("the path of a file", "^[^%c]+$")

-- What `control` and listeners may be: the kernel takes no longer path of a socket.
local socket_path = kind.text("an absolute path of at most 107 bytes", "^/[^%c]*$")
local read_path = socket_path.read
function socket_path.read(value, at)
  if type(value) == "string" and #value > 107 then
    at:expect(socket_path.expected, value)
  end
  return read_path(value, at)
end

local tcp_address = { expected = 'a tcp:// address (such as "tcp://127.0.0.1:9464")' }
function tcp_address.read(value, at)
  local listeners = type(value) == "string" and listener.kind.read(value, at)
  if not listeners or not value:find("^tcp://") then
    at:expect(tcp_address.expected, value)
  end
  return value
end

-- 0 in what is read: no limit.
local function limit(of)
  return kind.limit(of, 0)
end

-- false in what is read, as options of streams have it.
local function timeout(of)
  return kind.limit(of, false)
end

local restart = {
  { name = "budget", kind = kind.integer(1, 1000), default = 10,
    why = "so many ends of a worker within the time below are too many: then it rests" },
  { name = "within", kind = kind.duration(1, DAY), default = "60s",
    why = "the time in which they are counted" },
  { name = "most", kind = kind.duration(0.1, HOUR), default = "10s",
    why = "the longest rest; it begins short and doubles" },
}

local log = {
  { name = "level", kind = kind.choice { "debug", "info", "warn", "error" }, default = "info",
    why = "entries below are not written; `moonwire log LEVEL` changes it meanwhile" },
  { name = "format", kind = kind.choice { "text", "json" }, default = "text",
    why = "lines to read, or JSON for programs" },
  { name = "to", kind = kind.either(kind.choice { "auto", "stderr", "journal" }, path), default = "auto",
    why = "the journal with its fields, or stderr; auto: the journal if stderr goes there, as under systemd; "
      .. "or a file, opened anew at SIGUSR1" },
}

local metrics = {
  { name = "listen", kind = tcp_address, example = "tcp://127.0.0.1:9464",
    why = "where Prometheus can fetch /metrics, by a service of that name; without it nowhere" },
}

--- What a config sets by assigning a global.
---@type moonwire.config.fields
schema.daemon = {
  { name = "workers", default = "auto",
    kind = kind.either(kind.choice({ "auto" }), kind.integer(1, schema.WORKERS_MOST)),
    why = "processes that serve; auto: one for each core" },
  { name = "control", kind = socket_path, default = "/run/moonwire/control.sock",
    why = "the Unix socket that moonwire status, reload and the like speak to" },
  { name = "user", kind = account, example = "moonwire",
    why = "who the workers are when root starts the daemon; without it moonwire, or else nobody" },
  { name = "group", kind = account, example = "moonwire",
    why = "their group; without it the user's own" },
  { name = "drain", kind = kind.duration(0, 7 * DAY), default = "30s",
    why = "what connections may take to end after a reload or a stop" },
  { name = "stuck", kind = kind.duration(0.5, HOUR), default = "5s",
    why = "a worker whose loop does not turn for so long is replaced" },
  { name = "reload_timeout", kind = kind.duration(1, HOUR), default = "30s",
    why = "what loading config and scripts may take, and then all workers together" },
  { name = "restart", kind = kind.options(restart), default = {},
    why = "what happens when workers die again and again" },
  { name = "log", kind = kind.options(log), default = {},
    why = "the log of the daemon and all its services" },
  { name = "metrics", kind = kind.options(metrics), default = {}, why = "counters for Prometheus" },
  { name = "store", kind = store.kind, default = "lmdb:",
    why = "where moonwire.store keeps keys; lmdb: until the daemon stops" },
  { name = "bus", kind = bus.kind, example = "redis://127.0.0.1:6379",
    why = "a Redis over which other daemons share moonwire.bus; without it nobody does" },
}

local limits = {
  { name = "connections", kind = limit(kind.integer(1, 10000000)), default = 10000,
    why = "at once, in all workers together" },
  { name = "per_address", kind = limit(kind.integer(1, 10000000)), default = false,
    why = "at once from one address; a proxy in front has one for everybody" },
  { name = "accept_rate", kind = limit(kind.number(0.001, 1000000)), default = false,
    why = "new connections a second" },
  { name = "accept_burst", kind = limit(kind.integer(1, 1000000)), default = false,
    why = "so many may come at once before accept_rate holds; false: what it lets in within a second" },
  { name = "idle", kind = limit(kind.duration(0.001, 7 * DAY)), default = false,
    why = "a connection on which nothing came or left for so long is closed" },
  { name = "total", kind = limit(kind.duration(0.001, 366 * DAY)), default = false,
    why = "a connection older than this is closed" },
  { name = "memory", kind = limit(kind.size(M, T)), default = "1G",
    why = "of the service in each worker; past it allocations fail in its scripts alone" },
  { name = "cpu", kind = limit(kind.duration(0.01, HOUR)), default = "1s",
    why = "of the processor that a task may use without waiting" },
}

local options = {
  { name = "read_timeout", kind = timeout(kind.duration(0.001, 366 * DAY)), default = "300s",
    why = "what one read may wait" },
  { name = "write_timeout", kind = timeout(kind.duration(0.001, 366 * DAY)), default = "60s",
    why = "what one write may wait" },
  { name = "input_mark", kind = kind.size(1, G), default = "64K", why = "bytes read ahead of the script" },
  { name = "high_mark", kind = kind.size(1, G), default = "64K",
    why = "queued bytes above which write waits" },
  { name = "low_mark", kind = kind.size(1, G), default = "16K",
    why = "queued bytes at which it goes on" },
  { name = "queue_limit", kind = kind.size(K, G), default = "4M",
    why = "queued bytes that end the connection" },
  { name = "defer", kind = kind.boolean, default = false,
    why = "the handler starts when the peer has sent something" },
}

local numbers = kind.list(kind.integer(1, schema.WORKERS_MOST), "worker numbers")

--- What stands in the table of a service.
---@type moonwire.config.fields
schema.service = {
  { name = "listen", kind = listener.kind, default = {},
    why = "addresses, or tables with an address and options of the listener" },
  { name = "script", kind = file, example = "examples/echo.lua",
    why = "seen from the folder of the config, then among what was installed" },
  { name = "settings", kind = plain.table, default = {}, why = "for the script: ctx.config" },
  { name = "sandbox", kind = kind.boolean, default = false, why = "the script is from others" },
  { name = "processes", kind = kind.boolean, default = false,
    why = "it may start other programs; no worker may exec when no service does" },
  { name = "workers", example = { 1 },
    kind = kind.either(kind.integer(1, schema.WORKERS_MOST), numbers),
    why = "how many run it, or the numbers of those; without it all" },
  { name = "drain", kind = kind.duration(0, 7 * DAY), example = "30s",
    why = "instead of the daemon's" },
  { name = "tls", kind = tls.kind, why = "certificates of its tls:// listeners, and for conn:start_tls" },
  { name = "limits", kind = kind.options(limits), default = {}, why = "what it may use" },
  { name = "allow", kind = kind.list(network.kind, "networks"), default = {},
    why = "networks that may connect; when there are any, no others" },
  { name = "deny", kind = kind.list(network.kind, "networks"), default = {},
    why = "networks that may not; of several that fit, the smallest network decides" },
  { name = "proxies", default = {},
    kind = kind.list(network.or_unix, 'networks, and "unix" for Unix sockets'),
    why = "networks whose connections begin with a PROXY header, which says who the client is" },
  { name = "proxy_timeout", kind = kind.duration(0.001, HOUR), default = "10s",
    why = "what that header may take; behind a tls:// address tls.handshake_timeout is for both" },
  { name = "options", kind = kind.options(options, false), default = {},
    why = "of its connections, before those that the script names itself" },
}

return schema
