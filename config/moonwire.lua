-- The config of the Moonwire daemon: Lua, but in an empty world. See moonwire.lua(5).
-- Every option stands here with its default behind "--", or, where it has none, with an example.
-- `moonwire check` judges this file and the scripts it names; `moonwire reload` brings it into force.
--
-- Durations are seconds, or "500ms", "10s", "2m", "1h", "1d". Sizes are bytes, or "64K", "64M", "1G".
-- `false` is for no limit. env("NAME", default) gives a variable, credential("name") a secret from systemd.

-- Processes that serve; "auto": one for each core.
--workers = "auto"

-- The Unix socket that `moonwire status`, `reload` and the like speak to: only root and the daemon's own
-- user may.
--control = "/run/moonwire/control.sock"

-- Who the workers are when root starts the daemon; without it moonwire, or else nobody.
--user = "moonwire"
-- Their group; without it the user's own.
--group = "moonwire"

-- What connections may take to end after a reload or a stop; then they are closed.
--drain = "30s"

-- A worker whose loop does not turn for so long is replaced: a function in C may never return.
--stuck = "5s"

-- What loading this file and the scripts may take, and then all workers together: a reload that hangs
-- fails, and changes nothing.
--reload_timeout = "30s"

-- Workers that die are replaced at once, but not without end.
--restart = {
--  budget = 10, -- so many ends of a worker within this time are too many: then it rests
--  within = "60s", -- the time in which they are counted
--  most = "10s", -- the longest rest; it begins short and doubles
--}

-- The log of the daemon and all its services.
--log = {
--  level = "info", -- "debug", "info", "warn" or "error"; `moonwire log LEVEL` changes it meanwhile
--  format = "text", -- lines to read, or "json" for programs
--  to = "auto", -- "journal" under systemd, entries with their fields, else "stderr"; or the path of a file
--}

-- Counters for Prometheus; `moonwire metrics` prints them in any case.
--metrics = {
--  listen = "tcp://127.0.0.1:9464", -- where they can be fetched, by a service "metrics"; without it nowhere
--}

-- Where moonwire.store keeps keys: "lmdb:" until the daemon stops, "lmdb:///var/lib/moonwire/store" for
-- longer; "?size=256M" behind it is how much it may hold, instead of 64M.
--store = "lmdb:"

-- A Redis over which other daemons share moonwire.bus; without it nobody does. A password goes into the URL:
-- "redis://:" .. credential("redis") .. "@cache.example".
--bus = "redis://127.0.0.1:6379"

-- More files, as one for each service; it is no fault when there is none.
--include "conf.d/*.lua"

