--- Which content coding a client would rather have (RFC 9110 §12.5.3). Not for scripts.
local encoding = {}

local ELEMENTS_MOST <const> = 32
local REMEMBERED_MOST <const> = 64
local ALIASES <const> = { ["x-gzip"] = "gzip" }

-- What was read from which header: clients send few different ones.
local remembered, remembered_count = {}, 0

local function parse_quality(parameters)
  local text = parameters:match("^%s*;%s*[qQ]%s*=%s*([%d.]+)%s*$")
  if parameters:find("^%s*$") then
    return 1
  end
  local quality = text and #text <= 5 and (text:find("^0%.?%d*$") or text:find("^1%.?0*$")) and tonumber(text)
  return quality or 0 -- what cannot be read is not wanted
end

local function parse(accept)
  local qualities, count = {}, 0
  for element in accept:gmatch("[^,]+") do
    local name, parameters = element:match("^%s*([%w!#$%%&'*+.^_`|~-]+)(.*)$")
    count = count + 1
    if count > ELEMENTS_MOST then
      break
    elseif name then
      name = name:lower()
      qualities[ALIASES[name] or name] = parse_quality(parameters)
    end
  end
  return qualities
end

local function read(accept)
  local qualities = remembered[accept]
  if not qualities then
    qualities = parse(accept)
    if remembered_count == REMEMBERED_MOST then
      remembered, remembered_count = {}, 0
    end
    remembered[accept], remembered_count = qualities, remembered_count + 1
  end
  return qualities
end

--- The coding to use.
---@param accept? string the field Accept-Encoding
---@param available string[] those that the server has, the best first
---@return string? name nil: none
function encoding.choose(accept, available)
  if not accept or accept == "" then
    return nil
  end
  local qualities = read(accept)
  local best, best_quality = nil, 0
  for _, name in ipairs(available) do
    local quality = qualities[name] or qualities["*"] or 0
    if quality > best_quality then
      best, best_quality = name, quality
    end
  end
  return (qualities.identity or 0) <= best_quality and best or nil
end

--- Adds a name to the field Vary.
---@param response moonwire.http.response
---@param name string
function encoding.vary(response, name)
  local present = response:header "Vary"
  if not present then
    response:header("Vary", name)
    return
  end
  local names = "," .. present:lower():gsub("%s", "") .. ","
  if present ~= "*" and not names:find("," .. name:lower() .. ",", 1, true) then
    response:header("Vary", present .. ", " .. name)
  end
end

return encoding
