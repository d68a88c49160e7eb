---@meta
-- luacheck: ignore 212 241

--- A connection: bytes both ways. It closes with the task that opened it, or
--- that it was given to; `keep` changes that. One task may read and one may write
--- at a time. Reads leave in place what they do not return.
---@class moonwire.stream
local stream = {}

---@class moonwire.stream_counters
---@field received integer bytes
---@field sent integer bytes that the kernel has taken
---@field pending integer bytes that it has not taken yet
---@field age number seconds since it was opened
---@field idle number seconds since a byte went either way

---@class moonwire.iteration_options
---@field max? integer bytes in one piece at most, 1 to 1073741824; default 65536

--- Reads so many bytes, no fewer.
---@param count integer 0 to 1073741824
---@return string? bytes
---@return string? err
---@return moonwire.code? code "eof" (fewer are left: they stay), "timeout", "reset", "closed", "busy"
function stream:read(count) end

--- Reads what is there, one byte at least; waits only when there is none.
---@param max? integer bytes at most, 1 to 1073741824; default 65536
---@return string? bytes
---@return string? err
---@return moonwire.code? code "eof", "timeout", "reset", "closed", "busy"
function stream:read_some(max) end

--- Reads a line and returns it without its end, which is LF or CRLF. What is too
--- large, or not ended by the peer, stays unread.
---@param max? integer bytes of the line at most, 1 to 1073741824; default 65536
---@return string? line
---@return string? err
---@return moonwire.code? code "too_large", "eof", "timeout", "reset", "closed", "busy"
function stream:read_line(max) end

--- Reads up to a delimiter and returns what is before it. The delimiter is taken
--- too. What is too large, or not ended by the peer, stays unread.
---@param delimiter string one byte or more, no pattern
---@param max? integer bytes before the delimiter at most, 1 to 1073741824; default 65536
---@return string? bytes
---@return string? err
---@return moonwire.code? code "too_large", "eof", "timeout", "reset", "closed", "busy"
function stream:read_until(delimiter, max) end

--- Reads everything until the peer ends its data, which may be nothing: "". What
--- is too large stays unread.
---@param max? integer bytes at most, 1 to 1073741824; default 1048576
---@return string? bytes
---@return string? err
---@return moonwire.code? code "too_large", "timeout", "reset", "closed", "busy"
function stream:read_all(max) end

--- Returns the next bytes and leaves them unread. Waits until so many are there.
---@param count integer 0 to 1073741824
---@return string? bytes
---@return string? err
---@return moonwire.code? code "eof" (fewer are left), "timeout", "reset", "closed", "busy"
function stream:peek(count) end

--- Returns what is there and leaves it unread; waits only when there is nothing.
---@param max? integer bytes at most; default 65536
---@return string? bytes one at least
---@return string? err
---@return moonwire.code? code "eof", "timeout", "reset", "closed", "busy"
function stream:peek_some(max) end

--- What a client of TLS asks for in the first message of a connection.
---@class moonwire.client_hello
---@field server_name? string in small letters
---@field protocols string[] for ALPN, the best first
---@field version string the highest that it offers: "TLSv1.3"
--- It has another message inside, for who has the key (ECH); server_name is the outer one.
---@field encrypted boolean

---@class moonwire.client_hello_options
---@field max? integer bytes that it may have, at most 65536; default 16384
---@field timeout? number|false seconds for all of it; default the stream's read_timeout

--- Returns what a client of TLS asks for, and leaves it unread, so that another can shake hands with it.
--- Waits until it is complete.
---@param options? moonwire.client_hello_options
---@return moonwire.client_hello? hello
---@return string? err
---@return moonwire.code? code "protocol", "too_large", "eof", "timeout", "reset", "closed", "busy"
function stream:peek_client_hello(options) end

--- Iterates over lines, as read_line gives them: `for line in conn:lines() do`.
--- Ends when the peer has ended its data after a line, raises a fault otherwise,
--- "eof" for data that does not end with a line.
---@param options? moonwire.iteration_options
---@return fun(stream: moonwire.stream): string?
---@return moonwire.stream
function stream:lines(options) end

--- Iterates over bytes as they come. Ends when the peer has ended its data,
--- raises a fault otherwise.
---@param options? moonwire.iteration_options
---@return fun(stream: moonwire.stream): string?
---@return moonwire.stream
function stream:chunks(options) end

--- Writes all its arguments, or none of them. They are queued and leave when the
--- task waits or ends, in one system call with what is queued besides. Waits only
--- when more than high_mark bytes are queued, until low_mark are left; after a
--- timeout they are queued still. "too_large": more than high_mark bytes are queued
--- and these would pass queue_limit, nothing was queued.
---@param ... string|number
---@return true? written
---@return string? err
---@return moonwire.code? code "timeout", "too_large", "reset", "closed", "busy"
function stream:write(...) end

--- The same without ever waiting, for one who writes to many and does not wait
--- for a slow one: while more than high_mark bytes are queued it adds nothing and
--- says "busy".
---@param ... string|number
---@return true? written
---@return string? err
---@return moonwire.code? code "busy", "too_large", "reset", "closed"
function stream:try_write(...) end

--- Waits until the kernel has taken all that was written. That the peer has got
--- it nobody knows but the peer.
---@return true? flushed
---@return string? err
---@return moonwire.code? code "timeout", "reset", "closed", "busy"
function stream:flush() end

