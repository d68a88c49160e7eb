--- Replies of Redis, taken apart as their bytes come: RESP3, of which RESP2 is a part. Pure: no stream, no
--- wait. Not for scripts.
---
--- A reply counts its bytes, and ELEMENT for each thing in it: so memory is bounded by `max`, whatever a
--- server says of sizes to come.
local core = require "moonwire.core"

local reply = {}

local NULL <const> = core.json.null
local ELEMENT <const> = 16 -- what one thing in a reply counts besides its bytes
local SMALLEST <const> = 3 -- bytes of it: "_\r\n"
local LINE_MOST <const> = 64 * 1024 -- bytes of a line, which is all of a number, a status, an error
local DEPTH_MOST <const> = 32 -- of things within things

--- What a server refuses a command with.
---@class moonwire.redis.error
---@field kind string the word that it begins with: "WRONGTYPE"
---@field message string all of it
local Error = { __name = "moonwire.redis.error" }
Error.__index = Error

function Error:__tostring()
  return self.message
end

local function new_error(text)
  return setmetatable({ kind = text:match("^%S+") or "", message = text }, Error)
end

--- Whether a value is what a server refused a command with.
---@param value any
---@return boolean
function reply.is_error(value)
  return getmetatable(value) == Error
end

---@class moonwire.redis.parser
---@field private text string of which the bytes before `at` are taken
---@field private at integer
---@field private pieces? string[] of a string that is under way; `text` is empty then
---@field private gathered integer bytes of the pieces
---@field private awaited? integer bytes of that string, with the end of its line
---@field private as? fun(bytes: string): any what is made of it
---@field private frames table[] the tables that are under way, the innermost last
---@field private size integer what the reply counts so far
---@field private max integer
local Parser = {}
Parser.__index = Parser

--- A parser of what comes over one connection.
---@param max integer what a reply may count
---@return moonwire.redis.parser
function reply.parser(max)
  return setmetatable({ text = "", at = 1, gathered = 0, frames = {}, size = 0, max = max }, Parser)
end

