--- Values of a store as the bytes that backends keep. Not for scripts.
---
--- An integer is its decimal digits, so that backends can count, and a string is itself: other programs that
--- use the same Redis see what they expect. All else, and strings that would be taken for one of these, is a
--- message of plain data behind a byte of zero.
local core = require "moonwire.core"
local json = require "moonwire.json"

local value = {}

local MARK <const> = "\0"
local MOST <const> = 1 << 20 -- bytes

-- Whether a string would be read as something else.
local function is_ambiguous(text)
  return text:byte(1) == 0 or text:find "^%-?%d+$"
end

-- Called by a method of the handle: whose caller is the third.
local CALLER <const> = 3

--- The bytes of a value, of which the public function that calls has checked that it is not nil. Raises for
--- what is no plain data and blames the caller of that.
---@param of any
---@param name string what it is called: "value"
---@return string?
---@return string? err
---@return moonwire.code? code "too_large"
function value.encode(of, name)
  local bytes
  if math.type(of) == "integer" then
    return ("%d"):format(of)
  elseif type(of) == "string" and not is_ambiguous(of) then
    bytes = of
  else
    bytes = MARK .. core.data.encode(of, name, CALLER)
  end
  if #bytes > MOST then
    return nil, "too_large", "too_large"
  end
  return bytes
end

--- The value that bytes are. What is in a store that others write to, too, may be anything: it is a string
--- then.
---@param bytes string
---@return any
function value.decode(bytes)
  if bytes:byte(1) == 0 then
    local of, err = core.data.decode(bytes:sub(2))
    if err then
      return bytes
    elseif of == nil then
      return json.null
    end
    return of
  end
  return bytes:find "^%-?%d+$" and math.tointeger(tonumber(bytes)) or bytes
end

--- Whether two values are the same, tables by what is in them. An integer is no float here.
---@param a any
---@param b any
---@return boolean
function value.equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b and math.type(a) == math.type(b)
  end
  for key, inner in pairs(a) do
    if not value.equal(inner, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

return value
