-- What breaks stacks, and errors of every kind in everything that is called back.
local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"

require "moonwire.test".deadline(120)

-- The handler does what the first line says.
local BOMBS <const> = [[
local log = require "moonwire.log"
local task = require "moonwire.task"
local function with(name, fn)
  return setmetatable({}, { [name] = fn })
end
local bombs = {
  gsub = function()
    local function again() return ("x"):gsub("x", again) end
    again()
  end,
  sort = function()
    local function again() table.sort({ 1, 2 }, again) end
    again()
  end,
  coroutines = function()
    local function again() return coroutine.wrap(again)() end
    again()
  end,
  pcall = function()
    local function again() return assert(pcall(again)) end
    again()
  end,
  xpcall = function()
    local function again() return assert(xpcall(again, function(message) return message end)) end
    again()
  end,
  handlers = function()
    local function again() return assert(xpcall(again, again)) end
    again()
  end,
  require = function()
    table.insert(package.searchers, 1, function(name)
      return name:find("^bomb") and function() return require(name .. "x") end or nil
    end)
    require "bomb"
  end,
  load = function() assert(load(("("):rep(10000) .. "1" .. (")"):rep(10000))) end,
  dofile = function()
    local function again() return load("return ...")(again()) end
    again()
  end,
  index = function() return with("__index", function(t, k) return t[k] end).x end,
  circle = function()
    local a, b = {}, {}
    setmetatable(a, { __index = b })
    setmetatable(b, { __index = a })
    return a.x
  end,
  tostring = function() return tostring(with("__tostring", function(t) return tostring(t) end)) end,
  format = function() return ("%s"):format(with("__tostring", function(t) return ("%s"):format(t) end)) end,
  eq = function()
    local same
    same = function(a, b) return a == b end
    return with("__eq", same) == with("__eq", same)
  end,
  concat = function() return with("__concat", function(a, b) return a .. b end) .. "x" end,
  call = function()
    local object = {}
    setmetatable(object, { __call = function(self) return 1 + self() end })
    object()
  end,
  close = function()
    local function again() local _ <close> = with("__close", again) error "closing" end
    again()
  end,
  field = function() log.info("field", { f = with("__tostring", function(t) return tostring(t) end) }) end,
  captures = function() return ("a"):rep(10):find(("("):rep(1000)) end,
  size = function() return ("x"):rep(1 << 40) end,
  message = function() error(("m"):rep(1 << 24)) end,
  scopes = function()
    local function again() return task.with_timeout(1, again) end
    error(select(2, again()), 0)
  end,
}
return function(conn)
  for line in conn:lines() do
    if bombs[line] then
      bombs[line]()
    end
    conn:write(line, "\n")
  end
end]]

local NAMES <const> = {
  "gsub", "sort", "coroutines", "pcall", "xpcall", "handlers", "require", "load", "dofile", "index", "circle",
  "tostring", "format", "eq", "concat", "call", "close", "field", "captures", "size", "message", "scopes",
}

local function is_served(conn)
  assert(conn:write("still here\n"))
  assert.are.equal("still here", conn:read_line())
end

