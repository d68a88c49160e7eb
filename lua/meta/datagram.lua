---@meta
-- luacheck: ignore 212 241

--- A datagram socket, from net.datagram, net.connect_datagram, or given to the
--- datagram function of a service. It closes with the task that opened it; `keep`
--- changes that. One task may receive and one may wait to send at a time.
---@class moonwire.datagram
local datagram = {}

---@class moonwire.datagram_counters
---@field received integer datagrams
---@field sent integer datagrams
---@field received_bytes integer
---@field sent_bytes integer

--- Waits for a datagram. What comes while nobody receives waits in the kernel,
--- as much as it keeps. "refused": the fixed peer does not listen.
---@param seconds? number how long at most; default: the socket's read_timeout
---@return string? data
---@return string? peer its sender: "127.0.0.1:40123"; on failure err
---@return moonwire.code? code "timeout", "closed", "busy" (another task receives), "refused"
function datagram:receive(seconds) end

--- Iterates over datagrams and their senders: `for data, peer in socket:datagrams() do`.
--- Ends when the socket is closed, raises any other fault.
---@return fun(socket: moonwire.datagram): string?, string?
---@return moonwire.datagram
function datagram:datagrams() end

--- Sends one datagram. Waits only when the kernel takes no more. "denied": to a
--- broadcast address, and the socket has not the option.
---@param data string 65507 bytes at most
---@param peer? string numeric address: "127.0.0.1:53"; default: the fixed peer; raises when there is none
---@return true? sent
---@return string? err
---@return moonwire.code? code "too_large", "timeout", "closed", "busy", "refused", "unreachable", "denied"
function datagram:send(data, peer) end

--- The address it is bound to.
---@return string? address "127.0.0.1:53"
---@return string? err
---@return moonwire.code? code "closed"
function datagram:local_address() end

--- The address of the fixed peer, also after close.
---@return string? address nil: it has none
function datagram:peer_address() end

--- What went through it.
---@return moonwire.datagram_counters? counters
---@return string? err
---@return moonwire.code? code "closed"
function datagram:counters() end

--- Lets the socket outlive the task that opened it: it is the service's now.
--- Somebody must keep a reference to it and close it.
---@return moonwire.datagram socket itself
function datagram:keep() end

--- Whether it has not been closed.
---@return boolean
function datagram:is_open() end

--- Closes the socket. Tasks that wait on it get "closed". May be called again.
function datagram:close() end
