--- Aliases of mail: names that stand for other names, and for addresses elsewhere.
---
---     local list = assert(mail_aliases.read { postmaster = "bob", staff = { "bob", "ann@example.net" } })
---     list:expand "staff" -- { "bob", "ann@example.net" }
local address = require "moonwire.smtp.address"
local check = require "moonwire.check"

local mail_aliases = {}

local TARGETS_MOST <const> = 1000
local UTF8 <const> = { utf8 = true }

--- Aliases that lead somewhere.
---@class moonwire.mail_aliases
---@field private final table<string, string[]> name → where it leads in the end
local Aliases = { __name = "moonwire.mail_aliases" }
Aliases.__index = Aliases

local function lower(text)
  return (text:gsub("%u", string.lower))
end

-- A target as it is compared: names in small letters, addresses with their domain so.
local function read_target(text)
  if type(text) ~= "string" then
    return nil
  elseif text:find("@", 1, true) then
    local mailbox = address.parse(text, UTF8)
    return mailbox and mailbox.address
  end
  return text:find "^[^%c ]+$" and lower(text)
end

-- Name → its targets. Or nil and what is wrong.
local function read_all(given)
  local direct = {}
  for name, targets in next, given do
    if type(name) ~= "string" or name == "" or name:find "[@%c]" then
      return nil, ("alias '%s': a name without domain expected"):format(tostring(name))
    end
    local list = {}
    for i, text in ipairs(type(targets) == "table" and targets or { targets }) do
      list[i] = read_target(text)
      if not list[i] then
        return nil, ("alias '%s': names and addresses expected, got '%s'"):format(name, tostring(text))
      end
    end
    if #list == 0 then
      return nil, ("alias '%s' leads nowhere"):format(name)
    end
    direct[lower(name)] = list
  end
  return direct
end

local function add(found, target)
  if not found.has[target] then
    found.has[target] = true
    found[#found + 1] = target
  end
end

-- Where a name leads. `path` has the names on the way to it. A name that is its own target is a mailbox.
local function follow(direct, final, name, path)
  if final[name] then
    return final[name]
  elseif path[name] then
    return nil, ("alias '%s' leads back to itself"):format(name)
  end
  path[name] = true
  local found = { has = {} }
  for _, target in ipairs(direct[name]) do
    local ends, problem = { target }, nil
    if target ~= name and direct[target] then
      ends, problem = follow(direct, final, target, path)
    end
    for _, one in ipairs(ends or {}) do
      add(found, one)
    end
    if not ends or #found > TARGETS_MOST then
      return nil, problem or ("alias '%s' leads to more than %d addresses"):format(name, TARGETS_MOST)
    end
  end
  path[name], found.has, final[name] = nil, nil, found
  return found
end

--- Reads aliases. A name is its own mailbox where it is among its own targets: `{ bob = { "bob",
--- "bob@example.net" } }` keeps a copy.
---@param given table<string, string|string[]> name without domain → names without domain, and addresses
---@return moonwire.mail_aliases?
---@return string? err
---@return moonwire.code? code "invalid": not names, or one that leads back to itself
function mail_aliases.read(given)
  check.type(given, "table", 1, "read")
  local direct, problem = read_all(given)
  local final = {}
  for name in pairs(direct or {}) do
    local ends
    ends, problem = follow(direct, final, name, {})
    if not ends then
      return nil, problem, "invalid"
    end
  end
  if not direct then
    return nil, problem, "invalid"
  end
  return setmetatable({ final = final }, Aliases)
end

--- Where a name leads in the end: names that are no aliases, and addresses; each once.
---@param name string without domain; large and small letters are the same
---@return string[]? targets nil: it is no alias
function Aliases:expand(name)
  check.object(self, Aliases, "expand")
  check.type(name, "string", 1, "expand")
  local found = self.final[lower(name)]
  return found and table.move(found, 1, #found, 1, {})
end

return mail_aliases
