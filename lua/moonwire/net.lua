--- Servers and clients on stream sockets and datagrams.
local core = require "moonwire.core"

local net = {}

---@class moonwire.stream_options
---@field read_timeout? number|false seconds that one read may take; default 300, false: no limit
---@field write_timeout? number|false seconds that one write may wait; default 60, false: no limit
---@field input_mark? integer bytes read ahead of the script at most; default 65536
---@field high_mark? integer queued bytes above which write waits; default 65536
---@field low_mark? integer queued bytes at which it goes on; default 16384
---@field queue_limit? integer bytes that a queue above high_mark may grow to; default 4194304

--- A certificate with its key: names of files (PEM), or the texts.
---@class moonwire.tls_pair
---@field certificate? string the certificate, and behind it those that lead to an authority
---@field key? string
---@field certificate_pem? string
---@field key_pem? string
---@field staple? string file: an OCSP response (DER)

---@class moonwire.tls_server_options: moonwire.tls_pair
---@field certificates? moonwire.tls_pair[] more, chosen by the name that a client asks for
---@field authorities? string file: who signs the certificates of clients (PEM)
---@field authorities_pem? string the text instead of the file
---@field verify? "none"|"optional"|"required" whether clients must show a certificate; default "none"
---@field protocols? string[] for ALPN, the best first
---@field least_version? 1.2|1.3 default 1.2
---@field handshake_timeout? number|false seconds; default 10
---@field handshakes? integer at a time; default 1000

---@class moonwire.tls_client_options
---@field name? string of the server, to ask for and to check; default: the host of the address
---@field authorities? string file: who is trusted (PEM); default: the authorities of the system
---@field authorities_pem? string the text instead of the file
---@field verify? "required"|"none" default "required"
---@field certificate? string file: shown to a server that asks for one (PEM)
---@field key? string file: its key (PEM)
---@field certificate_pem? string the text instead of the file
---@field key_pem? string the text instead of the file
---@field protocols? string[] for ALPN, the best first
---@field least_version? 1.2|1.3 default 1.2
---@field handshake_timeout? number|false seconds; default 10

---@class moonwire.listen_options: moonwire.stream_options
--- Of a tls:// address, or for stream:start_tls; "auto" makes a certificate to try things out.
---@field tls? moonwire.tls_server_options|"auto"
---@field proxies? string[] networks, and "unix" for Unix sockets, whose connections begin with a PROXY header
---@field proxy_timeout? number|false seconds that it may take; default 10; with TLS see tls.handshake_timeout
---@field backlog? integer connections that the kernel keeps until they are accepted; default 4096
---@field reuse_port? boolean several sockets may listen there; default false
---@field v6_only? boolean an IPv6 socket takes no IPv4; default false
---@field nodelay? boolean small writes leave at once (TCP_NODELAY); default true
---@field keepalive? boolean the kernel probes idle peers (SO_KEEPALIVE); default false
---@field mode? integer permission bits of a Unix path, as tonumber("660", 8); default: what the umask leaves

---@class moonwire.serve_options: moonwire.listen_options
--- The handler starts when the peer has sent something: a silent connection has
--- no task until then, and closes after read_timeout. Default false.
---@field defer? boolean

--- A header of the PROXY protocol, with both addresses or none.
---@class moonwire.proxy_header
---@field version? 1|2 default 2
---@field source? string of the client: "192.0.2.1:4711"
---@field destination? string that it has connected to

---@class moonwire.connect_options: moonwire.stream_options
--- Sent before all else; of a stream: that it is passed on.
---@field proxy_header? moonwire.proxy_header|moonwire.stream|moonwire.http.request
---@field tls? moonwire.tls_client_options of a tls:// address
---@field timeout? number|false seconds for name and connection; default 10
---@field local_address? string numeric address to connect from: "127.0.0.2:0"
---@field attempt_delay? number seconds until the next address is tried too (RFC 8305); default 0.25
---@field nodelay? boolean default true
---@field keepalive? boolean default false

