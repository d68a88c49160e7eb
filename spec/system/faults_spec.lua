local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local vitals = require "spec.system.vitals"

-- The handler does what the first line says.
local SCRIPT <const> = [[
local task = require "moonwire.task"
local acts = {
  string = function() error "on purpose" end,
  no_value = function() error() end,
  table = function() error {} end,
  userdata = function() error(io.stdout) end,
  object = function() error(setmetatable({}, { __tostring = function() return "an object of mine" end })) end,
  silly = function() error(setmetatable({}, { __tostring = function() error "again" end })) end,
  arithmetic = function(conn) return conn.missing + 1 end,
  misuse = function(conn) conn:read("much") end,
  option = function(conn) conn:configure { colour = "red" } end,
  global = function() undeclared = 1 end,
  yield = function() coroutine.yield() end,
  child = function() task.spawn(function() error "in a child" end):join() end,
  coroutine = function() coroutine.wrap(function() error "in a coroutine" end)() end,
  close = function()
    local _ <close> = setmetatable({}, { __close = function() error "while closing" end })
    error "before closing"
  end,
  endless = function(conn)
    local function descend(depth)
      return 1 + descend(depth + 1)
    end
    descend(1)
  end,
}
return {
  start = dofile "spec/fixtures/status.lua",
  connect = function(conn)
    for line in conn:lines() do
      if acts[line] then
        acts[line](conn)
      end
      conn:write(line, "\n")
    end
  end,
}]]

-- What the entry says, where its traceback begins, and how many entries there are if not one.
local CASES <const> = {
  string = { "error script.lua:3: on purpose", "script.lua:3: in " },
  no_value = { "error (error object is a nil value)", "script.lua:4: in " },
  table = { "error (error object is a table value)", "script.lua:5: in " },
  userdata = { "error file (0x", "script.lua:6: in " },
  object = { "error an object of mine", "script.lua:7: in " },
  silly = { "error (error object is a table value)", "script.lua:8: in " },
  arithmetic = { "error script.lua:9: attempt to perform arithmetic on a nil value", "script.lua:9: in " },
  misuse = { "error script.lua:10: bad argument #1 to 'read' (number expected", "script.lua:10: in " },
  option = { "error script.lua:11: bad argument #1 to 'configure' (unknown option", "script.lua:11: in " },
  global = { "error script.lua:12: assignment to the undeclared global 'undeclared'", "script.lua:12: in " },
  yield = { "error coroutine.yield outside a coroutine of the script's own", "script.lua:13: in " },
  child = { "error script.lua:14: in a child", "script.lua:14: in " },
  coroutine = { "error script.lua:15: script.lua:15: in a coroutine", "script.lua:15: in " },
  close = { "error script.lua:18: before closing", "script.lua:18: in ", 2 },
  endless = { "error script.lua:22: stack overflow", "script.lua:22: in " },
}

-- The log from the entry on that says so; of the script only the name.
local function entry_of(server, text)
  local log = server:log():gsub("[^%s]+/script%.lua", "script.lua")
  local place = log:find(text, 1, true)
  return place and log:sub(place)
end

