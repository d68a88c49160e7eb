--- Reads bodies of several parts (RFC 2046 §5.1), bit by bit.
--- Part of moonwire.http.multipart. Not for scripts.
local disposition = require "moonwire.http.disposition"
local part_module = require "moonwire.http.part"

local multipart_reader = {}

local PADDING_MOST <const> = 128 -- blanks behind a boundary
local PIECE <const> = 65536
local DEFAULTS <const> = { max_parts = 1000, max_header = 8192, max_field = 1048576 }

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

-- Takes the boundary at the beginning of the buffer; the line end behind it stays. False: it was the last
-- one.
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

--- A reader of the parts of a body.
---@param source fun(): string?, string?, moonwire.code?
---@param boundary string
---@param options moonwire.http.multipart_options
---@return moonwire.http.multipart_reader
function multipart_reader.new(source, boundary, options)
  return setmetatable({
    source = source, buffer = "\r\n", delimiter = "\r\n--" .. boundary, count = 0, options = options,
    is_over = false,
  }, Reader)
end

return multipart_reader
