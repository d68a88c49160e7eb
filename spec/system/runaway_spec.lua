-- Scripts that do not return: the others run on, and what does not end is ended.
local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local vitals = require "spec.system.vitals"

-- The handler does what the first line says.
local SCRIPT <const> = [[
local acts = {
  plain = function() while true do end end,
  protected = function() while true do pcall(function() while true do end end) end end,
  metamethod = function()
    local object = setmetatable({}, { __index = function() while true do end end })
    return object.field .. ""
  end,
  iterator = function() for _ in function() return 1 end do end end,
  wrapped = function() coroutine.wrap(function() while true do end end)() end,
  resumed = function()
    while true do
      local inner = coroutine.create(function() coroutine.wrap(function() while true do end end)() end)
      coroutine.resume(inner)
    end
  end,
  closing = function()
    local _ <close> = setmetatable({}, { __close = function() while true do end end })
  end,
  comparator = function()
    while true do
      pcall(table.sort, { 3, 2, 1 }, function() while true do pcall(function() while true do end end) end end)
    end
  end,
  callback = function()
    while true do
      pcall(string.gsub, "x", "x", function() while true do end end)
    end
  end,
  converter = function()
    while true do
      pcall(tostring, setmetatable({}, { __tostring = function() while true do end end }))
    end
  end,
  dead = function()
    local _ <close> = setmetatable({}, { __close = function()
      while true do pcall(function() while true do end end) end
    end })
    error "on purpose"
  end,
  twice = function()
    local _ <close> = setmetatable({}, { __close = function() while true do end end })
    while true do end
  end,
}
return {
  start = dofile "spec/fixtures/status.lua",
  connect = function(conn)
    for line in conn:lines() do
      if acts[line] then
        conn:write("begins\n")
        conn:flush()
        acts[line](conn)
      end
      conn:write(line, "\n")
    end
  end,
}]]

-- What the log says of its end.
local LIMIT <const> = "error used the processor for [%d.]+ s without waiting; the limit is 0.1 s"
local ENDS <const> = {
  plain = LIMIT, protected = LIMIT, metamethod = LIMIT, iterator = LIMIT, wrapped = LIMIT, resumed = LIMIT,
  closing = LIMIT, comparator = LIMIT, callback = LIMIT, converter = LIMIT, twice = LIMIT,
  dead = "error .-on purpose",
}

local function serve(limit)
  return moonwire.serve { code = SCRIPT, options = { "--cpu-limit", limit } }
end

-- A connection whose handler has begun to do it.
local function start(server, act)
  local conn = assert(net.connect(server.address))
  assert(conn:write(act, "\n"))
  assert.are.equal("begins", conn:read_line())
  return conn
end

local function say(conn, count)
  for i = 1, count do
    assert(conn:write(i, "\n"))
    assert.are.equal(tostring(i), conn:read_line())
  end
end

describe("a handler that does not return", function()
  for act in pairs(ENDS) do
    local ends_soon = act == "dead" -- what is left of a dead task cannot be interrupted
    it("lets the others run: " .. act, function()
      local server <close> = serve(1000)
      local neighbour <close> = assert(net.connect(server.address))
      say(neighbour, 1)
      local conn <close> = start(server, act)
      say(neighbour, 30)
      local newcomer <close> = assert(net.connect(server.address))
      say(newcomer, 3)
      local state = select(3, conn:configure({ read_timeout = 0 }):read(1))
      assert.is_true(state == "timeout" or ends_soon and state == "eof", state)
    end)
  end

  for act, message in pairs(ENDS) do
    it("is ended past its limit, whatever it catches, and told of once: " .. act, function()
      local server <close> = serve(0.1)
      local neighbour <close> = assert(net.connect(server.address))
      say(neighbour, 1)
      local baseline = vitals.status(server)
      local conn <close> = start(server, act)
      local address = conn:local_address()
      assert.are.equal("", conn:read_all())
      local entry = server:wait_for_log(message)
      assert.is_truthy(entry:find("connection=" .. address, 1, true), entry)
      vitals.await_baseline(server, baseline)
      say(neighbour, 3)
      local traceback = server:log():match("[^\n]*" .. message .. "[^\n]*\n\t([^\n]+)")
      assert.matches("script%.lua:%d+: in ", traceback)
    end)
  end

  it("is one of many: all are ended, and others run meanwhile", function()
    local server <close> = serve(0.05)
    local neighbour <close> = assert(net.connect(server.address))
    say(neighbour, 1)
    local baseline = vitals.status(server)
    local conns = {}
    for i = 1, 20 do
      conns[i] = start(server, i % 2 == 0 and "protected" or "wrapped")
    end
    say(neighbour, 10)
    for _, conn in ipairs(conns) do
      assert.are.equal("", conn:read_all())
      conn:close()
    end
    vitals.await_baseline(server, baseline)
    assert.are.equal(20, select(2, server:log():gsub(" error used the processor", "")), server:log())
  end)

  it("does not hold up the end of the process", function()
    local server <close> = serve(0)
    local conn <close> = start(server, "protected")
    server.process:signal "TERM"
    assert.are.equal(0, server.process:wait())
    assert.are.equal("eof", select(3, conn:read(1)))
  end)

  it("gives those who join it the code limit", function()
    local server <close> = moonwire.serve {
      options = { "--cpu-limit", 0.05 },
      code = [[
        local task = require "moonwire.task"
        return function(conn)
          local _, message, code = task.spawn(function() while true do end end):join()
          conn:write(code, ": ", message, "\n")
        end]],
    }
    local conn <close> = assert(net.connect(server.address))
    assert.matches("^limit: used the processor for .* without waiting", conn:read_line())
  end)
end)