describe("a handler that fails", function()
  for name, case in pairs(CASES) do
    it("closes its own connection and is told of once, with its place: " .. name, function()
      local server <close> = moonwire.serve(SCRIPT)
      local neighbour <close> = assert(net.connect(server.address))
      assert(neighbour:write("hello\n"))
      assert.are.equal("hello", neighbour:read_line())
      local baseline = vitals.status(server)
      local conn <close> = assert(net.connect(server.address))
      local address = conn:local_address()
      assert(conn:write(name, "\n"))
      assert(conn:shutdown_write())
      local answer = assert(conn:read_all())
      assert.are.equal(name == "child" and "child\n" or "", answer)
      vitals.await_baseline(server, baseline)
      local entry = entry_of(server, case[1])
      assert.is_truthy(entry, server:log())
      local _, _, origin, traceback = entry:find("connection=(%S+) task=%d+\n\t([^\n]+)")
      assert.are.equal(address, origin)
      assert.are.equal(case[2], traceback:sub(1, #case[2]))
      assert.are.equal(case[3] or 1, select(2, server:log():gsub(" error ", "")), server:log())
      assert(neighbour:write("still here\n"))
      assert.are.equal("still here", neighbour:read_line())
    end)
  end
end)

describe("handlers that fail together", function()
  it("are told of with a traceback each, also when they die slowly", function()
    local server <close> = moonwire.serve [[
      local task = require "moonwire.task"
      local function fail_inside(n)
        local group <close> = task.group()
        group:spawn(task.sleep, 60)
        error { n }
      end
      return function(conn)
        local n = conn:read_line()
        task.with_timeout(5, fail_inside, n)
      end]]
    local conns = {}
    for i = 1, 20 do
      conns[i] = assert(net.connect(server.address))
    end
    for i, conn in ipairs(conns) do
      assert(conn:write(i, "\n"))
    end
    for _, conn in ipairs(conns) do
      assert.are.equal("", conn:read_all())
      conn:close()
    end
    local entry = "error object is a table value[^\n]+\n\t[^\n]+script%.lua:5: in "
    assert.are.equal(20, select(2, server:log():gsub(entry, "")), server:log())
  end)
end)

describe("a handler that forgets its connection", function()
  it("keeps it open until it returns, and is named by it in the log", function()
    local server <close> = moonwire.serve [[
      local log = require "moonwire.log"
      return function(conn)
        conn:write("welcome\n")
        conn = nil
        collectgarbage()
        collectgarbage()
        log.info("forgotten")
        require "moonwire.task".sleep(0.1)
        error "and failed"
      end]]
    local conn <close> = assert(net.connect(server.address))
    assert.are.equal("welcome", conn:read_line())
    local origin = "connection=" .. conn:local_address()
    assert.is_truthy(server:wait_for_log("forgotten"):find(origin, 1, true))
    assert.are.equal("timeout", select(3, conn:configure({ read_timeout = 0.01 }):read(1)))
    assert.is_truthy(server:wait_for_log("and failed"):find(origin, 1, true))
    assert.is_nil(server:log():find("left open", 1, true))
    assert.are.equal("eof", select(3, conn:configure({ read_timeout = 5 }):read(1)))
  end)

  it("may fail while its children still work at their end", function()
    local server <close> = moonwire.serve [[
      local log, task = require "moonwire.log", require "moonwire.task"
      local function collect()
        local ending <close> = setmetatable({}, { __close = function()
          collectgarbage()
          collectgarbage()
          log.info("the child ends")
        end })
        task.sleep(60)
      end
      return function()
        task.spawn(collect)
        task.yield()
        error "on purpose"
      end]]
    local conn <close> = assert(net.connect(server.address))
    assert.are.equal("", conn:read_all())
    assert.matches(" info  the child ends service=script task=%d+$", server:wait_for_log("the child ends"))
    assert.is_nil(server:log():find("left open", 1, true), server:log())
  end)

  it("is not taken for one that leaves things open, when it waits for its children at its end", function()
    local server <close> = moonwire.serve [[
      local net, task = require "moonwire.net", require "moonwire.task"
      local function collect()
        local ending <close> = setmetatable({}, { __close = function()
          collectgarbage()
          collectgarbage()
        end })
        task.sleep(60)
      end
      return function(conn)
        local left = { net.listen("tcp://127.0.0.1:0"), net.datagram("udp://127.0.0.1:0"), net.pair() }
        task.spawn(collect)
        task.yield()
        conn:write(#left)
      end]]
    local conn <close> = assert(net.connect(server.address))
    assert.are.equal("4", conn:read_all())
    assert.is_nil(server:log():find("left open", 1, true), server:log())
  end)
end)

describe("a service that fails", function()
  local function run(place, script)
    local path = place.path .. "/" .. script
    return process.run { moonwire.binary, "run", path, "--listen", "tcp://127.0.0.1:0" }
  end

  local function assert_refused(place, script, ...)
    local status, output, errors = run(place, script)
    assert.are.same({ 1, "" }, { status, output })
    for _, text in ipairs { ... } do
      assert.is_truthy(errors:find(text, 1, true), errors)
    end
    assert.is_nil(errors:find(" listening ", 1, true))
  end

  it("in its start function does not start: status 1, and the place", function()
    local place <close> = folder.new()
    local path = place:write("starts.lua", [[
      return {
        start = function()
          error "no start today"
        end,
        connect = function() end,
      }]])
    assert_refused(place, "starts.lua", path .. ":3: no start today", "\n\t" .. path .. ":3: in ")
  end)

  it("to compile says where: status 1, file and line", function()
    local place <close> = folder.new()
    local path = place:write("broken.lua", "local a = 1\nlocal b = = 2\n")
    assert_refused(place, "broken.lua", path .. ":2: unexpected symbol near '='")
  end)

  it("to compile a module says where in the module", function()
    local place <close> = folder.new()
    local path = place:write("lib/broken.lua", "return {\n  a = 1\n")
    place:write("script.lua", 'local broken = require "lib.broken"\nreturn broken.handler\n')
    assert_refused(place, "script.lua", path .. ":3: '}' expected", "script.lua:1: in ")
  end)

  it("to find a module says its name and who wants it", function()
    local place <close> = folder.new()
    local path = place:write("script.lua", 'local lost = require "lost.module"\nreturn lost.handler\n')
    assert_refused(place, "script.lua", path .. ":1: module 'lost.module' not found",
      "no file '" .. place.path .. "/lost/module.lua'")
  end)

  it("in its stop function ends all the same, with status 1", function()
    local server <close> = moonwire.serve [[
      return { connect = function() end, stop = function() error "no stop today" end }]]
    server.process:signal "TERM"
    assert.are.equal(1, server.process:wait())
    assert.matches("script%.lua:1: no stop today", server:log())
  end)
end)

describe("a script", function()
  it("may require a C module that sets a global of its name", function()
    local status, _, errors = process.run {
      moonwire.binary, "run", "-e", 'local lfs = require "lfs"; print(lfs.currentdir() ~= nil)',
    }
    assert.are.same({ 0, "true\n" }, { status, errors })
  end)
end)
