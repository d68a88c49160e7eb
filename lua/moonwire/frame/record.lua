--- Records in the formats of string.pack, whose size may depend on their data.
--- Not for scripts.
local record = {}

local KEPT <const> = 256 -- formats that are kept parsed
local INTEGER_MOST <const> = 8 -- bytes: string.unpack would raise for a larger one that does not fit

-- "fixed": the text of items that have a fixed size; "s": the text of the length; "z": up to a zero byte.
---@class moonwire.record_step
---@field kind "fixed"|"s"|"z"
---@field text string with "c0" in place of what follows a length or ends with a zero

local parsed, count = {}, 0

-- Items of a fixed size make one step as long as they follow each other.
local function add(steps, item)
  local last = steps[#steps]
  if item:find("^s") then
    steps[#steps + 1] = { kind = "s", text = item == "s" and "T" or item:gsub("^s", "I") }
  elseif item == "z" then
    steps[#steps + 1] = { kind = "z", text = "c0" }
  elseif last and last.kind == "fixed" then
    last.text = last.text .. item
  else
    steps[#steps + 1] = { kind = "fixed", text = item }
  end
end

local function parse(format)
  local steps, values, at, text = {}, 0, 1, ""
  while at <= #format do
    local item = format:match("^X?[%a<>=! ]%d*", at) or format:sub(at, at)
    if item:find("^[iIs]%d") and tonumber(item:sub(2)) > INTEGER_MOST then
      return nil, ("'%s' in the format: more than %d bytes"):format(item, INTEGER_MOST)
    end
    add(steps, item)
    text = text .. (item:find("^[sz]") and steps[#steps].text or item)
    values = values + (item:find("^[^<>=! xX]") and 1 or 0)
    at = at + #item
  end
  local ok, problem = pcall(string.packsize, text)
  if not ok then
    return nil, (problem:gsub("^.*#1 to '[^']*' %((.*)%)$", "%1"))
  elseif values == 0 then
    return nil, "a format with values expected"
  end
  return steps
end

--- Takes a format apart.
---@param format string
---@return moonwire.record_step[]? steps
---@return string? problem
function record.parse(format)
  local steps, problem = parsed[format], nil
  if not steps then
    steps, problem = parse(format)
    if steps then
      parsed, count = count < KEPT and parsed or {}, count < KEPT and count + 1 or 1
      parsed[format] = steps
    end
  end
  return steps, problem
end

-- How many bytes stand before the next zero byte behind the first `from`; they stay unread.
local function find_zero(conn, from, max)
  local scanned = from
  while scanned < max do
    local ok, err, code = conn:peek(scanned + 1)
    local bytes = ok and conn:peek_some(max)
    if not bytes then
      return nil, err, code
    end
    local place = bytes:find("\0", scanned + 1, true)
    if place then
      return place - 1 - from
    end
    scanned = #bytes
  end
  return nil, "too_large", "too_large"
end

-- The length that the last item of the format tells, whose bytes are still unread.
local function peek_length(conn, known, max)
  local need = string.packsize(known)
  if need > max then
    return nil, "too_large", "too_large"
  end
  local head, err, code = conn:peek(need)
  if not head then
    return nil, err, code
  end
  local length = select(-2, string.unpack(known, head))
  if length < 0 or length > max - need then
    return nil, "too_large", "too_large"
  end
  return length
end

--- Reads a record.
---@param conn moonwire.stream
---@param steps moonwire.record_step[]
---@param format string that they are of
---@param max integer bytes
---@return any ... the values, or nil, err, code
function record.read(conn, steps, format, max)
  local known = "" -- the format up to here, of what has a fixed size or whose size was found out
  for _, step in ipairs(steps) do
    local length, err, code = 0, nil, nil
    if step.kind == "s" then
      known = known .. step.text
      length, err, code = peek_length(conn, known, max)
      step = length and { text = "c" .. length }
    elseif step.kind == "z" then
      length, err, code = find_zero(conn, string.packsize(known), max)
      step = length and { text = "c" .. length + 1 }
    end
    if not length then
      return nil, err, code
    end
    known = known .. step.text
  end
  local need = string.packsize(known)
  if need > max then
    return nil, "too_large", "too_large"
  end
  local bytes, err, code = conn:read(need)
  if not bytes then
    return nil, err, code
  end
  local values = table.pack(string.unpack(format, bytes))
  return table.unpack(values, 1, values.n - 1)
end

return record
