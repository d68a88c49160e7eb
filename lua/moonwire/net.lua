--- Servers and clients on stream sockets and datagrams.
local core = require "moonwire.core"

local net = {}

---@class moonwire.stream_options
---@field read_timeout? number|false seconds that one read may take; default 300, false: no limit
---@field write_timeout? number|false seconds that one write may wait; default 60, false: no limit
---@field input_mark? integer bytes read ahead of the script at most; default 65536
---@field high_mark? integer queued bytes above which write waits; default 65536
---@field low_mark? integer queued bytes at which it goes on; default 16384
---@field queue_limit? integer queued bytes above which a write is refused; default 4194304

---@class moonwire.listen_options: moonwire.stream_options
---@field backlog? integer connections that the kernel keeps until they are accepted; default 4096
---@field reuse_port? boolean several sockets may listen there; default false
---@field v6_only? boolean an IPv6 socket takes no IPv4; default false
---@field nodelay? boolean small writes leave at once (TCP_NODELAY); default true
---@field keepalive? boolean the kernel probes idle peers (SO_KEEPALIVE); default false
---@field mode? integer permission bits of a Unix path, such as tonumber("660", 8)

---@class moonwire.connect_options: moonwire.stream_options
---@field timeout? number|false seconds for name and connection; default 10
---@field local_address? string numeric address to connect from: "127.0.0.2:0"
---@field attempt_delay? number seconds until the next address is tried too (RFC 8305); default 0.25
---@field nodelay? boolean default true
---@field keepalive? boolean default false

--- Opens a listener whose connections are accepted one by one: listener:accept().
---@param address string "tcp://127.0.0.1:7000", "tcp://[::]:7000", "unix:///run/x.sock", "unix://@name", "fd://3"
---@param options? moonwire.listen_options
---@return moonwire.listener? listener
---@return string? err
---@return string? code "in_use", "denied", "unavailable", "invalid", "descriptors"
function net.listen(address, options)
  return core.net.listen(address, options)
end

--- Serves an address: every connection is a task that runs the handler. The
--- connection closes when the handler returns.
---@param address string as of listen
---@param handler fun(conn: moonwire.stream)
---@param options? moonwire.listen_options
---@return moonwire.listener? listener
---@return string? err
---@return string? code
function net.serve(address, handler, options)
  return core.net.serve(address, handler, options)
end

--- Connects to a server. All addresses of a name are tried, families by turns,
--- the next one beside the one that does not answer (RFC 8305).
---@param address string "tcp://host:25", "unix:///run/x.sock", "fd://3"
---@param options? moonwire.connect_options
---@return moonwire.stream? stream closes with the task that opened it
---@return string? err
---@return string? code "refused", "timeout", "unreachable", "not_found", "denied", "descriptors"
function net.connect(address, options)
  return core.net.connect(address, options)
end

--- Two streams in memory, each the other's peer: for specs and simulations.
---@return moonwire.stream, moonwire.stream
function net.pair()
  return core.net.pair()
end

return net
