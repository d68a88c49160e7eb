--- Messages on streams: frames with a length before them, and records in the
--- formats of string.pack. What is not there completely stays unread: after a
--- timeout the call can simply be made again.
local check = require "moonwire.check"
local core = require "moonwire.core"
local record = require "moonwire.frame.record"

local frame = {}

local MAX_DEFAULT <const> = 65536

-- How a length is written: the format of string.pack, the number of its bytes, the largest one.
local LENGTHS <const> = {}
for name, format in pairs {
  u8 = "I1", u16be = ">I2", u16le = "<I2", u24be = ">I3", u24le = "<I3", u32be = ">I4", u32le = "<I4",
  u64be = ">I8", u64le = "<I8",
} do
  local size = string.packsize(format)
  local largest = size == 8 and math.maxinteger or (1 << size * 8) - 1
  LENGTHS[name] = { format = format, size = size, largest = largest }
end

local KNOWN <const> = { length = LENGTHS, max = "integer", counts_itself = "boolean" }

---@class moonwire.frame_options
--- How the length is written; default "u32be". le: the lowest byte first.
---@field length? "u8"|"u16be"|"u16le"|"u24be"|"u24le"|"u32be"|"u32le"|"u64be"|"u64le"
---@field max? integer bytes of data at most; default 65536: a length that a peer sends is not to be trusted
---@field counts_itself? boolean the length counts its own bytes too; default false

-- What options ask for: how the length is written, and `own`, what it counts of itself.
local function kind_of(options)
  options = options or {}
  local length = LENGTHS[options.length or "u32be"]
  return {
    format = length.format, size = length.size, largest = length.largest, max = options.max or MAX_DEFAULT,
    own = options.counts_itself and length.size or 0,
  }
end

local function read(conn, kind)
  local head, err, code = conn:peek(kind.size)
  if not head then
    return nil, err, code
  end
  local length = string.unpack(kind.format, head) - kind.own
  if length < 0 and kind.own > 0 then
    return nil, ("read frame: a length of %d that counts its own bytes"):format(length + kind.own), "invalid"
  elseif length < 0 or length > kind.max then
    return nil, "too_large", "too_large"
  end
  local whole
  whole, err, code = conn:read(kind.size + length)
  if not whole then
    return nil, err, code
  end
  return whole:sub(kind.size + 1)
end

-- An iterator of what `next_one` reads: a clean end is one between two messages.
local function iterate(conn, next_one, ...)
  local arguments = table.pack(...)
  local function give(first, err, code, ...)
    if first ~= nil then
      return first, err, code, ...
    end
    if code ~= "eof" or conn:peek(1) then
      error(core.fault(code, err), 0)
    end
  end
  return function()
    return give(next_one(conn, table.unpack(arguments, 1, arguments.n)))
  end
end

--- Reads a frame: a length, then as many bytes.
---@param conn moonwire.stream
---@param options? moonwire.frame_options
---@return string? data
---@return string? err
---@return moonwire.code? code "too_large", "invalid", "eof", "timeout", "reset", "closed", "busy"
function frame.read(conn, options)
  check.stream(conn, 1, "read")
  check.options(options, KNOWN, 2, "read")
  return read(conn, kind_of(options))
end

--- Iterates over frames. Ends when the peer has ended its data behind a whole
--- frame, raises a fault otherwise.
---@param conn moonwire.stream
---@param options? moonwire.frame_options
---@return fun(): string?
function frame.frames(conn, options)
  check.stream(conn, 1, "frames")
  check.options(options, KNOWN, 2, "frames")
  return iterate(conn, read, kind_of(options))
end

--- Writes a frame. Raises when the data is longer than the length can tell.
---@param conn moonwire.stream
---@param data string
---@param options? moonwire.frame_options where `max` counts for reading only
---@return true?
---@return string? err
---@return moonwire.code? code as of stream:write
function frame.write(conn, data, options)
  check.stream(conn, 1, "write")
  check.type(data, "string", 2, "write")
  check.options(options, KNOWN, 3, "write")
  local kind = kind_of(options)
  local length = #data + kind.own
  if length > kind.largest then
    check.refuse(2, "write", ("%d bytes, more than the length of a frame can tell"):format(#data))
  end
  return conn:write(string.pack(kind.format, length), data)
end

local RECORD_KNOWN <const> = { max = "integer" }

---@class moonwire.record_options
---@field max? integer bytes of the whole record at most; default 65536

--- Reads as many bytes as a format of string.pack has, also where strings with a
--- length ("s1", "s4") or an end ("z") make that depend on the data.
---@param conn moonwire.stream
---@param format string such as ">I2s1"
---@param options? moonwire.record_options
---@return any ... the values, at least one; on failure nil, err and code
---@return string? err
---@return moonwire.code? code "too_large" (still unread), "eof", "timeout", "reset", "closed", "busy"
function frame.read_packed(conn, format, options)
  check.stream(conn, 1, "read_packed")
  check.type(format, "string", 2, "read_packed")
  check.options(options, RECORD_KNOWN, 3, "read_packed")
  local steps, problem = record.parse(format)
  if not steps then
    check.refuse(2, "read_packed", problem)
  end
  return record.read(conn, steps, format, options and options.max or MAX_DEFAULT)
end

--- Iterates over records of one format: the values of each. Ends when the peer
--- has ended its data behind a whole record, raises a fault otherwise.
---@param conn moonwire.stream
---@param format string as of read_packed
---@param options? moonwire.record_options
---@return fun(): any ...
function frame.records(conn, format, options)
  check.stream(conn, 1, "records")
  check.type(format, "string", 2, "records")
  check.options(options, RECORD_KNOWN, 3, "records")
  local steps, problem = record.parse(format)
  if not steps then
    check.refuse(2, "records", problem)
  end
  return iterate(conn, record.read, steps, format, options and options.max or MAX_DEFAULT)
end

--- Writes values as string.pack does. Raises when they do not fit the format.
---@param conn moonwire.stream
---@param format string
---@param ... any
---@return true?
---@return string? err
---@return moonwire.code? code as of stream:write
function frame.write_packed(conn, format, ...)
  check.stream(conn, 1, "write_packed")
  check.type(format, "string", 2, "write_packed")
  local ok, bytes = pcall(string.pack, format, ...)
  if not ok then
    error((bytes:gsub("#(%d+) to '[^']*'", function(position)
      return ("#%d to 'write_packed'"):format(position + 1)
    end)), 2)
  end
  return conn:write(bytes)
end

return frame
