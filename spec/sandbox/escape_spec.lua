-- Ways out of sandboxes that are known from other programs, each with what comes of it, beside a neighbour
-- that
-- is served before and behind.
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"

-- A connection that says "neighbour" is echoed; another sends code, and gets what it returned or raised.
local SERVICE <const> = [[
local function answer(ok, ...)
  local words = table.pack(...)
  for i = 1, words.n do
    words[i] = tostring(words[i])
  end
  return (ok and "" or "raised ") .. table.concat(words, " ", 1, words.n)
end

return function(conn)
  if conn:read_line() == "neighbour" then
    for line in conn:lines() do
      conn:write(line, "\n")
    end
    return
  end
  conn:write(answer(pcall(assert(load(conn:read_all(), "=attempt")), conn)))
end]]

local OPTIONS <const> = { "--sandbox", "--cpu-limit", "0.5", "--memory-limit", "64M" }

local function expect_echo(neighbour, text)
  assert(neighbour:write(text, "\n"))
  assert.are.equal(text, neighbour:read_line())
end

-- What comes of the code; its log second.
local function attempt(code, script)
  local server <close> = moonwire.serve { code = not script and SERVICE or nil, script = script,
    options = OPTIONS }
  local neighbour <close> = assert(net.connect(server.address))
  assert(neighbour:write("neighbour\n"))
  expect_echo(neighbour, "before")
  local conn <close> = assert(net.connect(server.address))
  assert(conn:write("attempt\n", code))
  assert(conn:shutdown_write())
  local answer = conn:read_all()
  expect_echo(neighbour, "behind")
  return answer or "", server:log()
end

