--- Bodies of several parts: forms with files (RFC 7578, RFC 2046 §5.1), read
--- while they arrive, with no more in memory than a piece of each; and written.
---
---     for part in request:parts() do
---       if part.filename then
---         assert(part:save(folder, { name = part.filename }))
---       end
---     end
local check = require "moonwire.check"
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local codec = require "moonwire.codec"
local disposition = require "moonwire.http.disposition"
local media = require "moonwire.http.media"
local multipart_reader = require "moonwire.http.multipart_reader"

---@class moonwire.http.multipart
local multipart = {}

local BOUNDARY <const> = "^[%w'()+_,%-./:=? ]+$"
local BOUNDARY_MOST <const> = 70
local PIECE <const> = 65536
local KNOWN <const> = {
  max_parts = "integer", max_header = "integer", max_field = "integer", on_fault = "function",
}

---@class moonwire.http.multipart_options
---@field max_parts? integer parts at most; default 1000
---@field max_header? integer bytes of the header of a part at most; default 8192
---@field max_field? integer bytes that part:read_all() takes when it is given no limit; default 1048576
--- Called when something is wrong with the body, before anybody is told.
---@field on_fault? fun(code: moonwire.code)

--- The boundary of a body, from its content type.
---@param content_type? string
---@return string? boundary
---@return string? err
---@return moonwire.code? code "unsupported": another type; "invalid": it has no boundary
function multipart.boundary_of(content_type)
  check.type(content_type or "", "string", 1, "boundary_of")
  if media.type_of(content_type) ~= "multipart/form-data" then
    return nil, "multipart: the content type is not multipart/form-data", "unsupported"
  end
  local _, parameters = media.parse(content_type --[[@as string]])
  local boundary = parameters and parameters.boundary
  if not boundary or #boundary > BOUNDARY_MOST or not boundary:find(BOUNDARY) or boundary:find(" $") then
    return nil, "multipart: no boundary in the content type", "invalid"
  end
  return boundary
end

--- Iterates over the parts of a body that arrives in pieces. A part can be read
--- until the next one is asked for. Raises faults: "invalid" for what is no such
--- body, or one that ends too early; "too_large".
---@param source fun(): string?, string?, moonwire.code? gives more bytes; nil and "eof" at the end
---@param boundary string
---@param options? moonwire.http.multipart_options
---@return fun(): moonwire.http.part?
function multipart.parts(source, boundary, options)
  check.callable(source, 1, "parts")
  check.type(boundary, "string", 2, "parts")
  check.options(options, KNOWN, 3, "parts")
  local reader = multipart_reader.new(source, boundary, options or {})
  return function()
    local part, err, code = reader:next()
    if part == nil then
      error(core.fault(code, err), 0)
    end
    return part or nil
  end
end

---@class moonwire.http.multipart_field
---@field name string
---@field value? string|number|boolean|fun(): string? the data, or a function that gives piece by piece of it
--- Something with read(n), such as an open file, instead of `value`.
---@field file? moonwire.file
---@field filename? string
---@field type? string media type; default "application/octet-stream" for what has a filename

local function data_of(field)
  if field.file then
    return function()
      local data, err, code = field.file:read(PIECE)
      if not data and code ~= "eof" then
        error(core.fault(code, err), 0)
      end
      return data
    end
  elseif type(field.value) == "function" then
    return field.value
  end
  local value = tostring(field.value)
  return function()
    local data = value
    value = nil
    return data
  end
end

local function problem_of(field)
  if type(field) ~= "table" or type(field.name) ~= "string" then
    return "a list of tables with a name expected"
  elseif field.value == nil and not field.file then
    return ("field '%s': value or file expected"):format(field.name)
  elseif field.type and (type(field.type) ~= "string" or field.type:find("[%c]")) then
    return ("field '%s': no media type"):format(field.name)
  end
end

local function encode_all(fields, boundary)
  for i, field in ipairs(fields) do
    local header = disposition.write_header(field)
    coroutine.yield(("%s--%s\r\n%s\r\n"):format(i > 1 and "\r\n" or "", boundary, header))
    for data in data_of(field) do
      if data ~= "" then
        coroutine.yield(data)
      end
    end
  end
  coroutine.yield(("%s--%s--\r\n"):format(fields[1] and "\r\n" or "", boundary))
end

--- The body of a form, as an iterator that gives it piece by piece, for clients.
---@param fields moonwire.http.multipart_field[]
---@return fun(): string? body
---@return string content_type with the boundary
function multipart.encode(fields)
  check.type(fields, "table", 1, "encode")
  for _, field in ipairs(fields) do
    local problem = problem_of(field)
    if problem then
      check.refuse(1, "encode", problem)
    end
  end
  local boundary = "moonwire-" .. codec.hex_encode(crypto.random_bytes(16))
  local body = coroutine.wrap(function()
    encode_all(fields, boundary)
  end)
  return body, "multipart/form-data; boundary=" .. boundary
end

return multipart
