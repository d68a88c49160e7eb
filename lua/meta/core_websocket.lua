---@meta moonwire.core
-- luacheck: ignore 212 241

--- WebSockets. Internal, as all of moonwire.core.
---@class moonwire.core
local core = {}

core.websocket = {}

--- A stream behind the handshake becomes a WebSocket.
---@param stream moonwire.stream
---@param settings table role ("server" or "client"), protocol, deflate (what was agreed on), and the limits
---@return moonwire.websocket?, string?, moonwire.code?
function core.websocket.wrap(stream, settings) end

--- The head of the answer to a handshake, up to its empty line.
---@param head string
---@return integer? status
---@return table<string, string>|string fields or why it is none
function core.websocket.parse_response(head) end

--- Whether name and value can stand in a head.
---@param name string
---@param value string
---@return boolean
function core.websocket.is_field(name, value) end

---@param message string
---@param kind? moonwire.websocket_kind
---@return moonwire.websocket_frame
function core.websocket.frame(message, kind) end

---@param sockets table
---@param message string|moonwire.websocket_frame
---@param kind? moonwire.websocket_kind
---@return integer, table<moonwire.websocket, string>?
function core.websocket.broadcast(sockets, message, kind) end
