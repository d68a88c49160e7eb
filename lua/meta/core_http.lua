---@meta moonwire.core
-- luacheck: ignore 212 241

--- The HTTP server. Internal, as all of moonwire.core.
---@class moonwire.core
local core = {}

core.http = {}

---@param address string
---@param handler moonwire.http.handler
---@param options? moonwire.listen_options
---@param http_options? moonwire.http.options
---@param context? any third argument of the handler
---@return moonwire.listener?, string?, moonwire.code?
function core.http.serve(address, handler, options, http_options, context) end

--- Calls of these names on this response go to the functions of the table; its methods before are the result.
---@param response moonwire.http.response
---@param methods table<string, function>
---@return table
function core.http.override(response, methods) end

--- What a request is answered with when its handler dies without an answer; 500 otherwise.
---@param request moonwire.http.request
---@param status integer 400 to 499
function core.http.blame(request, status) end

--- Whether a request has a field Range, or one that begins with "If-".
---@param request moonwire.http.request
---@return boolean
function core.http.is_conditional(request) end

--- Makes lines the first fields of a head. Nobody checks them; one of them is Content-Type.
---@param response moonwire.http.response
---@param lines string each with its line end
---@return boolean begun false: there are fields already, or the head was sent
function core.http.begin_fields(response, lines) end

--- A date as HTTP writes it: "Sun, 06 Nov 1994 08:49:37 GMT".
---@param seconds number since 1970
---@return string
function core.http.date(seconds) end

---@param text string a date in any form that HTTP knows
---@return integer? seconds since 1970; nil: it is none
function core.http.parse_date(text) end

---@param value any
---@return "request"|"response"|nil
function core.http.kind(value) end