describe("a bomb in a handler", function()
  for _, name in ipairs(NAMES) do
    it("ends its own connection, and the log says why: " .. name, function()
      local server <close> = moonwire.serve(BOMBS)
      local neighbour <close> = assert(net.connect(server.address, { read_timeout = 60 }))
      is_served(neighbour)
      for round = 1, 2 do
        local conn <close> = assert(net.connect(server.address, { read_timeout = 60 }))
        assert(conn:write(name, "\n"))
        assert.are.equal("", (conn:read_all()))
        condition.wait_until(function()
          return select(2, server:log():gsub(" error ", "")) >= round
        end, 10, function() return "no error is logged: " .. server:log() end)
        is_served(neighbour)
      end
      assert.is_true(#server:log() < 40000, #server:log())
    end)
  end
end)

-- Raises a value of the kind in the place that the line names.
local PLACES <const> = [[
local net = require "moonwire.net"
local signal = require "moonwire.signal"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local timer = require "moonwire.timer"
local values = {
  table = {}, userdata = io.stdout, ["function"] = print, thread = coroutine.create(print),
  number = 4.5, boolean = false, text = "on purpose",
}
local function always(value)
  return function() error(value) end
end
local places = {
  connect = function(_, value) error(value) end,
  timer_after = function(_, value) timer.after(0, always(value)) task.sleep(0.02) end,
  timer_every = function(_, value) timer.every(0.001, always(value)) task.sleep(0.02) end,
  spawn = function(_, value) task.spawn(always(value)):join() end,
  group = function(_, value)
    local group <close> = task.group()
    group:spawn(always(value))
    group:wait()
  end,
  with_timeout = function(_, value) task.with_timeout(1, always(value)) end,
  close = function(_, value)
    local _ <close> = setmetatable({}, { __close = always(value) })
  end,
  close_dying = function(_, value)
    local _ <close> = setmetatable({}, { __close = always(value) })
    error "first"
  end,
  gc = function(_, value)
    setmetatable({}, { __gc = always(value) })
    collectgarbage()
    error "collected"
  end,
  iterator = function(_, value)
    for _ in always(value) do end
  end,
  handler = function(_, value) assert(xpcall(error, always(value), "first")) end,
  coroutine = function(_, value) coroutine.wrap(always(value))() end,
  signal = function(_, value)
    signal.on("usr1", always(value))
    os.execute("kill -USR1 " .. io.open("/proc/self/stat"):read("n"))
    task.sleep(0.05)
  end,
  serve = function(_, value)
    local listener <close> = net.serve("tcp://127.0.0.1:0", always(value))
    local conn <close> = net.connect("tcp://" .. listener:local_address())
    conn:read_all()
  end,
  select = function(_, value)
    local failing = task.spawn(always(value))
    sync.select { failing }
  end,
  tostring = function(_, value)
    error(setmetatable({}, { __tostring = always(value) }))
  end,
}
return {
  start = function(ctx)
    if ctx.config.start then error(values[ctx.config.start]) end
  end,
  connect = function(conn)
    for line in conn:lines() do
      local place, kind = line:match("^(%S+) (%S+)$")
      if places[place] then
        places[place](conn, values[kind])
      end
      conn:write(line, "\n")
    end
  end,
  stop = function(ctx)
    error(values[ctx.config.stop])
  end,
}]]

local KINDS <const> = { "nil", "table", "userdata", "function", "thread", "number", "boolean", "text" }

local WHERE <const> = {
  "connect", "timer_after", "timer_every", "spawn", "group", "with_timeout", "close", "close_dying", "gc",
  "iterator", "handler", "coroutine", "signal", "serve", "select", "tostring",
}

describe("an error of any kind", function()
  for _, place in ipairs(WHERE) do
    it("is logged and hurts nobody else: " .. place, function()
      local server <close> = moonwire.serve(PLACES)
      local neighbour <close> = assert(net.connect(server.address, { read_timeout = 30 }))
      is_served(neighbour)
      for _, kind in ipairs(KINDS) do
        local before = select(2, server:log():gsub(" error ", ""))
        local conn <close> = assert(net.connect(server.address, { read_timeout = 30 }))
        assert(conn:write(place, " ", kind, "\n"))
        assert(conn:shutdown_write())
        assert(conn:read_all())
        condition.wait_until(function()
          return select(2, server:log():gsub(" error ", "")) > before
        end, 10, function() return kind .. " is not logged: " .. server:log() end)
        is_served(neighbour)
      end
    end)
  end

  it("in start ends the process with status 1, in stop it is logged", function()
    for _, kind in ipairs(KINDS) do
      local status, log = moonwire.run {
        code = PLACES, listen = { "tcp://127.0.0.1:0" }, options = { "--set", "start=" .. kind },
      }
      assert.are.equal(1, status, kind)
      assert.is_truthy(log:find(" error ", 1, true), log)
      local server <close> = moonwire.serve { code = PLACES, options = { "--set", "stop=" .. kind } }
      server:stop()
      assert.is_truthy(server:log():find(" error ", 1, true), kind .. server:log())
    end
  end)
end)
