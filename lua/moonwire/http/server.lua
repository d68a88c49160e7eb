--- An HTTP/1.1 server (RFC 9112): every request is a task that runs a handler. Between requests a
--- connection has neither task nor Lua value.
local core = require "moonwire.core"
require "moonwire.http.request"
require "moonwire.http.response"

local server = {}

---@class moonwire.http.options
---@field head_max? integer bytes of request line and fields; default 16384; past it 431
---@field fields_max? integer how many fields a head may have; default 100; past it 431
---@field body_max? integer|false bytes that a body may have unless request:limit_body says otherwise;
---default 10485760
---@field head_timeout? number|false seconds from the first byte of a head to its last; default 10; then 408
---@field keep_alive? number|false seconds that a connection may rest between requests; default 60, 0: one
---request a connection
---@field body_rate? integer|false bytes a second of a body, after its first ten seconds; default 256
---@field requests_max? integer|false requests on one connection; default false: no limit
---@field access_log? boolean one entry of the log a request; default false

---@alias moonwire.http.serve_options moonwire.http.options|moonwire.listen_options

---@alias moonwire.http.handler fun(request: moonwire.http.request, response: moonwire.http.response, ctx)

local HTTP_OPTIONS <const> = {
  head_max = true, fields_max = true, body_max = true, head_timeout = true, keep_alive = true,
  body_rate = true, requests_max = true, access_log = true,
}

-- The options of the connections and those of HTTP; nothing of the caller's is changed.
local function split(options)
  local connections, http = {}, {}
  for key, value in pairs(options or {}) do
    (HTTP_OPTIONS[key] and http or connections)[key] = value
  end
  return connections, http
end

-- A router, or anything else that can be called, as a function.
local function as_function(handler, level)
  if type(handler) == "function" then
    return handler
  end
  local meta = getmetatable(handler)
  if type(meta) == "table" and meta.__call then
    return function(...)
      return handler(...)
    end
  end
  error(("a handler is a function(request, response), not a %s"):format(type(handler)), level + 1)
end

--- Serves an address. A handler that raises, or returns without an answer, is answered for with 500 and the
--- id of the request; a request whose client leaves is cancelled where it waits.
---@param address string as of net.serve
---@param handler moonwire.http.handler a function, or a router
---@param options? moonwire.http.serve_options
---@return moonwire.listener? listener
---@return string? err
---@return moonwire.code? code as of net.listen
function server.serve(address, handler, options)
  local connections, http = split(options)
  return core.http.serve(address, as_function(handler, 2), connections, http)
end

--- The same for a script that is run as a service: what it returns.
---@param handler moonwire.http.handler
---@param options? moonwire.http.serve_options those of the address, such as `backlog`, come from the config
---@return moonwire.service
function server.service(handler, options)
  local connections, http = split(options)
  connections.http = http
  return { request = as_function(handler, 2), options = connections }
end

return server
