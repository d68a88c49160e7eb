--- WebSockets (RFC 6455), as server and as client, with compression (RFC 7692).
local check = require "moonwire.check"
local client = require "moonwire.websocket.client"
local core = require "moonwire.core"
local handshake = require "moonwire.websocket.handshake"
local known = require "moonwire.websocket.options"
local server = require "moonwire.websocket.server"

local websocket = {}

local TIMEOUT_DEFAULT <const> = 10

---@class moonwire.websocket_deflate
---@field level? integer 1 (fast) to 9 (small); default 6
---@field threshold? integer bytes of a message from which on it is compressed; default 32
---@field window? integer bits of the window that we compress with, 9 to 15; default 15
---@field peer_window? integer and that the peer is asked to, 8 to 15; default 15
--- Keep what was sent before as context: smaller messages for 256 KiB a connection. Default true.
---@field context? boolean
---@field peer_context? boolean let the peer keep its context: 40 KiB a connection; default true

---@class moonwire.websocket_limits
---@field max? integer bytes of a message at most; default 1048576; past it the peer gets 1009
---@field frames_max? integer frames of one message at most; default 100000
--- Seconds of silence after which the peer is asked whether it is still there, while a task receives. Default
--- 30; false: never, and a receive times out after the read_timeout of the connection.
---@field ping_interval? number|false
---@field ping_timeout? number|false seconds that it has for an answer; default 30
---@field close_timeout? number|false seconds that the peer has to close when we do; default 5

---@class moonwire.websocket_accept_options: moonwire.websocket_limits
---@field protocols? string[] subprotocols, the one liked best first
--- Which pages of browsers may connect: those of the same host (default), any, these, or as the function
--- says.
---@field origins? "same"|"any"|string[]|fun(origin: string, request: moonwire.http.request): any
---@field deflate? boolean|moonwire.websocket_deflate compress when the client can; default false

---@class moonwire.websocket_connect_options: moonwire.websocket_limits
---@field protocols? string[] subprotocols that are offered
---@field headers? table<string, string> fields of the request
---@field origin? string its Origin
---@field deflate? boolean|moonwire.websocket_deflate offer compression; default false
---@field timeout? number|false seconds for name, connection and handshake; default 10
---@field tls? table options of TLS, as of net.connect, for wss://

--- Answers the handshake of a client; the connection is a WebSocket from then on. What is no handshake, or
--- comes from a page that may not, is answered with 400, 403 or 426.
---@param request moonwire.http.request
---@param response moonwire.http.response whose other fields were set before
---@param options? moonwire.websocket_accept_options
---@return moonwire.websocket? ws closes with the task of the request
---@return string? err
---@return moonwire.code? code "invalid", "denied", "closed", "reset"
function websocket.accept(request, response, options)
  check.options(options, known.ACCEPT, 3, "accept")
  local problem = known.problem(options or {})
  if problem then
    check.refuse(3, "accept", problem)
  elseif core.http.kind(request) ~= "request" then
    check.refuse(1, "accept", "the request of a handler expected")
  elseif core.http.kind(response) ~= "response" then
    check.refuse(2, "accept", "the response of a handler expected")
  end
  return server.accept(request, response, options or {})
end

--- Connects to a server of WebSockets. Redirects are not followed.
---@param url string "ws://host:port/path?query", "wss://host/"
---@param options? moonwire.websocket_connect_options
---@return moonwire.websocket? ws closes with the task that opened it
---@return string? err
---@return moonwire.code? code as of net.connect; "invalid" when the answer is not the right one,
---"too_large", "eof"
function websocket.connect(url, options)
  check.type(url, "string", 1, "connect")
  check.options(options, known.CONNECT, 2, "connect")
  local problem = known.problem(options or {})
  if problem then
    check.refuse(2, "connect", problem)
  end
  local parts = handshake.parse_url(url)
  if not parts then
    check.refuse(1, "connect", "a URL such as ws://host:port/path expected")
  end
  local timeout = options and options.timeout
  return client.connect(timeout == nil and TIMEOUT_DEFAULT or timeout, parts, options or {})
end

--- A message that is encoded once and can be sent to many with ws:send, ws:try_send and broadcast.
---@param message string
---@param kind? "text"|"binary" default "text"
---@return moonwire.websocket_frame
websocket.frame = core.websocket.frame

--- Sends one message to many WebSockets, encoded and compressed once, and waits for none of them: whoever is
--- slow, or closed, is left out.
---@param sockets table WebSockets as its keys, or as its values
---@param message string|moonwire.websocket_frame
---@param kind? "text"|"binary" default "text"
---@return integer count of those that it was queued for
---@return table<moonwire.websocket, string>? missed the others, with the code of try_send
websocket.broadcast = core.websocket.broadcast

return websocket
