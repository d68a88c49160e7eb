--- Completion at the prompt: keywords, globals, fields, methods. It looks and
--- never calls: no metamethod runs. Not for scripts.
local show = require "moonwire.repl.show"
local words = require "moonwire.repl.words"

local complete = {}

local BASES <const> = 10 -- tables behind one another by __index

-- The text before the name: the value that the path leads to. nil: none is known.
local function resolve(path)
  local value = nil
  for name in path:gmatch("[^.:]+") do
    if value == nil then
      value = words.find(name)
    else
      value = complete.field(value, name)
    end
    if value == nil then
      return nil
    end
  end
  return value
end

-- Calls `visit` with the tables in which the fields of a value are looked up.
local function each_base(value, visit)
  for _ = 1, BASES do
    if type(value) == "table" and visit(value) then
      return
    end
    local metatable = debug.getmetatable(value)
    value = type(metatable) == "table" and rawget(metatable, "__index") or nil
    if type(value) ~= "table" then
      return
    end
  end
end

--- A field as Lua would find it, but through tables only.
---@param value any
---@param name string
---@return any
function complete.field(value, name)
  local found
  each_base(value, function(base)
    found = rawget(base, name)
    return found ~= nil
  end)
  return found
end

local function add_matching(found, base, start, only_functions)
  for name, value in next, base do
    if type(name) == "string" and name:find("^[%a_][%w_]*$") and name:sub(1, #start) == start
      and not show.reserved[name] and (not only_functions or type(value) == "function") then
      found[name] = true
    end
  end
end

local function sorted(set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- What begins with two underscores is wanted by those who type them.
local function without_hidden(found, start)
  for name in pairs(found) do
    if name:find("^__") and not start:find("^_") then
      found[name] = nil
    end
  end
  return found
end

-- Fields and methods of what the path leads to, if it begins where a value begins.
local function add_fields(found, before, path, start, only_functions)
  local value = not before:find("[.:]%s*$") and resolve(path)
  if value then
    each_base(value, function(base) add_matching(found, base, start, only_functions) end)
  end
end

local function add_words(found, start)
  for word in pairs(show.reserved) do
    if word:sub(1, #start) == start then
      found[word] = true
    end
  end
  words.add_names(found, start)
end

--- What may stand where the text ends.
---@param text string what stands before the cursor
---@return string start the part of the name that is typed
---@return string[] names in order
function complete.names(text)
  text = text:gsub("%.%.+", " ") -- what is behind stands alone
  local before, path, separator, start = text:match("^(.-)([%a_][%w_.:]*)([.:])([%w_]*)$")
  local found = {}
  if path then
    add_fields(found, before, path, start, separator == ":")
  else
    before, start = text:match("^(.-)([%a_]?[%w_]*)$")
    if start ~= "" and not before:find("[.:]%s*$") then
      add_words(found, start)
    end
  end
  return start, sorted(without_hidden(found, start))
end

--- The longest text that all the names begin with.
---@param names string[]
---@return string
function complete.common(names)
  local common = names[1]
  for _, name in ipairs(names) do
    while name:sub(1, #common) ~= common do
      common = common:sub(1, -2)
    end
  end
  return common
end

return complete
