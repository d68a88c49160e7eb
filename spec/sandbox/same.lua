-- Calls library functions with thousands of random arguments and tells what they gave: run in a sandboxed
-- state and
-- in an ordinary one, it tells the same. A random number generator of its own makes both runs alike.
local SEED <const> = 20261125
local CASES <const> = 12000

-- In an ordinary state these have stand-ins for callbacks that wait; behind them are the originals.
local function original(fn)
  return debug and select(2, debug.getupvalue(fn, 1)) or fn
end

local gsub, sort = original(string.gsub), original(table.sort)

local seed = SEED

local function random(n)
  seed = (seed * 1103515245 + 12345) % 2147483648
  return seed // 65536 % n + 1
end

local function choose(list)
  return list[random(#list)]
end

local function text(pieces, most)
  local chosen = {}
  for i = 1, random(most + 1) - 1 do
    chosen[i] = choose(pieces)
  end
  return table.concat(chosen)
end

local LETTERS <const> = { "a", "a", "b", "b", "c", "(", ")", " ", "x", ".", "\0", "]", "^", "-", "1",
  "%", "\200" }
local PIECES <const> = {
  "a", "b", "c", ".", "x", "%a", "%d", "%w", "%S", "%p", "%z", "%%", "[ab]", "[^a]", "[a-c]", "[]a]",
    "[^]]", "[a-]",
  "[%a-z]", "[%]]", "[^%s]", "(", ")", "(", ")", "()", "(a*)", "(.-)", "%1", "%2", "%0", "%b()", "%bab",
    "%baa", "%f[a]",
  "%f[^%w]", "%f[%z]", "%f", "%b", "^", "$", "-", "*", "+", "?", "-", "*", "+", "?", "%", "[", "[^",
    "\0", "\200",
}

local function show(value)
  local kind = type(value)
  return kind == "string" and ("%q"):format(value) or kind == "number" and ("%q"):format(value)
    or (kind == "table" or kind == "function") and kind or tostring(value)
end

-- The line in front of a message is that of this file.
local function call(f, ...)
  local results = table.pack(pcall(function(...)
    local given = table.pack(f(...))
    return table.unpack(given, 1, given.n)
  end, ...))
  local shown = {}
  for i = 1, results.n do
    shown[i] = show(results[i])
  end
  return (table.concat(shown, " "):gsub("[^%s\"]*:%d+: ", ""))
end

local function list_of(n)
  local list = {}
  for i = 1, n do
    list[i] = random(8) == 1 and text(LETTERS, 3) or random(100)
  end
  return list
end

local function show_list(list)
  local shown = {}
  for i = -1, 14 do
    shown[#shown + 1] = show(list[i])
  end
  return table.concat(shown, ",")
end

local function walk(...)
  local found = {}
  for a, b in string.gmatch(...) do
    found[#found + 1] = show(a) .. show(b)
    if #found == 20 then
      break
    end
  end
  return table.concat(found, ",")
end

local function upper(a, b)
  local kind = #tostring(a) % 4
  return kind == 0 and (tostring(a) .. tostring(b)) or kind == 1 and 7 or kind == 2 and false or nil
end

local REPLACEMENTS <const> = {
  "", "<%0>", "%1%2", "%%", "x", "%9", "%x", "%", 12, upper, upper, { a = "A", b = false, ab = 3, c = {} },
  setmetatable({}, { __index = function(_, key) return key .. "!" end }), true,
}

local FORMATS <const> = {
  "%s", "%5s", "%-8s|", "%.2s", "%q", "%d", "%5.2f", "%g", "%x", "%c", "%i", "%%", "%a", "%5", "%y",
    "%", "text", "%10.3s",
  "%u", "%o", "%#x", "%+d", "% d", "%05d", "%p", "%.20s", "%100d", "%E",
}
local VALUES <const> = {
  1, -7, 2.5, "abc", "a\0b\n\"", true, math.mininteger, math.huge, "12", false,
  setmetatable({}, { __tostring = function() return "object" end }),
  setmetatable({}, { __tostring = function() return 1 end }),
}
local PACKS <const> = { "b", "i4", "s1", "z", "c3", "c10", "d", ">", "x", "Xi4", "!4", "c", "j", "k", "s2" }
local INDICES <const> = { -2, -1, 0, 1, 2, 3, 4, 5, 6, 9, math.maxinteger, math.mininteger, "2", 1.5, "x" }

local function random_arguments(list, most)
  local chosen = {}
  for i = 1, random(most + 1) - 1 do
    chosen[i] = choose(list)
  end
  return table.unpack(chosen)
end

local function sorted(list, is_less)
  sort(list, is_less)
  return show_list(list)
end

-- Observes what metamethods are called for.
local function observed(list)
  return setmetatable({}, {
    __len = function() return #list end,
    __index = function(_, key) return list[key] end,
    __newindex = function(_, key, value) list[key] = value end,
  })
end

local function changed(fn, ...)
  local list = list_of(random(8) - 1)
  local given = call(fn, random(2) == 1 and list or observed(list), ...)
  return given .. show_list(list)
end

local KINDS <const> = {
  function(s, p) return call(string.find, s, p, random(4) == 1 and choose(INDICES) or nil,
    random(8) == 1) end,
  function(s, p) return call(string.find, s, p) end,
  function(s, p) return call(string.match, s, p, random(4) == 1 and choose(INDICES) or nil) end,
  function(s, p) return call(walk, s, p, random(4) == 1 and choose(INDICES) or nil) end,
  function(s, p) return call(gsub, s, p, choose(REPLACEMENTS), random(4) == 1 and choose(INDICES) or nil) end,
  function(s, p) return call(gsub, s, p, choose(REPLACEMENTS)) end,
  function(s) return call(string.rep, s, choose { 0, 1, 3, -1, "2", 2.5 }, choose { "", ",", nil }) end,
  function() return call(string.format, text(FORMATS, 4), random_arguments(VALUES, 4)) end,
  function() return call(string.pack, text(PACKS, 4), random_arguments(VALUES, 4)) end,
  function() return changed(table.concat, random_arguments({ ", ", "", 1, 2, 3, 5, 9 }, 3)) end,
  function() return changed(table.insert, random_arguments(INDICES, 3)) end,
  function() return changed(table.remove, random_arguments(INDICES, 1)) end,
  function() return changed(table.move, choose { -2, 0, 1, 2, "3", "x" }, random(4), choose { -3, 0, 1,
    2, 3, 5 }) end,
  function() return changed(table.move, random(3), choose { 1, 2, 3, 5 }, choose { 1, 2, 4,
    math.maxinteger }, list_of(3)) end,
  function()
    local list = {}
    for i = 1, random(60) do
      list[i] = random(100)
    end
    return call(sorted, list) .. table.concat(list, ",")
  end,
  function() return changed(sorted, function(a, b) return tostring(a) < tostring(b) end) end,
  function() return changed(sorted, choose { 1, true, "x" }) end,
  function() return call(os.date, choose { "!%Y-%m-%d", "!*t", "%", "%Ez", "!%H" }, random(100000)) end,
}

return function(conn)
  for case = 1, CASES do
    local kind = case % #KINDS + 1
    local subject, pattern = text(LETTERS, 12), text(PIECES, 6)
    conn:write(("%d %d %q %q "):format(case, kind, subject, pattern):gsub("\n", "n"),
    KINDS[kind](subject, pattern), "\n")
  end
end