describe("a finalizer that does not return", function()
  local function serve_finalizers(limit)
    return moonwire.serve {
      options = { "--cpu-limit", limit },
      code = [[
        return function(conn)
          for line in conn:lines() do
            if line == "litter" then
              for _ = 1, 5 do
                setmetatable({}, { __gc = function() while true do end end })
              end
              collectgarbage()
              collectgarbage()
            end
            conn:write(line, "\n")
          end
        end]],
    }
  end

  it("lets the others run, and is ended past its limit", function()
    local server <close> = serve_finalizers(0.05)
    local conn <close> = assert(net.connect(server.address))
    assert(conn:write("litter\n"))
    assert.are.equal("litter", conn:read_line())
    say(conn, 20)
    condition.wait_until(function()
      return select(2, server:log():gsub(" error used the processor", "")) == 5
    end, 20)
    say(conn, 3)
  end)

  it("does not hold up the end of the process, not even when all is closed", function()
    local status, errors = moonwire.run {
      seconds = 20,
      code = [[
        for i = 1, 3 do
          rawset(_G, "kept" .. i, setmetatable({}, { __gc = function() while true do end end }))
        end]],
    }
    assert.are.equal(0, status, errors)
  end)
end)

describe("a finalizer", function()
  it("runs at once when garbage is collected, may wait, and may fail", function()
    local status, errors = moonwire.run [[
      local task, log = require "moonwire.task", require "moonwire.log"
      local order = {}
      local function collect(fn)
        setmetatable({ name = "object" }, { __gc = fn })
        collectgarbage()
      end
      collect(function(object) order[#order + 1] = object.name end)
      order[#order + 1] = "collected"
      collect(function() task.sleep(0.01) order[#order + 1] = "waited" end)
      collect(function() error "on purpose" end)
      task.sleep(0.05)
      log.info(table.concat(order, " "))]]
    assert.are.equal(0, status)
    assert.matches("object collected waited", errors)
    assert.matches(" error .-script%.lua:10: on purpose", errors)
  end)
end)

describe("computing", function()
  it("goes on where it was interrupted, with the same result", function()
    local server <close> = moonwire.serve [[
      local function compute()
        local sum = 0
        for i = 1, 3000000 do
          sum = (sum * 31 + i) % 1000003
        end
        return sum
      end
      return function(conn)
        for line in conn:lines() do
          conn:write(line == "compute" and compute() or line, "\n")
        end
      end]]
    local expected = 0
    for i = 1, 3000000 do
      expected = (expected * 31 + i) % 1000003
    end
    local conns = {}
    for i = 1, 4 do
      conns[i] = assert(net.connect(server.address))
      assert(conns[i]:write("compute\n"))
    end
    local neighbour <close> = assert(net.connect(server.address))
    say(neighbour, 10)
    for _, conn in ipairs(conns) do
      assert.are.equal(tostring(expected), conn:read_line())
      conn:close()
    end
  end)

  it("has no limit in a program that is alone, nor in the modules that it requires", function()
    local status, errors, output = moonwire.run {
      options = { "--cpu-limit", 0.02 },
      code = [[
        local function compute(seconds)
          local started = os.clock()
          repeat until os.clock() - started > seconds
          return true
        end
        package.preload.slow = function() return compute(0.5) end
        compute(0.2)
        require "slow"
        io.write "done"]],
    }
    assert.are.same({ 0, "done" }, { status, output }, errors)
  end)

  it("in a module that is being required is bounded, too", function()
    local server <close> = moonwire.serve [[
      package.preload.endless = function() while true do end end
      return function(conn)
        local ok, message = pcall(require, "endless")
        conn:write(tostring(ok), " ", message, "\n")
      end]]
    local conn <close> = assert(net.connect(server.address))
    assert.matches("^false .-script%.lua:1: used the processor for 0%.25%d* s where nothing can interrupt it",
      conn:read_line())
  end)
end)

describe("a function in C that blocks", function()
  it("is told of with the stack of the script", function()
    local server <close> = moonwire.serve [[
      return function(conn)
        os.execute "sleep 1.6"
        conn:write "done\n"
      end]]
    local conn <close> = assert(net.connect(server.address))
    assert.are.equal("done", conn:read_line())
    local entry = server:wait_for_log(" warn  nothing else has run for 1 s: stuck")
    assert.is_truthy(entry:find("connection=" .. conn:local_address(), 1, true), entry)
    assert.matches("\n\t%[C%]: in execute\n\t[^\n]*script%.lua:2: in ", server:log())
  end)
end)

describe("a server that waits", function()
  local function switches(server)
    local file <close> = assert(io.open(("/proc/%d/status"):format(server.process:pid())))
    return tonumber(file:read("a"):match("\nvoluntary_ctxt_switches:%s*(%d+)"))
  end

  it("is not woken for being looked after", function()
    local server <close> = moonwire.serve "return function() end"
    local conn <close> = assert(net.connect(server.address))
    assert.are.equal("eof", select(3, conn:read(1)))
    local task = require "moonwire.task"
    local before
    condition.wait_until(function()
      before = switches(server)
      task.sleep(1.5)
      return switches(server) == before
    end, 15)
  end)
end)

describe("the options of moonwire run", function()
  local process = require "spec.support.process"

  for option, values in pairs {
    ["--cpu-limit"] = { "", "soon", "-1", "1s", "nan", "inf" },
    ["--memory-limit"] = { "", "much", "-1", "5X", "5MM", "inf" },
  } do
    it(option .. " refuse what they cannot read", function()
      for _, value in ipairs(values) do
        local status, _, errors = process.run { moonwire.binary, "run", "-e", "return", option, value }
        assert.are.equal(2, status, value)
        assert.is_truthy(errors:find(option .. ": a number", 1, true), errors)
      end
    end)
  end
end)
