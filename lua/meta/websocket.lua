---@meta
-- luacheck: ignore 212 241

--- A WebSocket, from websocket.accept or websocket.connect. It closes with the task that opened it; `keep`
--- changes that. One task may receive and one may send at a time.
---@class moonwire.websocket
local websocket = {}

---@alias moonwire.websocket_kind "text"|"binary"

--- A message that was encoded once: what websocket.frame makes.
---@class moonwire.websocket_frame

--- Waits for the next message. Pings of the peer are answered meanwhile, and a silent peer is asked whether
--- it is there.
---@return string? message
---@return moonwire.websocket_kind|string kind or err
---@return moonwire.code? code "closed" (by either side), "eof", "reset" (without a close), "timeout",
---"too_large",
---"invalid" (the peer broke the rules), "busy"
function websocket:receive() end

--- Waits for the next piece of a message, which may be of any length. Of a text characters may be cut between
--- two.
---@return string? piece
---@return moonwire.websocket_kind|string kind or err
---@return boolean|moonwire.code last whether its message ends with it; or the code, as of receive: "closed",
---"eof",
---"reset", "timeout", "invalid", "too_large" (too many frames), "busy"
function websocket:receive_some() end

--- Iterates over messages and their kinds. Ends when the peer has closed, raises a fault otherwise.
---@return fun(): string?, moonwire.websocket_kind?
function websocket:messages() end

--- Sends a message. Waits only while more than the high mark is queued. Raises when a text is not UTF-8.
---@param message string|number|moonwire.websocket_frame
---@param kind? moonwire.websocket_kind default "text"
---@return true?
---@return string? err
---@return moonwire.code? code "closed", "timeout", "reset", "busy", "too_large"
function websocket:send(message, kind) end

--- Sends a message or refuses to: never waits.
---@param message string|number|moonwire.websocket_frame
---@param kind? moonwire.websocket_kind default "text"
---@return true?
---@return string? err
---@return moonwire.code? code "busy" (the peer is slow), "closed", "reset", "too_large"
function websocket:try_send(message, kind) end

--- Sends a piece of a message, the first or the next one; `finish` ends it. Until then nothing else can be
--- sent.
---@param piece string|number of a text characters may be cut between two
---@param kind? moonwire.websocket_kind of the message; default "text"
---@return true?
---@return string? err
---@return moonwire.code? code "closed", "timeout", "reset", "busy", "too_large"
function websocket:write(piece, kind) end

--- Ends the message that was begun with `write`.
---@param piece? string|number its last one
---@return true?
---@return string? err
---@return moonwire.code? code "closed", "timeout", "reset", "busy", "too_large"
function websocket:finish(piece) end

--- Waits until the kernel has taken all that was sent.
---@return true?
---@return string? err
---@return moonwire.code? code "closed", "timeout", "reset", "busy"
function websocket:flush() end

--- Sends a ping. Its answer is seen by nobody, but keeps the connection from being taken for dead.
---@param payload? string 125 bytes at most
---@return true?
---@return string? err
---@return moonwire.code? code "closed", "reset", "busy" (the peer is slow)
function websocket:ping(payload) end

--- Closes: says so to the peer, waits for its answer, for close_timeout at most, and closes the connection.
--- Messages that were on their way are dropped, unless another task receives them.
---@param code? integer 1000 (default) to 1014 but for 1004 to 1006, or 3000 to 4999
---@param reason? string 123 bytes of UTF-8 at most
---@return true? also when it was closed before
---@return string? err
---@return moonwire.code? code "timeout" (it did not answer), "eof", "reset", "invalid", "busy" (another task
---closes)
function websocket:close(code, reason) end

--- Breaks the connection off, without a word to the peer.
function websocket:abort() end

--- Lets it outlive the task that opened it.
---@return moonwire.websocket
function websocket:keep() end

--- Says that the task can be taken off its connection during its next wait: see docs/reload.md. A WebSocket
--- is then given to the function `resume` of the new code. It holds on while pings are answered, and parts of
--- a message come.
---@param state any plain data
---@return true?
---@return string? err
---@return moonwire.code? code "closed"
function websocket:checkpoint(state) end

--- Whether messages can be sent: neither side has closed.
---@return boolean
function websocket:is_open() end

--- Whether compression was agreed on.
---@return boolean
function websocket:is_compressed() end

--- The code that it was closed with: the peer's, or ours when it broke the rules. 1005: the peer gave none;
--- 1006: the connection has ended without a close.
---@return integer? code nil while it is open
function websocket:close_code() end

--- What the peer has given as the reason.
---@return string? reason nil while it has not closed
function websocket:close_reason() end

--- The subprotocol that was agreed on.
---@return string? protocol nil: none
function websocket:protocol() end

--- The address of the peer.
---@return string
function websocket:peer_address() end

--- The address of this end.
---@return string? address nil when it is closed
---@return string? err
---@return moonwire.code? code "closed"
function websocket:local_address() end

--- What went over its connection.
---@return moonwire.stream_counters? counters nil when it is closed
---@return string? err
---@return moonwire.code? code "closed"
function websocket:counters() end