--- Opens a listener whose connections are accepted one by one: listener:accept().
---@param address string "tcp://127.0.0.1:7000", "tls://[::]:443", "unix:///run/x", "unix://@name", "fd://3"
---@param options? moonwire.listen_options
---@return moonwire.listener? listener
---@return string? err
---@return moonwire.code? code "in_use", "denied", "unavailable", "invalid", "descriptors", "not_found"
net.listen = core.net.listen

--- Serves an address: every connection is a task that runs the handler. The
--- connection closes when the handler returns.
---@param address string as of listen
---@param handler fun(conn: moonwire.stream)
---@param options? moonwire.serve_options
---@return moonwire.listener? listener
---@return string? err
---@return moonwire.code? code as of listen
net.serve = core.net.serve

--- Connects to a server. All addresses of a name are tried, families by turns,
--- the next one beside the one that does not answer (RFC 8305). A udp:// address
--- gives a datagram socket, see net.connect_datagram.
---@param address string "tcp://host:25", "tls://host:443", "udp://host:53", "unix:///run/x.sock", "fd://3"
---@param options? moonwire.connect_options
---@return moonwire.stream|moonwire.datagram? stream closes with the task that opened it
---@return string? err
---@return moonwire.code? code "refused", "timeout", "unreachable", "not_found", "denied", "descriptors"; of
---  TLS "certificate", "protocol", "tls", "reset"; "closed": the stream in proxy_header is
net.connect = core.net.connect

---@class moonwire.datagram_options
---@field reuse_port? boolean several sockets share the port; default false
---@field v6_only? boolean [::] takes no IPv4; default false
---@field broadcast? boolean may send to broadcast addresses; default false
---@field read_timeout? number|false seconds that receive may wait; default false: no limit
---@field write_timeout? number|false seconds that send may wait; default 60

--- Opens a datagram socket that is bound to an address and hears from everybody.
--- What comes while nobody receives waits in the kernel, as much as it keeps.
---@param address string "udp://127.0.0.1:53", "udp://[::]:53", "udp://:53" (all addresses), "fd://3"
---@param options? moonwire.datagram_options
---@return moonwire.datagram? socket closes with the task that opened it
---@return string? err
---@return moonwire.code? code "in_use", "denied", "unavailable", "invalid", "descriptors"
net.datagram = core.net.datagram

---@class moonwire.connect_datagram_options
---@field local_address? string numeric address to send from: "127.0.0.2:0"
---@field timeout? number|false seconds that looking up the name may take; default 10
---@field broadcast? boolean the peer may be a broadcast address; default false
---@field read_timeout? number|false seconds that receive may wait; default 10
---@field write_timeout? number|false seconds that send may wait; default 60

--- Opens a datagram socket with a fixed peer: it sends to nobody else and hears
--- from nobody else, and learns when the peer does not listen. Of a name the
--- first address is taken that there is a way to.
---@param address string "udp://127.0.0.1:53", "udp://host:53"
---@param options? moonwire.connect_datagram_options
---@return moonwire.datagram? socket closes with the task that opened it
---@return string? err
---@return moonwire.code? code "not_found", "timeout", "unreachable", "descriptors"
net.connect_datagram = core.net.connect_datagram

---@class moonwire.relay_options
--- Seconds without a byte either way that end the relay; default 300, false: no limit.
---@field idle? number|false

--- Relays two streams into each other and waits until both have ended: what one
--- peer sends goes out to the other, and so does the end of its data. Nobody
--- else can read or write the streams meanwhile. They stay open, also after a
--- fault, and then what was taken from one and not sent yet is queued in the other.
---@param a moonwire.stream
---@param b moonwire.stream
---@param options? moonwire.relay_options
---@return integer? a_to_b bytes
---@return integer|string b_to_a bytes, or err
---@return moonwire.code? code "timeout" (idle), "reset", "closed" by another task, "busy" when one is in use
net.relay = core.net.relay

--- Two streams in memory, each the other's peer: for specs and simulations.
---@return moonwire.stream, moonwire.stream
net.pair = core.net.pair

return net
