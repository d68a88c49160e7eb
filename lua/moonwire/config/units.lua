--- Durations and sizes as a config writes them. Not for scripts.
local units = {}

local SECONDS <const> = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400 }
local BYTES <const> = { K = 1 << 10, M = 1 << 20, G = 1 << 30, T = 1 << 40 }

-- From the largest, for what is shown.
local LONGEST_FIRST <const> = { "d", "h", "m", "s", "ms" }
local LARGEST_FIRST <const> = { "T", "G", "M", "K" }

local function scale(text, factors)
  local number, unit = text:match("^(%d+%.?%d*)%s*(%a*)$")
  local factor = number and (unit == "" and 1 or factors[unit])
  return factor and tonumber(number) * factor
end

-- Not NaN, not infinite, not negative.
local function is_amount(value)
  return value and value >= 0 and value < math.huge
end

--- "500ms", "10s", "2m", "1h", "1d", or a number of seconds.
---@param value any
---@return number? seconds
function units.seconds(value)
  if type(value) == "string" then
    value = scale(value, SECONDS)
  elseif type(value) ~= "number" then
    return nil
  end
  return is_amount(value) and value + 0.0 or nil
end

--- "512K", "64M", "1G", "2T", or a number of bytes.
---@param value any
---@return integer? bytes
function units.bytes(value)
  if type(value) == "string" then
    value = scale(value, BYTES)
  elseif type(value) ~= "number" then
    return nil
  end
  return is_amount(value) and math.tointeger(value) or nil
end

local function show(value, factors, order, none)
  for _, unit in ipairs(order) do
    local count = value / factors[unit]
    if count >= 1 and count == math.floor(count) then
      return ("%d%s"):format(count, unit)
    end
  end
  return none:format(value)
end

--- A duration in the largest unit that shows it whole.
---@param seconds number
---@return string
function units.show_seconds(seconds)
  return show(seconds, SECONDS, LONGEST_FIRST, "%g")
end

--- A size in the largest unit that shows it whole.
---@param bytes integer
---@return string
function units.show_bytes(bytes)
  return show(bytes, BYTES, LARGEST_FIRST, "%d")
end

return units
