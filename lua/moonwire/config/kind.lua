--- What the value of an option may be: each kind reads a value into what the daemon works with, and knows
--- what it expected. Not for scripts.
local nearest = require "moonwire.config.nearest"
local units = require "moonwire.config.units"

local kind = {}

---@class moonwire.config.kind
---@field expected string in messages and the documentation
--- Converts a value, or raises what is wrong with it.
---@field read fun(value: any, at: moonwire.config.place): any
---@field fields? moonwire.config.field[] of a table of options

---@class moonwire.config.field
---@field name string
---@field kind moonwire.config.kind
---@field default? any as a config would write it; nil: none
---@field example? any of an option that has no default
---@field why string one line

---@alias moonwire.config.fields moonwire.config.field[]

-- A kind of a function that returns nil for what it does not take.
local function new(expected, convert)
  return {
    expected = expected,
    read = function(value, at)
      local result = convert(value)
      if result == nil then
        at:expect(expected, value)
      end
      return result
    end,
  }
end

local function between(value, least, most)
  if value and value >= least and value <= most then
    return value
  end
end

--- Seconds.
---@param least number
---@param most number
---@return moonwire.config.kind
function kind.duration(least, most)
  local from, to = units.show_seconds(least), units.show_seconds(most)
  return new(('a duration from %s to %s (such as "10s" or "500ms")'):format(from, to), function(value)
    return between(units.seconds(value), least, most)
  end)
end

--- Bytes.
---@param least integer
---@param most integer
---@return moonwire.config.kind
function kind.size(least, most)
  local from, to = units.show_bytes(least), units.show_bytes(most)
  return new(('a size from %s to %s (such as "64M")'):format(from, to), function(value)
    return between(units.bytes(value), least, most)
  end)
end

---@param least integer
---@param most integer
---@return moonwire.config.kind
function kind.integer(least, most)
  return new(("an integer from %d to %d"):format(least, most), function(value)
    return type(value) == "number" and between(math.tointeger(value), least, most) or nil
  end)
end

---@param least number
---@param most number
---@return moonwire.config.kind
function kind.number(least, most)
  return new(("a number from %.14g to %.14g"):format(least, most), function(value)
    return type(value) == "number" and between(value, least, most) or nil
  end)
end

kind.boolean = new("true or false", function(value)
  if type(value) == "boolean" then
    return value
  end
end)

--- One of some words.
---@param words string[]
---@return moonwire.config.kind
function kind.choice(words)
  local quoted = {}
  for i, word in ipairs(words) do
    quoted[i] = ('"%s"'):format(word)
  end
  local last = table.remove(quoted)
  local others = #quoted > 0 and table.concat(quoted, ", ") .. " or " or ""
  return new(others .. last, function(value)
    for _, word in ipairs(words) do
      if value == word then
        return value
      end
    end
  end)
end

--- A string that matches.
---@param expected string
---@param pattern string
---@return moonwire.config.kind
function kind.text(expected, pattern)
  return new(expected, function(value)
    return type(value) == "string" and value:find(pattern) and value or nil
  end)
end

--- One kind or another.
---@param first moonwire.config.kind
---@param second moonwire.config.kind
---@return moonwire.config.kind
function kind.either(first, second)
  local expected = ("%s or %s"):format(first.expected, second.expected)
  return {
    expected = expected,
    read = function(value, at)
      for _, one in ipairs { first, second } do
        local ok, result = pcall(one.read, value, at)
        if ok then
          return result
        end
      end
      at:expect(expected, value)
    end,
  }
end

--- A limit that need not be: `false`, which is read as `none`.
---@param limit moonwire.config.kind
---@param none 0|false
---@return moonwire.config.kind
function kind.limit(limit, none)
  local expected = limit.expected .. " or false for no limit"
  return {
    expected = expected,
    read = function(value, at)
      if value == false then
        return none
      end
      local ok, result = pcall(limit.read, value, at)
      if not ok then
        at:expect(expected, value)
      end
      return result
    end,
  }
end

-- Whether a table has no keys but 1 to its length.
local function is_list(value)
  local count = 0
  for _ in pairs(value) do
    count = count + 1
  end
  return count == #value
end

--- A list; one value stands for a list of itself.
---@param of moonwire.config.kind
---@param what string "networks"
---@return moonwire.config.kind
function kind.list(of, what)
  local expected = ("a list of %s"):format(what)
  return {
    expected = expected,
    read = function(value, at)
      if type(value) ~= "table" then
        return { of.read(value, at) }
      end
      if not is_list(value) then
        at:expect(expected, value)
      end
      local result = {}
      for i, element in ipairs(value) do
        result[i] = of.read(element, at:below(i))
      end
      return result
    end,
  }
end

-- Keys in the order of their names: the same config has the same fault each time.
local function sorted_keys(given)
  local keys = {}
  for key in pairs(given) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  return keys
end

local function names_of(fields)
  local names = {}
  for i, field in ipairs(fields) do
    names[i] = field.name
  end
  return names
end

-- The name in these fields, or in a table among them, that was meant.
local function suggest(key, fields)
  local near, inner = nearest.find(key, names_of(fields)), nil
  for _, field in ipairs(fields) do
    local found = nearest.find(key, names_of(field.kind.fields or {}))
    if found and (found == key or not inner) then
      inner = ("%s.%s"):format(field.name, found)
    end
  end
  near = near or inner
  return near and ("; did you mean '%s'?"):format(near)
    or (" (known: %s)"):format(table.concat(names_of(fields), ", "))
end

--- Raises that there is no such option.
---@param key any
---@param fields moonwire.config.fields
---@param at moonwire.config.place of the table it stands in
function kind.refuse_key(key, fields, at)
  if type(key) ~= "string" then
    at:fail("%sa name expected, got the key %s", at.key and at.key .. ": " or "", tostring(key))
  end
  at:fail("unknown key '%s'%s", at:below(key).key, suggest(key, fields))
end

--- The field of a name.
---@param fields moonwire.config.fields
---@param name any
---@return moonwire.config.field?
function kind.field(fields, name)
  for _, field in ipairs(fields) do
    if field.name == name then
      return field
    end
  end
end

--- A table of options: what is absent gets its default.
---@param fields moonwire.config.fields
---@param complete? boolean default true; false: what is absent stays absent
---@return moonwire.config.kind
function kind.options(fields, complete)
  local expected = "a table of options"
  local self = { expected = expected, fields = fields }
  function self.read(value, at)
    if type(value) ~= "table" then
      at:expect(expected, value)
    end
    for _, key in ipairs(sorted_keys(value)) do
      if not kind.field(fields, key) then
        kind.refuse_key(key, fields, at)
      end
    end
    local result = {}
    for _, field in ipairs(fields) do
      local given = value[field.name]
      if given == nil and complete ~= false then
        given = field.default
      end
      if given ~= nil then
        result[field.name] = field.kind.read(given, at:below(field.name))
      end
    end
    return result
  end
  return self
end

return kind
