--- Arguments of functions that are written in Lua, refused in the words that C
--- functions use. Not for scripts.
---
--- Each of these is called by the public function itself: the error blames the
--- line that called that one.
local core = require "moonwire.core"

local check = {}

local PUBLIC_CALLER <const> = 3
local INTEGER_MOST <const> = 1 << 30 -- of an option: as much as a stream reads at once

local function refuse(position, name, problem)
  error(("bad argument #%d to '%s' (%s)"):format(position, name, problem), PUBLIC_CALLER + 1)
end

-- What a value is, in an error message.
local function describe(value)
  if type(value) == "number" then
    return tostring(value)
  end
  local metatable = getmetatable(value)
  return type(metatable) == "table" and rawget(metatable, "__name") or type(value)
end

local function expect(is_good, value, expected, position, name)
  if not is_good then
    error(("bad argument #%d to '%s' (%s expected, got %s)"):format(
      position, name, expected, describe(value)), PUBLIC_CALLER + 1)
  end
end

-- False for NaN.
local function is_seconds(value)
  return type(value) == "number" and value >= 0
end

--- A folder of file.root.
---@param value any
---@param position integer of the argument
---@param name string the function
function check.folder(value, position, name)
  expect(pcall(core.file.folder_methods.is_open, value), value, "a folder of file.root", position, name)
end

local function tried(ok, first, ...)
  if ok then
    return first, ...
  end
  local problem = type(first) == "string" and first:match "bad argument #%d+ to '[^']*' %((.*)%)$"
  return false, problem or error(first, 0)
end

--- Calls a function that may refuse an argument which is somebody else's, such as an address: false and the
--- problem then, for check.refuse.
---@param fn function
---@param ... any its arguments
---@return any ... its results
function check.try(fn, ...)
  return tried(pcall(fn, ...))
end

--- The object that a method was called on.
---@param object any
---@param metatable table with __name
---@param name string the method
function check.object(object, metatable, name)
  if getmetatable(object) ~= metatable then
    error(("%s expected, got %s; call it with a colon, as in object:%s(...)"):format(
      metatable.__name, describe(object), name), PUBLIC_CALLER)
  end
end

--- A duration.
---@param value any
---@param position integer of the argument
---@param name string the function
function check.seconds(value, position, name)
  expect(is_seconds(value), value, "seconds, not negative,", position, name)
end

--- A duration that may be left out.
---@param value any
---@param position integer of the argument
---@param name string the function
function check.optional_seconds(value, position, name)
  expect(value == nil or is_seconds(value), value, "seconds, not negative,", position, name)
end

--- A count of things, one at least.
---@param value any
---@param position integer of the argument
---@param name string the function
function check.count(value, position, name)
  expect(math.type(value) == "integer" and value > 0, value, "an integer above 0", position, name)
end

--- A function.
---@param value any
---@param position integer of the argument
---@param name string the function it was given to
function check.callable(value, position, name)
  expect(type(value) == "function", value, "function", position, name)
end

--- A value of a type of Lua's.
---@param value any
---@param expected string "string", "table", …
---@param position integer of the argument
---@param name string the function
function check.type(value, expected, position, name)
  expect(type(value) == expected, value, expected, position, name)
end

local function index(value, key)
  return value[key]
end

--- A stream, or another userdata that reads and writes like one.
---@param value any
---@param position integer of the argument
---@param name string the function
function check.stream(value, position, name)
  local is_object, peek = pcall(index, value, "peek_some")
  expect(type(value) == "userdata" and is_object and peek, value, "stream", position, name)
end

--- A datagram socket.
---@param value any
---@param position integer of the argument
---@param name string the function
function check.datagram(value, position, name)
  local is_object, send = pcall(index, value, "send")
  expect(type(value) == "userdata" and is_object and send, value, "datagram socket", position, name)
end

local function sorted_names(set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ", ")
end

-- What is wrong with an option; nil: nothing.
local function problem_of(key, value, kind)
  if kind == "any" then
    return nil
  elseif kind == "integer" and math.type(value) == "integer" and value > 0 and value <= INTEGER_MOST then
    return nil
  elseif kind == "integer" then
    local expected = ("an integer from 1 to %d"):format(INTEGER_MOST)
    return ("option '%s': %s expected, got %s"):format(key, expected, describe(value))
  elseif kind == "seconds" and (value == false or is_seconds(value)) then
    return nil
  elseif kind == "seconds" then
    return ("option '%s': seconds, not negative, or false expected, got %s"):format(key, describe(value))
  elseif type(kind) == "table" and not kind[value] then
    return ("option '%s': one of %s expected, got %s"):format(key, sorted_names(kind), tostring(value))
  elseif type(kind) == "string" and type(value) ~= kind then
    return ("option '%s': %s expected, got %s"):format(key, kind, describe(value))
  end
end

--- A table of options, or nil.
---@param options any
--- For each option its type, where "integer" is one from 1 to 2^30 and "seconds" a duration or false, "any"
--- what the caller judges itself, or a table whose keys it may be.
---@param known table<string, string|table>
---@param position integer of the argument
---@param name string the function
function check.options(options, known, position, name)
  expect(options == nil or type(options) == "table", options, "table", position, name)
  for key in next, options or {} do
    if not known[key] then
      refuse(position, name, ("unknown option '%s' (known: %s)"):format(tostring(key), sorted_names(known)))
    end
  end
  for key, kind in next, options and known or {} do
    local value = options[key] -- an option may be inherited
    local problem = value ~= nil and problem_of(key, value, kind)
    if problem then
      refuse(position, name, problem)
    end
  end
end

--- Refuses an argument for a reason of the caller's.
---@param position integer of the argument
---@param name string the function
---@param problem string
function check.refuse(position, name, problem)
  refuse(position, name, problem)
end

return check