--- Sends a file, or a part of it, behind what was written before, and waits until
--- the kernel has taken it. The bytes do not pass through Lua. It times out when
--- no byte has left for write_timeout.
---@param file string|file* a path, or a file that is open for reading, whose position stays as it is
---@param offset? integer bytes to skip; default 0
---@param length? integer bytes at most; default: to the end of the file
---@return integer? sent bytes; fewer than length when the file ends earlier
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "timeout", "reset", "closed", "busy"
function stream:send_file(file, offset, length) end

--- Ends the sending direction once everything that was written has left: the
--- peer reads the end of data. Reading goes on.
---@return true? shut_down
---@return string? err
---@return moonwire.code? code "reset", "closed"
function stream:shutdown_write() end

--- Closes the stream. What was written still leaves in the background, within 30
--- seconds. A task that waits on the stream gets "closed". May be called again.
function stream:close() end

--- Closes the stream at once. What has not left is lost, and the peer gets a
--- reset. May be called again.
function stream:abort() end

--- Lets the stream outlive the task that it belongs to: it is the service's now.
--- Somebody must keep a reference to it and close it.
---@return moonwire.stream stream itself
function stream:keep() end

--- Of a server; a client has the role beside moonwire.tls_client_options.
---@class moonwire.start_tls_options: moonwire.tls_server_options
---@field role? "server"|"client" default: who has opened the connection is the client

--- Makes the rest of the conversation one of TLS, after both sides have agreed on that in
--- clear. Waits for the handshake; when that fails the stream is closed. A server without
--- options has the certificates of its listener's `tls`, or of the config. What the peer
--- sent before the handshake is refused, "protocol": it came in clear. Another stream in the
--- place of options: this end is the server, with the certificates that it would have on that one.
---@param options? moonwire.start_tls_options|moonwire.tls_client_options|"auto"|moonwire.stream
---@param other? moonwire.stream|{ tickets?: boolean } to the same server on another port: a client resumes
---the session of that one. Behind a stream in the place of options: whether the peer gets a session to
---resume; default true
---@return moonwire.stream? stream itself
---@return string? err
---@return moonwire.code? code "certificate", "protocol", "tls", "timeout", "reset", "closed", "busy"
function stream:start_tls(options, other) end

---@class moonwire.certificate
---@field subject string "CN=www.example.org,O=Example" (RFC 4514)
---@field issuer string
---@field common_name? string of the subject
---@field names string[] host names and addresses that it is for
---@field serial string hexadecimal
---@field not_before integer seconds since 1970
---@field not_after integer seconds since 1970
---@field fingerprint string SHA-256, hexadecimal
---@field pem string

---@class moonwire.tls_facts
---@field version string "TLSv1.3"
---@field cipher string "TLS_AES_256_GCM_SHA384"
---@field protocol? string that ALPN has agreed on
---@field server_name? string that the client has asked for
---@field resumed boolean the handshake went on from an earlier session
---@field lineage? string of a server: 16 bytes that connections whose sessions went on from each other share
---@field verified boolean the peer's certificate was checked, and is good
---@field certificate? moonwire.certificate of the peer

--- What TLS has agreed on; nil for a connection in clear, or a closed one.
---@return moonwire.tls_facts?
function stream:tls() end

--- What names this connection of TLS to both ends, and to nobody between them (RFC 5929, RFC 9266).
---@param kind "tls-exporter"|"tls-server-end-point"
---@return string? bytes
---@return string? err
---@return moonwire.code? code "closed", "unsupported": in clear, or not with this connection
function stream:channel_binding(kind) end

---@class moonwire.proxied
---@field address string of the proxy
---@field version 1|2 of the header
---@field is_local boolean the proxy speaks for itself, say for a health check
---@field destination? string that the client has connected to
---@field authority? string host name that the client has asked for
---@field protocol? string that the proxy and the client have agreed on by ALPN
---@field unique_id? string bytes by which the proxy calls the connection
---@field tls? moonwire.proxied_tls the client came to the proxy by TLS

---@class moonwire.proxied_tls
---@field verified boolean the client has shown a certificate, and it is good
---@field version? string "TLSv1.3"
---@field cipher? string
---@field common_name? string of the client's certificate

--- What the PROXY header has said, beside the client's address, which peer_address gives; nil
--- for a connection without one, or a closed one.
---@return moonwire.proxied?
function stream:proxy() end

--- Says where the conversation stands, so that a reload can move the connection to
--- the new code: `service.resume(conn, state, ctx)` goes on there. Call it right before
--- the wait that begins the next exchange: it holds for the next wait of this task, and
--- no longer than until something is read. Only the task that serves the connection can.
--- Raises for what is no plain data: functions, userdata, threads, metatables, cycles.
---@param state? any nil, booleans, numbers, strings, and tables of these; copied now
---@return true? ok
---@return string? err
---@return moonwire.code? code "closed"
function stream:checkpoint(state) end

--- Whether it has not been closed by this side.
---@return boolean
function stream:is_open() end

--- The address of the peer, also after close.
---@return string address "127.0.0.1:40123", "[::1]:40123", "unix://" of a Unix socket, "pipe" without one
function stream:peer_address() end

--- The address of this side.
---@return string? address as of peer_address, and "unix:///run/x.sock" where that was listened on
---@return string? err
---@return moonwire.code? code "closed"
function stream:local_address() end

--- What went through it and how long it has been there.
---@return moonwire.stream_counters? counters
---@return string? err
---@return moonwire.code? code "closed"
function stream:counters() end

--- Changes settings; those that are absent stay.
---@param options moonwire.stream_options
---@return moonwire.stream stream itself
function stream:configure(options) end
