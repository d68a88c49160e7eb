--- Queries of addresses and urlencoded forms, as browsers write and read them
--- (application/x-www-form-urlencoded of the WHATWG URL standard). Lenient:
--- a "%" without two digits is itself. codec.form_decode is the strict one.
local check = require "moonwire.check"
local codec = require "moonwire.codec"

---@class moonwire.http.query
local query = {}

local PAIRS_DEFAULT <const> = 1000
local KNOWN <const> = { max = "integer" }

---@class moonwire.http.query_options
---@field max? integer pairs at most; default 1000

local function to_byte(digits)
  return string.char(tonumber(digits, 16))
end

local function decode(text)
  if text:find("[%%+]") then
    text = text:gsub("+", " "):gsub("%%(%x%x)", to_byte)
  end
  return text
end

--- Names and values of a text. Of a name that occurs several times the first
--- value counts in `values`, so that nobody gets a list who expects a string;
--- `lists` has all. Bytes are not checked to be UTF-8.
---@param text string behind the "?", or the body of a form
---@param options? moonwire.http.query_options
---@return table<string, string>? values
---@return table<string, string[]>|string lists or err
---@return moonwire.code? code "too_large": more pairs than `max`
function query.parse(text, options)
  check.type(text, "string", 1, "parse")
  check.options(options, KNOWN, 2, "parse")
  local max, count, values, lists = options and options.max or PAIRS_DEFAULT, 0, {}, {}
  for pair in text:gmatch("[^&]+") do
    count = count + 1
    if count > max then
      return nil, "too_large", "too_large"
    end
    local name, value = pair:match("^([^=]*)=?(.*)$")
    name, value = decode(name), decode(value)
    local list = lists[name]
    if list then
      list[#list + 1] = value
    else
      values[name], lists[name] = value, { value }
    end
  end
  return values, lists
end

--- Names and values as a text, in the order of the names.
---@param values table<string, string|number|boolean|any[]> a list: one pair for each value
---@return string text
function query.encode(values)
  local ok, text = pcall(codec.form_encode, values)
  if not ok then
    check.refuse(1, "encode", (text:match("%((.*)%)$") or text))
  end
  return text
end

return query
