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
local part_module = require "moonwire.http.part"

local multipart = {}

local BOUNDARY <const> = "^[%w'()+_,%-./:=? ]+$"
local BOUNDARY_MOST <const> = 70
local PADDING_MOST <const> = 128 -- blanks behind a boundary
local PIECE <const> = 65536
local DEFAULTS <const> = { max_parts = 1000, max_header = 8192, max_field = 1048576 }
local KNOWN <const> = {
  max_parts = "integer", max_header = "integer", max_field = "integer", on_fault = "function",
}

---@class moonwire.http.multipart_options
---@field max_parts? integer parts at most; default 1000
---@field max_header? integer bytes of the header of a part at most; default 8192
---@field max_field? integer bytes that part:read_all() takes when it is given no limit; default 1048576
---@field on_fault? fun(code: moonwire.code) called when something is wrong with the body, before anybody is told

---@class moonwire.http.multipart_reader
---@field source fun(): string?, string?, moonwire.code? more bytes; nil and "eof" at the end
---@field buffer string what was read and not given out; begins as if a line had ended before it
---@field delimiter string
---@field count integer of parts so far
---@field options moonwire.http.multipart_options
---@field fault? { err: string, code: moonwire.code }
---@field part? moonwire.http.part that is being read
---@field is_over boolean
local Reader = {}
Reader.__index = Reader

local function invalid(text)
  return nil, "multipart: " .. text, "invalid"
end

-- Remembers what went wrong: nothing can be read after that.
local function keep(self, ok, err, code)
  if ok == nil then
    self.fault = { err = err, code = code }
    if self.options.on_fault then
      self.options.on_fault(code)
    end
  end
  return ok, err, code
end

-- Reads more into the buffer.
local function fill(self)
  local bytes, err, code = self.source()
  if bytes then
    self.buffer = self.buffer .. bytes
    return true
  elseif code == "eof" then
    return keep(self, invalid "the body ends before its last boundary")
  end
  return keep(self, nil, err, code)
end

--- More of the part that is being read, up to the next boundary.
---@param max integer bytes at most
---@return string? data
---@return string? err "eof" at the end of the part
---@return moonwire.code? code
function Reader:read(max)
  if self.fault then
    return nil, self.fault.err, self.fault.code
  end
  while true do
    local buffer, delimiter = self.buffer, self.delimiter
    local at = buffer:find(delimiter, 1, true)
    local safe = at and at - 1 or #buffer - #delimiter + 1 -- a boundary may begin behind these
    if safe > 0 then
      local size = safe < max and safe or max
      self.buffer = buffer:sub(size + 1)
      return buffer:sub(1, size)
    elseif at then
      return nil, "eof", "eof"
    end
    local ok, err, code = fill(self)
    if not ok then
      return nil, err, code
    end
  end
end

-- Leaves out what is left of a part, or stands before the first one.
local function skip(self)
  local data, err, code
  repeat
    data, err, code = self:read(PIECE)
  until not data
  if code == "eof" and not self.fault then
    return true
  end
  return nil, err, code
end

-- Takes the boundary at the beginning of the buffer; the line end behind it stays. False: it was the last one.
local function take_boundary(self)
  local from = #self.delimiter + 1
  while true do
    local after = self.buffer:match("^[ \t]*()", from)
    local rest = self.buffer:sub(after, after + 1)
    if after == from and rest == "--" then
      return false
    elseif rest == "\r\n" then
      self.buffer = self.buffer:sub(after)
      return true
    elseif #rest == 2 or rest ~= "" and rest ~= "\r" and not (after == from and rest == "-") then
      return keep(self, invalid "bytes behind a boundary that do not belong there")
    elseif after - from > PADDING_MOST then
      return keep(self, invalid "too many blanks behind a boundary")
    end
    local ok, err, code = fill(self)
    if not ok then
      return nil, err, code
    end
  end
end

-- The text of a header, without the empty line behind it.
local function take_header(self)
  local max = self.options.max_header or DEFAULTS.max_header
  local from = 1
  while true do
    local at = self.buffer:find("\r\n\r\n", from, true)
    if (at or #self.buffer) > max + 4 then
      return keep(self, nil, "too_large", "too_large")
    elseif at then
      local text = self.buffer:sub(3, at + 1)
      self.buffer = self.buffer:sub(at + 4)
      return text
    end
    from = math.max(1, #self.buffer - 2)
    local ok, err, code = fill(self)
    if not ok then
      return nil, err, code
    end
  end
end

local function next_part(self)
  if self.fault then
    return nil, self.fault.err, self.fault.code
  end
  local ok, err, code = skip(self)
  if ok then
    ok, err, code = take_boundary(self)
  end
  if not ok then
    self.is_over = ok == false
    return ok, err, code
  end
  self.count = self.count + 1
  if self.count > (self.options.max_parts or DEFAULTS.max_parts) then
    return keep(self, nil, "too_large", "too_large")
  end
  local text
  text, err, code = take_header(self)
  local head = text and disposition.parse_header(text)
  if text and not head then
    return keep(self, invalid "a header of a part that is none of a form")
  elseif not text then
    return nil, err, code
  end
  return head
end

--- The next part, with whatever is left of the one before left out.
---@return moonwire.http.part|false|nil part false: there is none any more
---@return string? err
---@return moonwire.code? code
function Reader:next()
  if self.is_over then
    return false
  elseif self.part then
    self.part.reader = nil
  end
  local head, err, code = next_part(self)
  if not head then
    return head, err, code
  end
  self.part = part_module.new(self, head, self.options.max_field or DEFAULTS.max_field)
  return self.part
end

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
    return invalid "no boundary in the content type"
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
  local reader = setmetatable({
    source = source, buffer = "\r\n", delimiter = "\r\n--" .. boundary, count = 0, options = options or {},
    is_over = false,
  }, Reader)
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
    coroutine.yield(("%s--%s\r\n%s\r\n"):format(i > 1 and "\r\n" or "", boundary, disposition.write_header(field)))
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
