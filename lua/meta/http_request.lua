---@meta
-- luacheck: ignore 212 241

--- A request that a handler answers. What scripts put into other fields (request.user = …) stays with it.
---@class moonwire.http.request
---@field method string "GET"
---@field target string as it was sent: "/a%20b?x=1"
---@field path string decoded, without dots and empty segments: "/a b"; "*" for OPTIONS of the whole server
---@field query? string behind the "?", as it was sent
---@field host string the name that was asked for, lower-case, without port
---@field authority string the same as it was sent, with its port
---@field version "1.1"|"1.0"
---@field scheme "http"|"https"
---@field peer string address of the client
---@field id string 16 hexadecimal digits: names the request in the log
---@field headers table<string, string> lower-case names; values of one name joined with ", "
---@field length? integer bytes that the body was announced with
---@field upgrade? string the protocols that the client would change to
local request = {}

--- The value of a field; several of one name are joined with ", ", cookies with "; ".
---@param name string in any case
---@return string? value
function request:header(name) end

--- Iterates over the fields as they came: name, value.
---@return fun(): string?, string?
function request:fields() end

--- Whether it can still be answered: its client is there, and nothing was closed.
---@return boolean
function request:is_open() end

--- What the PROXY header has said with which its connection began, as stream:proxy() tells it.
---@return table? proxy nil: there was none, or the client has left
function request:proxy() end

--- Waits for bytes of the body and returns what is there.
---@param max? integer bytes at most; default 65536
---@return string? data
---@return string? err
---@return moonwire.code? code "eof" at the end; "too_large", "timeout", "closed", "reset", "busy", "invalid"
function request:read_some(max) end

--- The whole body.
---@param max? integer bytes at most; default 1048576
---@return string? data "" when there is none
---@return string? err
---@return moonwire.code? code "eof": read; "too_large", "timeout", "closed", "reset", "busy", "invalid"
function request:read_all(max) end

--- Iterates over the body as it comes. Raises faults.
---@param options? moonwire.iteration_options
---@return fun(): string?
function request:chunks(options) end

--- The fields behind a chunked body, once it was read.
---@return table<string, string> fields lower-case names
function request:trailers() end

--- Sets how long the body may be, instead of the option body_max of the server.
---@param bytes integer|false false: no limit
---@return moonwire.http.request request itself
function request:limit_body(bytes) end