-- [code] = what it gives, as a pattern
local ATTEMPTS <const> = {
  ["bytecode"] = { [[return load("\27Lua\x54\0\x19\x93\r\n\x1a\n", "x", "b")]], "^nil attempt to load a " ..
    "%a+ chunk" },
  ["string.dump"] = { "return string.dump, ('').dump", "^nil nil$" },
  ["bytecode from a reader"] = {
    [[local given; return load(function() if not given then given = true; return "\27Lua" end end)]],
    "^nil attempt to load",
  },
  ["load with another environment"] = {
    "local env = {}; load('x = 1; y = io', 'n', 't', env)(); return env.x, env.y, load('return _G')() " ..
    "== _G", "^1 nil true$",
  },
  ["load of what has no environment"] = { "return pcall(load('return io.open', 'n', 't', nil))",
    "^false .*attempt to index a nil value" },
  ["the metatable of strings"] = {
    "return getmetatable(''), pcall(setmetatable, '', {}), pcall(function() ('').x = 1 end)", "^false " ..
    "false false",
  },
  ["the string table by a string"] = { "(''). rep = nil", "attempt to index a string value" },
  ["rawset on a library"] = { "rawset(string, 'rep', print)", "^raised .*can only be read" },
  ["assignment to a library"] = { "table.insert = print", "^raised attempt:1: 'insert' cannot be set" },
  ["table functions that write to a library"] = {
    "return (pcall(table.insert, table, 1)), (pcall(table.move, { 1 }, 1, 1, 1, string)), " ..
    "(pcall(table.sort, math))",
    "^false false ",
  },
  ["a metatable for a library"] = { "return setmetatable(string, {})", "^raised .*protected metatable" },
  ["the metatable of a library"] = { "return getmetatable(string), getmetatable(_G), " ..
    "getmetatable(_ENV)", "^false false false$" },
  ["next through a library"] = {
    "local n = 0; for name, f in next, string do n = n + 1 end; return n > 10, string.dump, " ..
    "rawget(string, 'dump')",
    "^true nil nil$",
  },
  ["debug by its name"] = {
    "return debug, package.loaded.debug, rawget(_G, 'debug'), (pcall(require, 'debug'))", "^nil nil nil " ..
    "false$",
  },
  ["io, os and package"] = {
    "return io, os.execute, os.exit, os.remove, os.rename, os.tmpname, os.getenv, os.setlocale, " ..
    "package.loadlib, "
      .. "package.cpath, package.searchers, package.preload, dofile, loadfile",
    "^nil" .. (" nil"):rep(13) .. "$",
  },
  ["modules that reach further"] = {
    "local r = {}; for _, n in ipairs { 'moonwire.core', 'moonwire.run', 'moonwire.signal', " ..
    "'moonwire.sandbox', 'io', "
      .. "'moonwire.test', '../x', '/etc/passwd', 'lfs', 'socket', '.', 'a..b', 'x\\0y', 'debug' } do "
      .. "r[#r + 1] = tostring((pcall(require, n))) end return table.concat(r, ' ')",
    "^false" .. (" false"):rep(13) .. "$",
  },
  ["__gc"] = { "setmetatable({}, { __gc = print })", "^raised .*no __gc in a sandbox" },
  ["__gc that is set later"] = {
    "local ran = false; local mt = {}; do local x = setmetatable({}, mt); mt.__gc = function() ran = " ..
    "true end end; "
      .. "local k = ('x'):rep(1000); for i = 1, 60 do local s = k:rep(1000) .. i end; "
      .. "return ran, (pcall(setmetatable, {}, mt))",
    "^false false$",
  },
  ["__index chains"] = {
    "local q = require 'moonwire.sync'.queue(1); return getmetatable(q), (pcall(function() " ..
    "q.__index.push = 1 end)), "
      .. "(pcall(function() q.__index.__gc = print end)), getmetatable(conn)",
    "^false false false",
  },
  ["an endless __index chain"] = {
    "local a, b = {}, {}; setmetatable(a, { __index = b }); setmetatable(b, { __index = a }); return " ..
    "a.x", "loop",
  },
  ["functions of our modules"] = {
    "local task = require 'moonwire.task'; task.spawn = print", "'spawn' cannot be set",
  },
  ["the log level of the process"] = { "return require 'moonwire.log'.set_level", "^nil$" },
  ["Unix sockets"] = { "return require 'moonwire.net'.connect('unix:///run/x')", "^raised .*no Unix " ..
    "sockets" },
  ["descriptors"] = { "return require 'moonwire.net'.listen('fd://0')", "^raised .*no descriptors" },
  ["files into the connection"] = { "local conn = ...; return conn:send_file('/etc/passwd')", "^raised " ..
    ".*no files" },
  ["patterns that backtrack"] = {
    "local s = ('a'):rep(30); return (pcall(s.find, s, ('a?'):rep(30) .. s)), (pcall(s.find, s:rep(99), " ..
    "'.-.-.-.-b'))",
    "^false false$",
  },
  ["deep patterns"] = { "return pcall(string.find, ('a'):rep(3000), ('a?'):rep(3000))", "^false pattern " ..
    "too complex$" },
  ["deep brackets"] = { "return (('('):rep(1e6)):find('%b()')", "^raised attempt:1: matching this " ..
    "pattern takes too many" },
  ["string.rep"] = { "return ('x'):rep(1e10)", "^raised attempt:1: the result has more than 16777216 bytes" },
  ["string.rep upon string.rep"] = { "return ((('x'):rep(1e6)):rep(1e6))", "^raised attempt:1: the " ..
    "result has more" },
  ["string.format"] = {
    "local s = ('x'):rep(9e6); local o = setmetatable({}, { __tostring = function() return s end }); "
      .. "return pcall(string.format, '%s%s', o, o), (pcall(string.format, ('%s'):rep(9), s, s, s))",
      "^false ",
  },
  ["string.pack"] = { "return string.pack('c2000000000', '')", "^raised attempt:1: the result has more" },
  ["gsub that grows"] = { "return (('x'):rep(1e5)):gsub('x', ('y'):rep(1000))", "^raised attempt:1: the " ..
    "result has more" },
  ["table.concat"] = {
    "local t, s = {}, ('x'):rep(1e6); for i = 1, 100 do t[i] = s end; return table.concat(t)",
    "^raised attempt:1: the result has more",
  },
  ["lengths that lie"] = {
    "local t = setmetatable({}, { __len = function() return 1 << 60 end }); local r = {}; for i, f in " ..
    "ipairs { "
      .. "function() table.insert(t, 1, 1) end, function() table.remove(t, 1) end, function() " ..
      "table.sort(t) end, "
      .. "function() return table.concat(t) end, function() table.move({}, 1, 1 << 60, 2) end, "
      .. "function() return table.unpack(t) end } do r[i] = tostring((pcall(f))) end return " ..
      "table.concat(r, ' ')",
    "^false false false false false false$",
  },
  ["collectgarbage"] = { "return collectgarbage 'count' > 0, (pcall(collectgarbage, 'stop')), " ..
    "(pcall(collectgarbage))", "^true false false$" },
  ["coroutine.wrap around waits"] = {
    "local wait = coroutine.wrap(function() require 'moonwire.task'.sleep(0.01); return 'waited' end); " ..
    "return wait()", "^waited$",
  },
  ["the threads of other tasks"] = {
    "local task = require 'moonwire.task'; local thread; local t = task.spawn(function() thread = " ..
    "coroutine.running(); "
      .. "task.sleep(0.05); return 'slept' end); task.sleep(0.01); pcall(coroutine.resume, thread); " ..
      "pcall(coroutine.close, thread); "
      .. "return t:join()",
    "^slept$",
  },
  ["the environment by a chunk"] = { "return _ENV == _G, _G._G == _G, package.loaded._G == _G", "^true " ..
    "true true$" },
  ["what has been there before 5.4"] = { "return setfenv, getfenv, loadstring, module, newproxy, " ..
    "unpack, warn", "^nil nil nil nil nil nil nil$" },
}

