--- Networks, as `allow` and `deny` name them: "10.0.0.0/8", "::1". Not for scripts.
local network = {}

local EXPECTED <const> = 'a network (such as "10.0.0.0/8", "192.0.2.7" or "2001:db8::/32")'

-- The 32 bits of "192.0.2.7"; nil for anything else.
local function parse_v4(text)
  local bits, count = 0, 0
  for part in (text .. "."):gmatch("(%d+)%.") do
    if #part > 3 or tonumber(part) > 255 or #part > 1 and part:sub(1, 1) == "0" then
      return nil
    end
    bits, count = bits << 8 | tonumber(part), count + 1
  end
  return count == 4 and text:find("^[%d.]+$") and not text:find("%.$") and bits or nil
end

-- Adds the groups of one side of "::" to a list; false when one is none.
local function add_groups(groups, text)
  if text == "" then
    return true
  end
  for part in (text .. ":"):gmatch("([^:]*):") do
    local v4 = part:find(".", 1, true) and parse_v4(part)
    if v4 then
      groups[#groups + 1], groups[#groups + 2] = v4 >> 16, v4 & 0xffff
    elseif part:find("^%x%x?%x?%x?$") then
      groups[#groups + 1] = tonumber(part, 16)
    else
      return false
    end
  end
  return true
end

-- The eight groups of "2001:db8::"; nil for anything else.
local function parse_v6(text)
  local head, tail = text:match("^(.-)::(.*)$")
  local groups, rest = {}, {}
  if not add_groups(groups, head or text) or not add_groups(rest, tail or "") then
    return nil
  end
  local missing = 8 - #groups - #rest
  if tail and missing < 1 or not tail and missing ~= 0 then
    return nil
  end
  for _ = 1, missing do
    groups[#groups + 1] = 0
  end
  return table.move(rest, 1, #rest, #groups + 1, groups)
end

-- The groups of 16 bits that an address has, two or eight.
local function parse(text)
  local v4 = parse_v4(text)
  if v4 then
    return { v4 >> 16, v4 & 0xffff }
  end
  return parse_v6(text)
end

local function show(groups, bits)
  if #groups == 2 then
    return ("%d.%d.%d.%d/%d"):format(groups[1] >> 8, groups[1] & 255, groups[2] >> 8, groups[2] & 255, bits)
  end
  local words = {}
  for i, group in ipairs(groups) do
    words[i] = ("%x"):format(group)
  end
  return ("%s/%d"):format(table.concat(words, ":"), bits)
end

-- The same network with nothing set behind its bits; whether that changed anything.
local function mask(groups, bits)
  local masked, changed = {}, false
  for i, group in ipairs(groups) do
    local kept = math.max(0, math.min(16, bits - 16 * (i - 1)))
    masked[i] = group & (0xffff << (16 - kept)) & 0xffff
    changed = changed or masked[i] ~= group
  end
  return masked, changed
end

--- A kind of option.
---@type moonwire.config.kind
network.kind = {
  expected = EXPECTED,
  read = function(value, at)
    local text, length = tostring(value):match("^([%x:.]+)/?(%d*)$")
    local groups = type(value) == "string" and text and parse(text)
    if not groups or value:find("/$") then
      at:expect(EXPECTED, value)
    end
    local most = 16 * #groups
    local bits = length == "" and most or math.tointeger(tonumber(length))
    if not bits or bits > most then
      at:fail('%s: "%s": the number behind / is from 0 to %d', at.key, value, most)
    end
    local masked, changed = mask(groups, bits)
    if changed then
      at:fail('%s: "%s" is no network: the address has bits behind the %d of the network; write "%s"',
        at.key, value, bits, show(masked, bits))
    end
    return value
  end,
}

return network
