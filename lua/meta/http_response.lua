---@meta
-- luacheck: ignore 212 241

--- The answer to a request. It is sent whole (send, send_file) or piece by piece (write, finish).
---@class moonwire.http.response
local response = {}

--- Sets the status, or tells it.
---@param code? integer 200 to 599
---@return moonwire.http.response|integer response itself; without a code: the status
function response:status(code) end

--- Sets a field instead of those of that name, removes it, or tells it. Raises for what would break the
--- message, such as line ends.
---@param name string
---@param value? string|number|nil nil removes it; when it is left out the value is returned
---@return moonwire.http.response|string? response itself; without a value: what is set
function response:header(name, value) end

--- Adds a field beside those of that name.
---@param name string
---@param value string|number
---@return moonwire.http.response response itself
function response:add_header(name, value) end

--- Sends all of it.
---@param body? string
---@return true?
---@return string? err
---@return moonwire.code? code "closed", "reset", "timeout", "busy"
function response:send(body) end

--- Sends a piece: the head before the first one. Waits while the client is slow.
---@param ... string|number
---@return true?
---@return string? err
---@return moonwire.code? code "closed", "reset", "timeout", "busy", "too_large" past its Content-Length
function response:write(...) end

--- Waits until the client's kernel has what was written.
---@return true?
---@return string? err
---@return moonwire.code? code "closed", "reset", "timeout", "busy"
function response:flush() end

--- Ends what was written. A handler that returns does it, too.
---@param trailers? table<string, string> fields behind the body, for clients that read them
---@return true?
---@return string? err
---@return moonwire.code? code "closed", "reset", "timeout", "busy", "too_large": less than its Content-Length
function response:finish(trailers) end

--- Sends a file, or a part of it, as the whole body.
---@param file string|moonwire.file|file* a path, or an open file
---@param offset? integer default 0
---@param length? integer default: to the end
---@return integer|true? sent
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "closed", "reset", "timeout", "busy", "eof"
function response:send_file(file, offset, length) end

--- Changes to another protocol (101): from then on the connection is a stream of the task.
---@param protocol string "websocket"
---@return moonwire.stream? conn
---@return string? err
---@return moonwire.code? code "closed", "reset"
function response:upgrade(protocol) end

--- Whether its head was sent.
---@return boolean
function response:is_started() end

--- Whether all of it was.
---@return boolean
function response:is_finished() end

--- How many bytes of the body were sent so far, as they go over the connection; of an answer to HEAD those
--- that it would have.
---@return integer
function response:bytes_sent() end

--- Whether the request came over https.
---@return boolean
function response:is_secure() end
