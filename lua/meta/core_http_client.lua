---@meta moonwire.core
-- luacheck: ignore 111 112 113 212 241

local core = {}
core.http = {}

--- Reads the head of the next answer from a stream. "eof": the server has ended before its first byte.
---@param stream moonwire.stream
---@param method string of the request
---@param limits? table head_max, fields_max
---@return moonwire.http.reply?
---@return string? err
---@return moonwire.code? code
function core.http.reply(stream, method, limits) end

--- A place in a pool of connections, the running task's.
---@param own userdata who waits for a place at this server
---@param shared userdata who waits for any
---@return moonwire.http.link
function core.http.link(own, shared) end

--- What a proxy does with fields.
---@param rules table drop, trust, lines, x_forwarded, forwarded
---@return userdata
function core.http.pass_rules(rules) end

--- Sends the head of a request on.
---@param stream moonwire.stream
---@param request moonwire.http.request
---@param rules userdata
---@param folder? string before the path
---@param host? string
---@return "none"|"here"|"coming"? body what there is of its body
---@return string? err
---@return moonwire.code? code
function core.http.pass_request(stream, request, rules, folder, host) end

--- Sends the body of a request on.
---@param stream moonwire.stream
---@param request moonwire.http.request
---@return true?
---@return string? err
---@return moonwire.code? code
---@return "from"|"to"? side that has failed
function core.http.pass_body(stream, request) end

--- Sends an answer on.
---@param response moonwire.http.response
---@param reply moonwire.http.reply
---@param rules userdata
---@return true?
---@return string? err
---@return moonwire.code? code
---@return "from"|"to"? side that has failed
function core.http.pass_answer(response, reply, rules) end

--- Sends an interim answer on, before the one that counts.
---@param response moonwire.http.response
---@param reply moonwire.http.reply
---@param rules userdata
---@return boolean is_sent false: the client knows no such answers, or has left
function core.http.pass_interim(response, reply, rules) end

--- Sets the fields of an answer 101, for response:upgrade.
---@param response moonwire.http.response
---@param reply moonwire.http.reply
---@param rules userdata
function core.http.pass_fields(response, reply, rules) end

--- The head of an answer, and its body.
---@class moonwire.http.reply
local reply = {}

--- Status, reason and version.
---@return integer, string, string
function reply:status() end

--- Bytes of the body, if they were announced.
---@return integer?
function reply:length() end

--- The value of a field.
---@param name string
---@return string?
function reply:header(name) end

--- All fields.
---@return table<string, string>
function reply:headers() end

--- Iterates over the fields.
---@return function
function reply:fields() end

--- Whether the body was read, and whether the connection may be used again then.
---@return boolean, boolean
function reply:is_whole() end

--- Takes what has come of the body, unread. True: it was the rest.
---@return boolean
function reply:skip() end

--- Gives the stream up.
function reply:leave() end

--- Reads some of the body.
---@param max? integer
---@return string?
---@return string? err
---@return moonwire.code? code
function reply:read_some(max) end

--- Reads the rest of the body.
---@param max? integer
---@return string?
---@return string? err
---@return moonwire.code? code
function reply:read_all(max) end

--- The fields behind the body.
---@return table<string, string>
function reply:trailers() end

--- Limits the bytes of the body.
---@param bytes integer|false
function reply:limit_body(bytes) end

--- A connection of a pool.
---@class moonwire.http.link
local link = {}

--- Takes a stream in, which closes with the link from now on.
---@param stream moonwire.stream
---@return moonwire.stream
function link:hold(stream) end

--- Gives it back to the pool. False: it has closed.
---@param seconds number
---@return boolean
function link:rest(seconds) end

--- Takes it out of the pool, for the running task. Nil: it has closed.
---@return moonwire.stream?
function link:use() end

--- Whether it has its place still.
---@return boolean
function link:is_open() end

--- Gives the stream to the running task, and the place up.
---@return moonwire.stream?
function link:release() end

--- Closes it.
function link:close() end

--- Cuts it.
function link:abort() end

return core
