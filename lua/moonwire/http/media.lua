--- Media types, and which of several the client would rather have (RFC 9110
--- §8.3.1 and §12.5).
local check = require "moonwire.check"

---@class moonwire.http.media
local media = {}

local TOKEN <const> = "[%w!#$%%&'*+.^_`|~-]+"
local RANGES_MOST <const> = 64

-- The text of a quoted string whose first quote is at byte `at`, and the byte behind it and the blanks
-- after it.
local function take_quoted(text, at)
  local from = at + 1
  while true do
    local mark = text:find('["\\]', from)
    if not mark then
      return nil
    elseif text:sub(mark, mark) == '"' then
      local value = text:sub(at + 1, mark - 1):gsub("\\(.)", "%1")
      return value, text:match("^[ \t]*()", mark + 1)
    end
    from = mark + 2
  end
end

-- The parameter that begins at byte `at`, behind its semicolon: name, value, the byte behind it; nil: none
-- is there.
local function parse_parameter(text, at)
  local name, from = text:match("^(" .. TOKEN .. ")=()", at)
  if not name then
    return nil
  end
  local value, after
  if text:find('^"', from) then
    value, after = take_quoted(text, from)
  else
    value, after = text:match("^(" .. TOKEN .. ")[ \t]*()", from)
  end
  return value and name:lower(), value, after
end

local function parse_parameters(text, at)
  local parameters = {}
  while at <= #text do
    local from = text:match("^;[ \t]*()", at)
    if not from then
      return nil
    end
    if from > #text or text:find("^;", from) then -- an empty one, which RFC 9110 lets recipients skip
      at = from
    else
      local name, value, after = parse_parameter(text, from)
      if not name or parameters[name] then
        return nil
      end
      parameters[name], at = value, after
    end
  end
  return parameters
end

--- A media type and its parameters, as in "text/html; charset=utf-8".
---@param text string
---@return string? type in lower case: "text/html"; nil: it is none, or has a parameter twice
---@return table<string, string>? parameters names in lower case
function media.parse(text)
  check.type(text, "string", 1, "parse")
  local kind, after = text:match("^[ \t]*(" .. TOKEN .. "/" .. TOKEN .. ")[ \t]*()")
  local parameters = kind and parse_parameters(text, after)
  if parameters then
    return kind:lower(), parameters
  end
end

--- The type alone, however odd its parameters are.
---@param text? string
---@return string? type in lower case
function media.type_of(text)
  local kind = text and text:match("^[ \t]*(" .. TOKEN .. "/" .. TOKEN .. ")[ \t]*%f[;\0]")
  return kind and kind:lower()
end

-- How much a quality counts; nil: it is none.
local function parse_quality(text)
  return text and (text:find("^0%.?%d*$") or text:find("^1%.?0*$")) and #text <= 5 and tonumber(text) or nil
end

-- One element of "Accept": its type, quality, and how narrow it is.
local function parse_range(element)
  local kind, rest = element:match("^%s*(" .. TOKEN .. "/" .. TOKEN .. ")%s*(.*)$")
  if not kind then
    return nil
  end
  rest = rest:lower()
  local quality = rest:match("^.-;%s*q%s*=%s*([%d.]+)%s*$") or rest:match(";%s*q=([%d.]+)%s*;")
  local has_quality = rest:find(";%s*q%s*=")
  local precision = kind == "*/*" and 1 or kind:sub(-2) == "/*" and 2 or 3
  local value = 1
  if has_quality then
    value = parse_quality(quality)
  end
  return value and { kind = kind:lower(), quality = value, precision = precision }
end

local function parse_ranges(accept)
  local ranges = {}
  for element in accept:gmatch("[^,]+") do
    ranges[#ranges + 1] = #ranges < RANGES_MOST and parse_range(element) or nil
  end
  return ranges
end

local function matches(range, kind)
  return range.precision == 1 or range.kind == kind
    or range.precision == 2 and range.kind:sub(1, -2) == kind:sub(1, #range.kind - 1)
end

-- What the client thinks of a type: the narrowest range that has it decides.
local function quality_of(ranges, kind)
  local precision, quality = 0, 0
  for _, range in ipairs(ranges) do
    if range.precision > precision and matches(range, kind) then
      precision, quality = range.precision, range.quality
    end
  end
  return quality
end

--- The one of several types that a client would rather have; of those that it
--- likes equally, the first.
---@param accept string|nil the field "Accept"; nil or empty: it takes anything
---@param offers string[] media types, the best first
---@return string? offer nil: it takes none of them (status 406, or the first one all the same)
function media.choose(accept, offers)
  check.type(accept or "", "string", 1, "choose")
  check.type(offers, "table", 2, "choose")
  if not accept or not accept:find("%S") then
    return offers[1]
  end
  local ranges, best, most = parse_ranges(accept), nil, 0
  for _, offer in ipairs(offers) do
    local quality = quality_of(ranges, media.type_of(offer) or "")
    if quality > most then
      best, most = offer, quality
    end
  end
  return best
end

return media
