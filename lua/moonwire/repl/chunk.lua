--- Pieces of Lua that are typed: whether they are whole, what they are, and what
--- is told of their faults. Not for scripts.
local core = require "moonwire.core"

local chunk = {}

local LEVELS <const> = 16 -- lines of a traceback
local DEEP <const> = 200 -- levels that are looked at

local LIBRARY <const> = debug.getinfo(1, "S").source:match("^(@.*/)repl/") or "@"

-- "=value" is how older versions of Lua had it.
local function as_expression(text)
  return "return " .. text:gsub("^%s*=", "", 1)
end

local function lacks_an_end(message)
  return message ~= nil and message:find("<eof>$") ~= nil
end

--- Whether the piece may become whole with another line.
---@param text string
---@return boolean
function chunk.is_incomplete(text)
  text = text .. "\n" -- no further line can end a string that this one has not
  local expression, why = load(as_expression(text), "=input", "t")
  if expression then
    return false
  end
  local statement, problem = load(text, "=input", "t")
  return not statement and (lacks_an_end(problem) or lacks_an_end(why))
end

--- An expression becomes a function that returns its values.
---@param text string
---@param name string of the chunk, for messages
---@return function?
---@return string? message
function chunk.load(text, name)
  local expression = load(as_expression(text), name, "t")
  if expression then
    return expression
  end
  return load(text, name, "t")
end

-- The words of report.c.
local function place_of(level)
  local place = level.short_src
  if level.currentline > 0 then
    place = ("%s:%d"):format(place, level.currentline)
  end
  if level.what == "main" then
    return place .. ": in main chunk"
  elseif level.namewhat ~= "" then
    return ("%s: in %s '%s'"):format(place, level.namewhat, level.name)
  elseif level.what == "C" then
    return place .. ": in ?"
  end
  return ("%s: in function <%s:%d>"):format(place, level.short_src, level.linedefined)
end

-- From the user's innermost function to the outermost; our own library says nothing.
local function trace()
  local found, last = {}, 0
  for number = 3, DEEP do
    local level = debug.getinfo(number, "Sln")
    if not level or #found == LEVELS then
      break
    end
    if level.source:sub(1, #LIBRARY) ~= LIBRARY and (found[1] or level.what ~= "C") then
      found[#found + 1] = place_of(level)
      last = level.what ~= "C" and #found or last
    end
  end
  return table.move(found, 1, last, 1, {})
end

---@class moonwire.repl.failure
---@field value any what was raised
---@field trace string[] where, innermost first

--- The message handler of pieces.
---@param value any
---@return moonwire.repl.failure
function chunk.keep_failure(value)
  return { value = value, trace = trace() }
end

local function text_of(value)
  local _, message = core.is_fault(value)
  if message or type(value) == "string" then
    return message or value
  end
  local ok, text = pcall(tostring, value)
  local metatable = debug.getmetatable(value)
  if ok and type(metatable) == "table" and rawget(metatable, "__tostring") then
    return text
  end
  return ("(error object is a %s value)"):format(type(value))
end

--- A failure in words. The traceback is left out when it says no more than the message.
---@param failure moonwire.repl.failure
---@return string
function chunk.describe(failure)
  if type(failure) ~= "table" or not failure.trace then
    return text_of(failure) -- of the handler itself: memory or stack were out
  end
  local text = text_of(failure.value)
  if #failure.trace < 2 then
    return text
  end
  return text .. "\n\t" .. table.concat(failure.trace, "\n\t")
end

return chunk