describe("a sandbox", function()
  for name, case in pairs(ATTEMPTS) do
    it("withstands " .. name, function()
      assert.matches(case[2], (attempt("local conn = ...; " .. case[1])))
    end)
  end

  it("ends error objects with a hostile __tostring with their task", function()
    for _, body in ipairs { "error('again')", "return 1", "error(self)", "while true do end", "return " ..
    "('x'):rep(1e10)" } do
      local code = ("local e = setmetatable({}, {__tostring = function(self) %s end}); "):format(body)
      local answer = attempt(code .. "require 'moonwire.task'.spawn(error, e):join(); error(e)")
      assert.is_nil(answer:find("/etc", 1, true))
    end
  end)

  -- Where C calls a script's function nothing can interrupt it, only an error be raised there.
  local STUCK <const> = "tostring(setmetatable({}, { __tostring = function() while true do end end }))"

  for name, code in pairs {
    plain = "while true do pcall(function() while true do end end) end",
    stuck = "while true do pcall(function() " .. STUCK .. " end) end",
    ["in a message handler"] = "return xpcall(function() error 'x' end, function() while true do end end)",
    ["in the message handler of the guard's error"] =
      "return xpcall(function() " .. STUCK .. " end, function() while true do end end)",
    ["in what closes after the guard's error"] =
      "local _ <close> = setmetatable({}, { __close = function() while true do end end }) " .. STUCK,
  } do
    it("lets a task that loops for ever go: " .. name, function()
      local answer, log = attempt(code)
      assert.matches("used the processor for", answer .. log)
    end)
  end

  it("finds modules below the folder of the script, and no others", function()
    local place <close> = folder.new()
    local outside <close> = folder.new()
    place:write("part/one.lua", "return { name = ..., two = require 'part.two' }")
    place:write("part/two/init.lua", "return 'two'")
    place:write("bad.lua", "leak = 1")
    place:write("loop.lua", "return require 'loop'")
    outside:write("secret.lua", "return 'secret'")
    local lfs = require "lfs"
    assert(lfs.link(outside.path .. "/secret.lua", place.path .. "/linked.lua", true))
    assert(lfs.link(outside.path, place.path .. "/away", true))
    local script = place:write("service.lua", SERVICE)
    local function result(code)
      return (attempt("local conn = ...; " .. code, script))
    end
    assert.are.equal("part.one two true", result
      "local one = require 'part.one'; return one.name, one.two, require 'part.one' == one")
    assert.matches("^raised linked.lua: reached through a symbolic link", result "return require 'linked'")
    assert.matches("^raised", result "return require 'away.secret'")
    assert.matches("undeclared global 'leak'", result "return require 'bad'")
    assert.matches("requires itself", result "return require 'loop'")
    assert.matches("^raised.*not below the folder", result "return require 'absent'")
  end)
end)

describe("callbacks of gsub and sort", function()
  local task = require "moonwire.task"

  it("may wait", function()
    local text = ("abc"):gsub("%w", function(letter)
      task.sleep(0)
      return letter:upper()
    end)
    assert.are.equal("ABC", text)
    for _, count in ipairs { 2, 16, 17, 100 } do
      local list = {}
      for i = 1, count do
        list[i] = i * 7919 % 101
      end
      table.sort(list, function(a, b)
        task.yield()
        return a < b
      end)
      for i = 2, count do
        assert.is_true(list[i - 1] <= list[i])
      end
    end
  end)

  it("leave all elements in the list when a comparison fails or makes no sense", function()
    for _, is_less in ipairs { function() error "no" end, function() return true end,
    function() return false end } do
      for _, count in ipairs { 10, 50 } do
        local list, sum = {}, 0
        for i = 1, count do
          list[i] = i
        end
        pcall(table.sort, list, is_less)
        for i = 1, count do
          sum = sum + list[i]
        end
        assert.are.equal(count * (count + 1) // 2, sum)
      end
    end
  end)
end)