-- A service: says each byte back. Remove the "--" to have it.
--service "echo" {
--  -- Addresses: tcp:// tls:// udp:// unix:// fd://, or a table with one and options of the listener.
--  listen = {
--    "tcp://127.0.0.1:7000",
--    {
--      address = "tcp://[::1]:7000", -- where to listen
--      backlog = 4096, -- connections that the kernel keeps until they are accepted
--      nodelay = true, -- small writes leave at once, instead of waiting for more
--      keepalive = false, -- the kernel probes idle peers, and so finds out which are gone
--      v6_only = false, -- [::] takes no IPv4, so that another listener can have it
--      -- door = "web", -- which of the script's doors serves it; without it the one that has no name
--    },
--    { address = "unix:///run/moonwire/echo.sock", mode = "660" }, -- mode: who may connect to a Unix socket
--  },
--
--  -- What it does: seen from the folder of this file, then among what came with Moonwire.
--  script = "examples/echo.lua",
--
--  -- For the script, which finds it as ctx.config: any plain data.
--  settings = {},
--
--  -- The script is from others: it reaches no files and no processes, and its functions are bounded.
--  sandbox = false,
--
--  -- It may start other programs: while no service may, no worker can.
--  processes = false,
--
--  -- How many workers run it, or their numbers in a list; without it all.
--  workers = 1,
--
--  -- What its connections may take to end, instead of the daemon's `drain`.
--  drain = "30s",
--
--  -- Certificates of tls:// addresses, and for conn:start_tls; `tls = "auto"` makes one to try things out.
--  -- Files are seen from the folder of this one, read before the daemon gives up its rights, and again when
--  -- they have changed; or say what is in them: credential("tls.key").
--  tls = {
--    certificate = "tls/fullchain.pem", -- and behind it those that lead to an authority
--    key = "tls/key.pem", -- which root alone need be able to read
--    staple = "tls/staple.der", -- an OCSP response, for clients that ask for one
--    certificates = {}, -- more of such pairs in tables: each client gets that of the name it asks for
--    authorities = "tls/clients.pem", -- who signs the certificates of clients
--    verify = "none", -- whether clients must show one: "optional" or "required"
--    protocols = {}, -- for ALPN, the best first, such as "http/1.1"
--    least_version = 1.2, -- of the protocol
--    handshake_timeout = "10s", -- what a handshake may take
--    handshakes = 1000, -- at once in each worker; connections beyond are refused
--  },
--
--  -- What it may use.
--  limits = {
--    connections = 10000, -- at once, in all workers together
--    per_address = false, -- at once from one address; a proxy in front has one for everybody
--    accept_rate = false, -- new connections a second
--    accept_burst = false, -- so many may come at once before accept_rate holds; false: those of a second
--    idle = false, -- a connection on which nothing came or left for so long is closed
--    total = false, -- a connection older than this is closed
--    memory = "1G", -- of the service in each worker; past it allocations fail in its scripts alone
--    cpu = "1s", -- of the processor that a task may use without waiting
--  },
--
--  -- Networks that may connect, such as "10.0.0.0/8"; when there are any, no others.
--  allow = {},
--
--  -- Networks that may not; of several that fit, the smallest decides.
--  deny = {},
--
--  -- Networks, and "unix", whose connections begin with a PROXY header, which says who the client is.
--  proxies = {},
--
--  -- What that header may take; with TLS its handshake_timeout is for both.
--  proxy_timeout = "10s",
--
--  -- Of its connections, instead of what the script says itself.
--  options = {
--    read_timeout = "300s", -- what one read may wait
--    write_timeout = "60s", -- what one write may wait
--    input_mark = "64K", -- bytes read ahead of the script
--    high_mark = "64K", -- queued bytes above which write waits
--    low_mark = "16K", -- queued bytes at which it goes on
--    queue_limit = "4M", -- bytes that a queue above high_mark may grow to: past that the connection ends
--    defer = false, -- the handler starts when the peer has sent something
--  },
--}

-- An FTP server. Its settings stand at the head of scripts/ftp.lua; with a certificate in `tls`, say
-- tls = "required" in them.
--service "ftp" {
--  listen = "tcp://127.0.0.1:2121",
--  script = "scripts/ftp.lua",
--  settings = { root = "/srv/ftp", users = { bob = "SECRET" } },
--}

-- The files of a folder by TFTP, for machines that boot: docs/services/tftp.md.
--service "tftp" { script = "scripts/tftp.lua", listen = "udp://127.0.0.1:69", settings = { root = "/srv" } }

-- Rooms for IRC clients, and for browsers at http://127.0.0.1:8080/ (docs/services/chat.md).
--service "chat" {
--  listen = { "tcp://127.0.0.1:6667", { address = "tcp://127.0.0.1:8080", door = "web" } },
--  script = "scripts/chat.lua",
--}

-- A web site; more of it, as sites by their names, passwords, and pages for visitors: docs/services/web.md.
--service "web" { script = "scripts/web.lua", listen = "tcp://127.0.0.1:80", settings = { root = "/srv" } }

-- A mail server: for other servers at the first address, for users who send and read at the others, all with
-- the certificate in `tls`. Its settings: docs/services/mail.md.
--service "mail" {
--  listen = {
--    "tcp://127.0.0.1:2525",
--    { address = "tcp://127.0.0.1:2587", door = "submission" },
--    { address = "tls://127.0.0.1:2995", door = "pop3" },
--  },
--  script = "scripts/mail.lua",
--  tls = "auto",
--  settings = {
--    domain = "example.org", maildir = "/var/lib/moonwire/mail", users = { bob = "SECRET" }, starttls = true,
--  },
--}

-- In front of another TCP service: who may come in, how often, and what they may say: docs/services/gate.md.
--service "gate" {
--  listen = "tcp://127.0.0.1:8443",
--  script = "scripts/gate.lua",
--  settings = { upstream = "tcp://127.0.0.1:443", connections = 20, events = "/var/log/gate.events" },
--}

-- Files by HTTP: PUT, GET and DELETE, uploads that go on where they stopped: docs/services/files.md.
--service "files" {
--  listen = "tcp://127.0.0.1:8090",
--  script = "scripts/files.lua",
--  settings = { root = "/srv/files", users = { bob = "SECRET" } },
--}
