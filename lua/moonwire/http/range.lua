--- Parts of what could be sent: the field Range (RFC 9110 §14). Not for scripts.
local range = {}

--- A part: its first and last byte, from 0.
---@class moonwire.http.span
---@field first integer
---@field last integer

-- A count that does not fit is more than any file has.
local function to_count(digits)
  return #digits > 18 and math.maxinteger or math.tointeger(tonumber(digits))
end

-- One element: the span, false when nothing of it is there, nil when it is none.
local function parse_element(element, size)
  local from, to = element:match("^%s*(%d*)%-(%d*)%s*$")
  if not from or from == "" and to == "" then
    return nil
  elseif from == "" then
    local length = math.min(to_count(to), size)
    return length > 0 and { first = size - length, last = size - 1 }
  end
  local first, last = to_count(from), to == "" and math.maxinteger or to_count(to)
  if last < first then
    return nil
  end
  return first < size and { first = first, last = math.min(last, size - 1) }
end

-- All elements; nil when one is none, or there are more than `most`.
local function parse_all(text, size, most)
  local spans, count = {}, 0
  for element in (text .. ","):gmatch("([^,]*),") do
    if element:find("%S") then
      local span = parse_element(element, size)
      count = count + 1
      if span == nil or count > most then
        return nil
      end
      spans[#spans + 1] = span or nil
    end
  end
  return count > 0 and spans or nil
end

local function by_first(one, other)
  return one.first < other.first
end

local function overlap(sorted)
  for i = 2, #sorted do
    if sorted[i].first <= sorted[i - 1].last then
      return true
    end
  end
  return false
end

-- Those that overlap become one, in the order of the file; others stay in the order of the client.
local function merge(spans)
  local sorted = table.move(spans, 1, #spans, 1, {})
  table.sort(sorted, by_first)
  if not overlap(sorted) then
    return spans
  end
  local merged = { sorted[1] }
  for i = 2, #sorted do
    local last, span = merged[#merged], sorted[i]
    if span.first <= last.last + 1 then
      last.last = math.max(last.last, span.last)
    else
      merged[#merged + 1] = span
    end
  end
  return merged
end

--- The parts that a field asks for, none of them overlapping.
---@param text string the field Range
---@param size integer bytes that there are
---@param most integer more parts than this are not given one by one
---@return moonwire.http.span[]? spans nil: send all, as without the field; empty: no part of it is there, 416
function range.parse(text, size, most)
  local list = text:match("^[bB][yY][tT][eE][sS]=(.*)$")
  local spans = list and size > 0 and parse_all(list, size, most)
  if not list or not spans then
    -- Of nothing there is no part that begins anywhere.
    return list and size == 0 and parse_all(list, size, most) and {} or nil
  end
  return #spans > 1 and merge(spans) or spans
end

return range
