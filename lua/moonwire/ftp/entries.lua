--- What servers list, read: MLSD (RFC 3659 §7), and LIST as `ls -l` writes it. Not for scripts.
local entries = {}

local KINDS <const> = { file = "file", dir = "folder" }
local LETTERS <const> = { ["-"] = "file", d = "folder", l = "link" }

-- A name that would lead elsewhere is none.
local function is_name(name)
  return name ~= "" and name ~= "." and name ~= ".." and not name:find("[/%z]")
end

-- UTC as seconds since 1970.
local function seconds_of(text)
  local year, month, day, hour, minute, second = text:match("^(%d%d%d%d)(%d%d)(%d%d)(%d%d)(%d%d)(%d%d)")
  if not year then
    return nil
  end
  local y = tonumber(month) <= 2 and tonumber(year) - 1 or tonumber(year)
  local m = (tonumber(month) + 9) % 12
  local days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * m + 2) // 5 + tonumber(day) - 1 - 719468
  return days * 86400 + tonumber(hour) * 3600 + tonumber(minute) * 60 + tonumber(second)
end

entries.seconds_of = seconds_of

--- An entry of a line of MLSD; nil: it is none, or the folder itself.
---@param line string
---@return table? entry
function entries.of_facts(line)
  local text, name = line:match("^(%S*) (.*)$")
  if not text or not is_name(name) then
    return nil
  end
  local facts = {}
  for fact, value in text:gmatch("([^=;]+)=([^;]*);") do
    facts[fact:lower()] = value
  end
  local kind = (facts.type or ""):lower()
  if kind == "cdir" or kind == "pdir" then
    return nil
  end
  return {
    name = name, kind = KINDS[kind] or (kind:find("link") and "link") or "other",
    size = math.tointeger(tonumber(facts.size)), modified = facts.modify and seconds_of(facts.modify),
  }
end

--- An entry of a line of LIST; nil: it is none. The time is not read: it has neither a year nor a zone.
---@param line string
---@return table? entry
function entries.of_long(line)
  local letter, size, name = line:match("^(.)[%w%-+.@]+%s+%d+%s+%S+%s+%S+%s+(%d+)%s+%a+%s+%d+%s+[%d:]+ (.*)$")
  if not letter then
    return nil
  end
  if letter == "l" then
    name = name:match("^(.*) %-> ") or name
  end
  if is_name(name) then
    return { name = name, kind = LETTERS[letter] or "other", size = math.tointeger(tonumber(size)) }
  end
end

return entries
