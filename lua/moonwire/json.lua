--- JSON (RFC 8259), whole texts and one value a line. Integers stay integers of
--- 64 bits, and what is no JSON is refused with its place.
local check = require "moonwire.check"
local core = require "moonwire.core"

local json = {
  null = core.json.null, -- stands for null, which nil cannot: a field that is nil is not there
}

---@class moonwire.json_decode_options
---@field max? integer bytes of the text at most; default 1048576
---@field depth? integer arrays and objects within each other at most, up to 1000; default 128
---@field replace? boolean bytes that are no UTF-8 become U+FFFD; default false: they are refused

---@class moonwire.json_encode_options
---@field sorted? boolean keys in the order of their bytes: equal values give equal texts; default false
---@field indent? integer spaces for each level, on lines of their own; default 0: all in one line
---@field depth? integer arrays and objects within each other at most, up to 1000; default 128
---@field replace? boolean bytes that are no UTF-8 become U+FFFD; default false: they raise

---@class moonwire.json_lines_options
---@field max? integer bytes of a line at most; default 65536
---@field depth? integer arrays and objects within each other at most, up to 1000; default 128
---@field replace? boolean bytes that are no UTF-8 become U+FFFD; default false: they are refused

--- Reads a text that is one value. A number without fraction and exponent is an
--- integer, if 64 bits hold it; arrays are marked as of json.array.
---@param text string
---@param options? moonwire.json_decode_options
---@return any value json.null for null
---@return string? err with line and column
---@return moonwire.code? code "invalid"; "too_large": above `max` or `depth`
---@return integer? place of the byte that is wrong, from 1
json.decode = core.json.decode

--- Writes a value. A table is an array if its keys are 1 to n, or if it is marked
--- as one, else an object. Raises for what JSON has not, naming the way to it:
--- functions, NaN, arrays with gaps, other keys than strings, bytes that are no
--- UTF-8.
---@param value any
---@param options? moonwire.json_encode_options
---@return string text
json.encode = core.json.encode

--- Marks a table as an array, so that it is `[]` and not `{}` when it is empty.
---@generic T: table
---@param list T without a metatable
---@return T list
json.array = core.json.array

local LINES_KNOWN <const> = { max = "integer", depth = "integer", replace = "boolean" }

local DEPTH_MOST <const> = 1000

-- What is wrong with the options that decode would refuse later, and elsewhere.
local function problem_of(options)
  local depth = options and options.depth
  if depth and (depth < 1 or depth > DEPTH_MOST) then
    return ("option 'depth': %d is not within 1..%d"):format(depth, DEPTH_MOST)
  end
end

-- For the text of a line, which is within its limit.
local function decoding_options(options)
  options = options or {}
  return { max = math.maxinteger, depth = options.depth, replace = options.replace }
end

--- Reads a line that is one value.
---@param conn moonwire.stream
---@param options? moonwire.json_lines_options
---@return any value json.null for null
---@return string? err
---@return moonwire.code? code "invalid": that line is used up; and as of stream:read_line
function json.read_line(conn, options)
  check.stream(conn, 1, "read_line")
  check.options(options, LINES_KNOWN, 2, "read_line")
  local problem = problem_of(options)
  if problem then
    check.refuse(2, "read_line", problem)
  end
  local line, err, code = conn:read_line(options and options.max)
  if not line then
    return nil, err, code
  end
  return json.decode(line, decoding_options(options))
end

--- Iterates over the values of a stream that has one in each line. Lines of
--- blanks are skipped.
---@param conn moonwire.stream
---@param options? moonwire.json_lines_options
---@return fun(): any
function json.lines(conn, options)
  check.stream(conn, 1, "lines")
  check.options(options, LINES_KNOWN, 2, "lines")
  local problem = problem_of(options)
  if problem then
    check.refuse(2, "lines", problem)
  end
  local next_line, state = conn:lines { max = options and options.max }
  local decoding, number = decoding_options(options), 0
  return function()
    for line in next_line, state do
      number = number + 1
      if line:find("[^ \t\r]") then
        local value, err, code = json.decode(line, decoding)
        if value == nil then
          error(core.fault(code, ("line %d: %s"):format(number, err)), 0)
        end
        return value
      end
    end
  end
end

--- Writes a value as one line. Raises for what JSON has not, as encode does.
---@param conn moonwire.stream
---@param value any
---@param options? moonwire.json_encode_options without indent
---@return true?
---@return string? err
---@return moonwire.code? code as of stream:write
function json.write_line(conn, value, options)
  check.stream(conn, 1, "write_line")
  local ok, text = pcall(core.json.encode, value, options)
  if not ok then
    if type(text) ~= "string" then
      error(text, 0) -- a metamethod of the value raised it
    end
    local problem = text:match("#%d+ to '[^']*' (.*)$") or text
    error(("bad argument #%d to 'write_line' %s"):format(text:find("#2 to", 1, true) and 3 or 2, problem), 2)
  end
  return conn:write(text, "\n")
end

return json
