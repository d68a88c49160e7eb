--- Numbers as operators read and write them: sizes, ages, shares. Not for scripts.
local units = {}

local SIZES <const> = { "K", "M", "G", "T", "P" }
local SECONDS <const> = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400 }

--- A number of bytes in four characters or so: "512", "1.2K", "37M".
---@param bytes number
---@return string
function units.size(bytes)
  local unit = 0
  while bytes >= 999.5 and unit < #SIZES do
    bytes, unit = bytes / 1024, unit + 1
  end
  if unit == 0 then
    return ("%.0f"):format(bytes)
  end
  return (bytes < 9.95 and "%.1f%s" or "%.0f%s"):format(bytes, SIZES[unit])
end

--- A rate of anything: "0", "0.4", "37", "1.2K".
---@param per_second number
---@return string
function units.rate(per_second)
  if per_second > 0 and per_second < 9.95 then
    return ("%.1f"):format(per_second)
  end
  return units.size(per_second)
end

--- A duration in its two largest units: "0.4s", "12s", "3m12s", "2h05m", "4d06h".
---@param seconds number
---@return string
function units.age(seconds)
  local whole = math.floor(seconds + 0.5)
  if seconds < 9.95 then
    return ("%.1fs"):format(seconds)
  elseif whole < 60 then
    return ("%ds"):format(whole)
  elseif whole < 3600 then
    return ("%dm%02ds"):format(whole // 60, whole % 60)
  elseif whole < 86400 then
    return ("%dh%02dm"):format(whole // 3600, whole % 3600 // 60)
  end
  return ("%dd%02dh"):format(whole // 86400, whole % 86400 // 3600)
end

--- Reads a duration: "60", "1.5s", "1m30s", "200ms".
---@param text string
---@return number? seconds
---@return string? expected what should have been there
function units.read_seconds(text)
  local seconds, place = tonumber(text:match("^%d+%.?%d*$")), 1
  if not seconds and text ~= "" then
    seconds = 0
    while place <= #text do
      local amount, unit, after = text:match("^(%d+%.?%d*)(%l+)()", place)
      if not SECONDS[unit] then
        return nil, "a duration such as 60s, 1m30s or 200ms"
      end
      seconds, place = seconds + tonumber(amount) * SECONDS[unit], after
    end
  end
  if not seconds or seconds <= 0 then
    return nil, "a duration above zero, such as 60s"
  end
  return seconds
end

--- Reads a share: "5%" or "0.05".
---@param text string
---@return number? share above 0, at most 1
---@return string? expected what should have been there
function units.read_share(text)
  local percent = tonumber(text:match("^(%d+%.?%d*)%%$"))
  local share = percent and percent / 100 or tonumber(text:match("^%d*%.?%d+$"))
  if not share or share <= 0 or share > 1 then
    return nil, "a share such as 5% or 0.05"
  end
  return share
end

--- Reads a whole number above zero.
---@param text string
---@return integer? number
---@return string? expected what should have been there
function units.read_count(text)
  local number = text:find("^%d+$") and math.tointeger(tonumber(text))
  if not number or number == 0 then
    return nil, "a whole number above zero"
  end
  return number
end

--- Reads a number above zero.
---@param text string
---@return number? number
---@return string? expected what should have been there
function units.read_number(text)
  local number = tonumber(text:match("^%d*%.?%d+$"))
  if not number or number <= 0 then
    return nil, "a number above zero"
  end
  return number
end

return units
