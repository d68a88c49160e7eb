--- Holds arguments of the public methods of halls, members and rooms to what each may be. Not for scripts.
local check = require "moonwire.check"
local name = require "moonwire.chat.name"

local guard = {}

local LINE_MOST <const> = 2000 -- bytes of last words and the like

local function is_object(kind)
  return function(value)
    local metatable = getmetatable(value)
    return type(metatable) == "table" and rawget(metatable, "__name") == kind
  end
end

local function is_reader(value)
  return type(value) == "table" and type(value.deliver) == "function" and type(value.drop) == "function"
end

-- What stands in nick!user@host.
local function is_word(value)
  return value == nil or type(value) == "string" and #value <= LINE_MOST and value:find "^[^%c !@]+$" ~= nil
    and utf8.len(value) ~= nil
end

local function is_line(value)
  return value == "" or name.is_text(value, LINE_MOST)
end

local function is_about(value)
  return type(value) == "table" and is_word(value.user) and is_word(value.host)
    and (value.real == nil or is_line(value.real))
end

local function is_keeper(value)
  return type(value) == "table" and type(value.add) == "function" and type(value.recent) == "function"
    and type(value.forget) == "function"
end

local function is_count(value)
  return math.type(value) == "integer" and value >= 0
end

local function is_of(kind)
  return function(value) return type(value) == kind end
end

-- What a kind is called, and whether a value is of it.
local KINDS <const> = {
  about = { "a table of user and host, which are words, and real, a text in one line,", is_about },
  any = { "a value", function() return true end },
  boolean = { "boolean", is_of "boolean" },
  cost = { "a finite number", function(value) return type(value) == "number" and value - value == 0 end },
  count = { "an integer, not negative,", is_count },
  hall = { "moonwire.hall", is_object "moonwire.hall" },
  keeper = { "a table of the functions add, recent and forget", is_keeper },
  kind = { "'message' or 'notice'", function(value) return value == "message" or value == "notice" end },
  line = { "a text in one line", is_line },
  member = { "moonwire.member", is_object "moonwire.member" },
  reader = { "a table of the functions deliver and drop", is_reader },
  room = { "moonwire.room", is_object "moonwire.room" },
  seconds = { "seconds, not negative,", function(value) return type(value) == "number" and value >= 0 end },
  string = { "string", is_of "string" },
  table = { "table", is_of "table" },
}

local function describe(value)
  return type(value) == "number" and tostring(value) or type(value)
end

-- What is wrong with a value; nil: nothing.
local function problem_of(kind, value)
  local is_optional = kind:find "%?$" ~= nil
  local known = KINDS[kind:gsub("%?$", "")]
  if not (is_optional and value == nil or known[2](value)) then
    return ("%s expected, got %s"):format(known[1], describe(value))
  end
end

-- The first bad one of up to four arguments, and what is wrong with it.
local function first_problem(kinds, ...)
  for position, kind in ipairs(kinds) do
    local problem = problem_of(kind, (select(position, ...)))
    if problem then
      return position, problem
    end
  end
end

local function guarded(class, method_name, method, kinds)
  return function(self, a, b, c, d)
    check.object(self, class, method_name)
    local position, problem = first_problem(kinds, a, b, c, d)
    if position then
      check.refuse(position, method_name, problem --[[@as string]])
    end
    return method(self, a, b, c, d)
  end
end

--- Replaces the methods of a class by ones that raise for a wrong object or argument, and blame the caller.
--- Four arguments at most; "?" behind a kind: it may be left out.
---@generic T: table
---@param class T with __name; all its public methods must be named
---@param kinds table<string, string[]> the kinds of the arguments of each method
---@return T class
function guard.methods(class, kinds)
  for method_name, of_method in pairs(kinds) do
    class[method_name] = guarded(class, method_name, class[method_name], of_method)
  end
  return class
end

--- What is wrong with an argument of a function; nil: nothing.
---@param kind string
---@param value any
---@return string? problem
guard.problem = problem_of

return guard