--- Takes bytes in.
---@param bytes string
function Parser:feed(bytes)
  if self.pieces then
    self.pieces[#self.pieces + 1], self.gathered = bytes, self.gathered + #bytes
  elseif self.at > #self.text then
    self.text, self.at = bytes, 1
  else
    self.text, self.at = self.text:sub(self.at) .. bytes, 1
  end
end

-- What went wrong is raised as a table, and returned by Parser:next.
local function refuse(code, format, ...)
  error({ code = code, message = format:format(...) }, 0)
end

local function show(text)
  return (("%q"):format(text:sub(1, 40)):gsub("\\\n", "\\n"))
end

local function count(self, bytes)
  self.size = self.size + bytes
  if self.size > self.max then
    refuse("too_large", "the reply is larger than %d bytes", self.max)
  end
end

-- --- what a line stands for

local function to_integer(text)
  local value = text:find("^[+-]?%d+$") and math.tointeger(tonumber(text))
  return value or refuse("protocol", "no integer: %s", show(text))
end

local DOUBLES <const> = { inf = math.huge, ["+inf"] = math.huge, ["-inf"] = -math.huge, nan = 0 / 0,
  ["-nan"] = 0 / 0 }

local function to_double(text)
  local value = DOUBLES[text:lower()] or text:find("^[+-]?[%d.eE+-]+$") and tonumber(text)
  return value and value + 0.0 or refuse("protocol", "no double: %s", show(text))
end

-- One that Lua's integers cannot hold stays a text.
local function to_big_number(text)
  if not text:find("^[+-]?%d+$") then
    refuse("protocol", "no big number: %s", show(text))
  end
  local value = tonumber(text)
  return math.type(value) == "integer" and value or text
end

local function to_boolean(text)
  if text ~= "t" and text ~= "f" then
    refuse("protocol", "no boolean: %s", show(text))
  end
  return text == "t"
end

local function to_null(text)
  return text == "" and NULL or refuse("protocol", "no null: %s", show(text))
end

local function same(text)
  return text
end

-- "txt:" or "mkd:" stands before it.
local function to_verbatim(text)
  if text:sub(4, 4) ~= ":" then
    refuse("protocol", "no verbatim string: %s", show(text))
  end
  return text:sub(5)
end

-- By the first byte of a line.
local SIMPLE <const> = { ["+"] = same, ["-"] = new_error, [":"] = to_integer, [","] = to_double,
  ["("] = to_big_number, ["#"] = to_boolean, ["_"] = to_null }
local STRINGS <const> = { ["$"] = same, ["!"] = new_error, ["="] = to_verbatim }
local TABLES <const> = { ["*"] = "list", ["~"] = "list", [">"] = "push", ["%"] = "map", ["|"] = "attribute" }

-- How many bytes or things come. -1, of RESP2, is for a null.
local function to_size(text)
  local size = text:find("^%d+$") and #text <= 18 and tonumber(text) or text == "-1" and -1
  return size or refuse("protocol", "no size: %s", show(text))
end

-- --- strings

local function begin_string(self, size, as)
  count(self, size)
  self.awaited, self.as = size + 2, as
end

-- The bytes of the string that is under way; nil: not all are there.
local function finish_string(self)
  local awaited = self.awaited
  if self.pieces then
    if self.gathered < awaited then
      return nil
    end
    self.text, self.at, self.pieces = table.concat(self.pieces), 1, nil
  elseif #self.text - self.at + 1 < awaited then
    local rest = self.text:sub(self.at)
    self.pieces, self.gathered, self.text, self.at = { rest }, #rest, "", 1
    return nil
  end
  local last = self.at + awaited - 1
  local bytes = self.text:sub(self.at, last - 2)
  if self.text:sub(last - 1, last) ~= "\r\n" then
    refuse("protocol", "a string is longer than its size")
  end
  self.at, self.awaited = last + 1, nil
  return self.as(bytes)
end

-- --- tables

local function begin_table(self, kind, size)
  local frames = self.frames
  local left = (kind == "map" or kind == "attribute") and size * 2 or size
  if kind == "push" and #frames > 0 then
    refuse("protocol", "a push within a reply")
  elseif #frames >= DEPTH_MOST then
    refuse("too_large", "the reply is nested more than %d deep", DEPTH_MOST)
  elseif left > self.max // (ELEMENT + SMALLEST) then
    refuse("too_large", "the reply is larger than %d bytes", self.max)
  end
  frames[#frames + 1] = { kind = kind, left = left, list = {} }
end

local function add(frame, value)
  frame.left = frame.left - 1
  if frame.kind ~= "map" and frame.kind ~= "attribute" then
    frame.list[#frame.list + 1] = value
  elseif frame.key == nil then
    if value ~= value then
      refuse("protocol", "a map with the key nan")
    end
    frame.key = value
  else
    frame.list[frame.key], frame.key = value, nil
  end
end

-- Takes tables that are complete off the stack, the innermost first. Returns the kind and value of what is
-- whole, nil when more is to come. An attribute says something of the reply behind it, and is none.
local function close_tables(self)
  local frames = self.frames
  while #frames > 0 and frames[#frames].left == 0 do
    local frame = table.remove(frames)
    local outer = frames[#frames]
    if frame.kind == "attribute" then
      return nil
    elseif not outer then
      return frame.kind == "push" and "push" or "reply", frame.list
    end
    add(outer, frame.list)
  end
end

local function place(self, value)
  local frame = self.frames[#self.frames]
  if not frame then
    return "reply", value
  end
  add(frame, value)
  return close_tables(self)
end

-- --- the whole

-- A line without its end; nil: it is not complete.
local function take_line(self)
  local stop = self.text:find("\r\n", self.at, true)
  if (stop or #self.text) - self.at > LINE_MOST then
    refuse("too_large", "a line of a reply is longer than %d bytes", LINE_MOST)
  elseif not stop then
    return nil
  end
  local line = self.text:sub(self.at, stop - 1)
  self.at = stop + 2
  return line
end

-- Nothing when a line has only begun something.
local function read_line(self, line)
  local mark, rest = line:sub(1, 1), line:sub(2)
  count(self, #line + ELEMENT)
  if SIMPLE[mark] then
    return place(self, SIMPLE[mark](rest))
  end
  if not STRINGS[mark] and not TABLES[mark] then
    refuse("protocol", "no reply of Redis: %s", show(line))
  end
  local size = to_size(rest)
  if size < 0 and (mark == "$" or mark == "*") then
    return place(self, NULL)
  elseif size < 0 then
    refuse("protocol", "no size: %s", show(rest))
  elseif STRINGS[mark] then
    return begin_string(self, size, STRINGS[mark])
  end
  begin_table(self, TABLES[mark], size)
  return close_tables(self)
end

local function step(self)
  while true do
    local kind, value
    if self.awaited then
      local bytes = finish_string(self)
      if bytes == nil then
        return nil
      end
      kind, value = place(self, bytes)
    else
      local line = take_line(self)
      if not line then
        return nil
      end
      kind, value = read_line(self, line)
    end
    if kind then
      self.size = 0
      return kind, value
    end
  end
end

local function pass(ok, kind, value)
  if ok then
    return kind, value
  elseif type(kind) == "table" and kind.code then
    return "fault", kind.message, kind.code
  end
  error(kind, 0)
end

--- The next thing that is complete. After a fault the connection is of no use any more.
---@return "reply"|"push"|"fault"|nil kind nil: more bytes are needed
---@return any value or, of a fault, err
---@return moonwire.code? code of a fault: "protocol", "too_large"
function Parser:next()
  return pass(pcall(step, self))
end

return reply
