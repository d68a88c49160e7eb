local core = require "moonwire.core"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local task = require "moonwire.task"

local function since(start)
  return core.now() - start
end

-- The code of the fault object that a function raises.
local function raised(fn, ...)
  local ok, value = pcall(fn, ...)
  return not ok and core.is_fault(value) or nil
end

describe("task.spawn", function()
  it("runs the function when the running task waits", function()
    local order = {}
    task.spawn(function(...)
      order[#order + 1] = table.concat({ ... }, " ")
    end, "a", 2)
    order[#order + 1] = "first"
    task.yield()
    assert.same({ "first", "a 2" }, order)
  end)

  it("starts tasks in their order", function()
    local order = {}
    for i = 1, 5 do
      task.spawn(function() order[#order + 1] = i end)
    end
    task.yield()
    assert.same({ 1, 2, 3, 4, 5 }, order)
  end)

  it("passes nils in the middle and many arguments", function()
    local function same(...)
      return ...
    end
    assert.same({ n = 4, nil, 2, nil, nil }, table.pack(task.spawn(same, nil, 2, nil, nil):join()))
    local many = {}
    for i = 1, 200 do
      many[i] = i
    end
    assert.same(many, { task.spawn(same, table.unpack(many)):join() })
  end)

  it("wants a function", function()
    assert.has_error(function() task.spawn(1) end)
    assert.has_error(function() task.spawn() end)
  end)

  it("runs tasks from other tasks that are many", function()
    local count = 0
    local function branch(depth)
      count = count + 1
      if depth > 0 then
        local a, b = task.spawn(branch, depth - 1), task.spawn(branch, depth - 1)
        a:join()
        b:join()
      end
    end
    task.spawn(branch, 9):join()
    assert.equal(1023, count)
  end)
end)

describe("task.current", function()
  it("is the same value all the time, and another in another task", function()
    local me = task.current()
    task.yield()
    assert.equal(me, task.current())
    local child = task.spawn(task.current)
    assert.equal(child, child:join())
    assert.not_equal(me, child)
  end)

  it("is printable", function()
    assert.matches("^moonwire.task: %d+ running$", tostring(task.current()))
  end)
end)

describe("status and waits_for", function()
  it("follow the task's life", function()
    local child = task.spawn(function() task.sleep(0.01) end)
    assert.equal("ready", child:status())
    assert.is_nil(child:waits_for())
    task.yield()
    assert.equal("waiting", child:status())
    assert.equal("sleep", child:waits_for())
    child:join()
    assert.equal("done", child:status())
    assert.is_nil(child:waits_for())
    assert.equal("running", task.current():status())
  end)

  it("is ending while the children of a task that returned end", function()
    local child = task.spawn(function()
      task.spawn(function()
        local group <close> = task.group()
        group:spawn(task.sleep, 10)
        task.sleep(10)
      end)
      task.yield()
    end)
    task.yield()
    task.yield()
    assert.equal("ending", child:status())
    child:join()
    assert.equal("done", child:status())
  end)

  it("name every kind of wait", function()
    local a = net.pair()
    local listener = net.listen("tcp://127.0.0.1:0")
    local waits = {
      read = function() a:read(1) end,
      accept = function() listener:accept() end,
      join = function() task.spawn(task.sleep, 10):join() end,
      sleep = function() task.sleep(10) end,
      group = function()
        local group <close> = task.group()
        group:spawn(task.sleep, 10)
        group:wait()
      end,
    }
    for name, fn in pairs(waits) do
      local child = task.spawn(fn)
      task.yield()
      assert.equal(name, child:waits_for())
      child:cancel()
      child:join()
    end
  end)
end)

describe("join", function()
  it("gives what the task returned", function()
    assert.same({ n = 3, 1, nil, "x" }, table.pack(task.spawn(function() return 1, nil, "x" end):join()))
    assert.equal(0, select("#", task.spawn(function() end):join()))
  end)

  it("gives it again and again, also after the end", function()
    local child = task.spawn(function() return "value" end)
    task.yield()
    assert.equal("done", child:status())
    assert.equal("value", child:join())
    assert.equal("value", child:join(0))
  end)

  it("wakes all who join", function()
    local child = task.spawn(function() task.sleep(0.01) return 7 end)
    local joiners = {}
    for i = 1, 3 do
      joiners[i] = task.spawn(function() return child:join() end)
    end
    for i = 1, 3 do
      assert.equal(7, joiners[i]:join())
    end
  end)

  it("tells of an error", function()
    local value, err, code = task.spawn(function() error("broken") end):join()
    assert.is_nil(value)
    assert.matches("task_spec.lua:%d+: broken$", err)
    assert.equal("error", code)
  end)

  it("tells of errors that are no strings", function()
    local function join_error(value)
      return select(2, task.spawn(error, value):join())
    end
    assert.equal("(error object is a table value)", join_error({}))
    assert.equal("(error object is a nil value)", join_error(nil))
    assert.equal("shown", join_error(setmetatable({}, { __tostring = function() return "shown" end })))
  end)

  it("tells of a cancellation", function()
    local child = task.spawn(task.sleep, 10)
    child:cancel()
    assert.same({ n = 3, nil, "cancelled", "cancelled" }, table.pack(child:join()))
  end)

  it("tells of a fault that was raised", function()
    local message = "connect 10.0.0.1:25: connection refused"
    local child = task.spawn(function() error(core.fault("refused", message)) end)
    assert.same({ n = 3, nil, message, "refused" }, table.pack(child:join()))
  end)

  it("waits at most that long", function()
    local child = task.spawn(task.sleep, 10)
    assert.same({ n = 3, nil, "timeout", "timeout" }, table.pack(child:join(0.01)))
    assert.same({ n = 3, nil, "timeout", "timeout" }, table.pack(child:join(0)))
    assert.equal("waiting", child:status())
  end)

  it("cannot be of the task itself", function()
    assert.has_error(function() task.current():join() end, "a task cannot join itself")
  end)

  it("waits for the children too", function()
    local log = {}
    task.spawn(function()
      task.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = "child" end })
        task.sleep(10)
      end)
      task.yield()
    end):join()
    assert.same({ "child" }, log)
  end)
end)

describe("cancel", function()
  it("raises at the wait", function()
    local code
    local child = task.spawn(function()
      code = raised(task.sleep, 10)
    end)
    task.yield()
    child:cancel()
    child:join()
    assert.equal("cancelled", code)
  end)

  it("is raised again at every wait when it was swallowed", function()
    local codes = {}
    local child = task.spawn(function()
      local a = net.pair()
      for _, wait in ipairs { task.yield, function() a:read(1) end, function() task.sleep(1) end } do
        codes[#codes + 1] = raised(wait)
      end
      return "survived"
    end)
    child:cancel()
    assert.equal("survived", child:join())
    assert.same({ "cancelled", "cancelled", "cancelled" }, codes)
  end)

  it("before the first run raises at the first wait", function()
    local ran, waited = false, false
    local child = task.spawn(function()
      ran = true
      task.yield()
      waited = true
    end)
    child:cancel()
    child:join()
    assert.is_true(ran)
    assert.is_false(waited)
  end)

  it("of the running task holds at its next wait", function()
    local code = task.spawn(function()
      task.current():cancel()
      return raised(task.sleep, 0)
    end):join()
    assert.equal("cancelled", code)
  end)

  it("of a task that is done does nothing", function()
    local child = task.spawn(function() return 1 end)
    child:join()
    child:cancel()
    assert.equal(1, child:join())
  end)

  it("runs <close> variables", function()
    local closed = {}
    local function closing(name)
      return setmetatable({}, { __close = function() closed[#closed + 1] = name end })
    end
    local child = task.spawn(function()
      local _ <close> = closing "outer"
      pcall(function()
        local _ <close> = closing "inner"
        task.sleep(10)
      end)
      task.sleep(10)
    end)
    task.yield()
    child:cancel()
    child:join()
    assert.same({ "inner", "outer" }, closed)
  end)

  it("reaches grandchildren", function()
    local code
    local child = task.spawn(function()
      task.spawn(function()
        code = raised(task.sleep, 10)
      end)
      task.sleep(10)
    end)
    task.sleep(0.001)
    child:cancel()
    child:join()
    assert.equal("cancelled", code)
  end)

  it("loses nothing that a stream received", function()
    local a, b = net.pair()
    local child = task.spawn(function() b:read(4) end)
    task.yield()
    a:write("ab")
    task.sleep(0.005)
    child:cancel()
    child:join()
    a:write("cd")
    assert.equal("abcd", b:read(4))
  end)

  it("that comes together with the data loses nothing", function()
    local a, b = net.pair()
    local child = task.spawn(function() return b:read(2) end)
    task.yield()
    a:write("ab")
    a:flush()
    child:cancel()
    child:join()
    assert.equal("ab", b:read(2))
  end)
end)

describe("task.sleep", function()
  it("takes its time", function()
    for _, seconds in ipairs { 0, 0.001, 0.02 } do
      local start = core.now()
      assert.is_true(task.sleep(seconds))
      assert.is_true(since(start) >= seconds)
    end
  end)

  it("wakes the shortest first", function()
    local order = {}
    for _, milliseconds in ipairs { 9, 1, 5 } do
      task.spawn(function()
        task.sleep(milliseconds / 1000)
        order[#order + 1] = milliseconds
      end)
    end
    task.sleep(0.03)
    assert.same({ 1, 5, 9 }, order)
  end)

  it("refuses what is no duration", function()
    for _, wrong in ipairs { -1, "x", 0 / 0, {} } do
      assert.has_error(function() task.sleep(wrong) end)
    end
    assert.has_error(function() task.sleep() end)
  end)

  it("of math.huge lasts until it is cancelled", function()
    local child = task.spawn(task.sleep, math.huge)
    task.sleep(0.01)
    assert.equal("sleep", child:waits_for())
    child:cancel()
    assert.equal("cancelled", select(3, child:join()))
  end)
end)

describe("task.yield", function()
  it("lets tasks take turns", function()
    local order = {}
    local function turn(name)
      for _ = 1, 3 do
        order[#order + 1] = name
        task.yield()
      end
    end
    local a, b = task.spawn(turn, "a"), task.spawn(turn, "b")
    a:join()
    b:join()
    assert.equal("a b a b a b", table.concat(order, " "))
  end)

  it("lets sockets and timers take turns too", function()
    local stop = false
    local spinner = task.spawn(function()
      while not stop do
        task.yield()
      end
    end)
    local listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:write("hello") end)
    local conn = net.connect(listener:local_address())
    assert.equal("hello", conn:read_all())
    task.sleep(0.01)
    stop = true
    spinner:join()
  end)
end)

describe("the end of a task", function()
  it("cancels and awaits its children", function()
    local ended
    task.spawn(function()
      task.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() ended = true end })
        task.sleep(10)
      end)
      task.yield()
    end):join()
    assert.is_true(ended)
  end)

  it("closes its streams, also when it fails", function()
    local a, b
    task.spawn(function()
      a, b = net.pair()
      b:keep()
      error("broken")
    end):join()
    assert.is_false(a:is_open())
    assert.is_true(b:is_open())
    assert.same({ n = 3, nil, "eof", "eof" }, table.pack(b:read(1)))
    b:close()
  end)

  it("closes its listeners", function()
    local listener
    task.spawn(function() listener = net.listen("tcp://127.0.0.1:0") end):join()
    assert.is_false(listener:is_open())
  end)

  it("leaves no task, stream or timer behind", function()
    local before = core.usage()
    for _ = 1, 20 do
      task.spawn(function()
        net.pair()
        task.spawn(task.sleep, 10)
        task.yield()
        error(core.fault("refused", "enough"))
      end):join()
    end
    collectgarbage()
    assert.same(before, core.usage())
  end)
end)

describe("a group", function()
  it("waits for all its tasks", function()
    local group <close> = task.group()
    local done = 0
    for i = 1, 3 do
      group:spawn(function(seconds)
        task.sleep(seconds)
        done = done + 1
      end, i / 1000)
    end
    assert.is_true(group:wait())
    assert.equal(3, done)
  end)

  it("without tasks has ended", function()
    local group <close> = task.group()
    assert.is_true(group:wait())
    assert.is_true(group:wait(0))
  end)

  it("is cancelled when a task fails, and tells of the first failure", function()
    local group <close> = task.group()
    local codes = {}
    for i = 1, 2 do
      group:spawn(function() codes[i] = raised(task.sleep, 10) end)
    end
    group:spawn(function() error("broken", 0) end)
    group:spawn(function() task.yield() error("later", 0) end)
    assert.same({ n = 3, nil, "broken", "error" }, table.pack(group:wait()))
    assert.same({ "cancelled", "cancelled" }, codes)
  end)

  it("tells of a fault by its code", function()
    local group <close> = task.group()
    group:spawn(function() error(core.fault("refused", "connect x: connection refused")) end)
    assert.same({ n = 3, nil, "connect x: connection refused", "refused" }, table.pack(group:wait()))
  end)

  it("cancels what is spawned after a failure", function()
    local group <close> = task.group()
    group:spawn(function() error("broken", 0) end)
    group:wait()
    local child = group:spawn(task.sleep, 10)
    assert.equal("cancelled", select(3, child:join()))
  end)

  it("does not fail when one of its tasks is cancelled by itself", function()
    local group <close> = task.group()
    local first = group:spawn(task.sleep, 10)
    local second = group:spawn(function() task.sleep(0.005) return "done" end)
    first:cancel()
    first:join()
    assert.equal("done", second:join())
  end)

  it("wait has a time limit that cancels nothing", function()
    local group <close> = task.group()
    local child = group:spawn(task.sleep, 10)
    assert.same({ n = 3, nil, "timeout", "timeout" }, table.pack(group:wait(0.01)))
    assert.equal("waiting", child:status())
  end)

  it("is cancelled and awaited at the end of its block", function()
    local log = {}
    do
      local group <close> = task.group()
      group:spawn(function()
        local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = "child" end })
        task.sleep(10)
      end)
      task.yield()
      log[#log + 1] = "block"
    end
    log[#log + 1] = "after"
    assert.same({ "block", "child", "after" }, log)
  end)

  it("is awaited also when the block is left by an error", function()
    local child
    local ok, message = pcall(function()
      local group <close> = task.group()
      child = group:spawn(task.sleep, 10)
      error("left", 0)
    end)
    assert.is_false(ok)
    assert.equal("left", message)
    assert.equal("done", child:status())
  end)

  it("is awaited also in a task that is cancelled", function()
    local inner
    local child = task.spawn(function()
      local group <close> = task.group()
      inner = group:spawn(function()
        local _ <close> = setmetatable({}, { __close = function() end })
        task.sleep(10)
      end)
      task.sleep(10)
    end)
    task.sleep(0.001)
    child:cancel()
    child:join()
    assert.equal("done", inner:status())
  end)

  it("cannot be used once it is closed", function()
    local group = task.group()
    group:close()
    group:close()
    assert.equal("moonwire.group: closed", tostring(group))
    assert.has_error(function() group:spawn(print) end, "this group is closed")
    assert.has_error(function() group:wait() end, "this group is closed")
    assert.has_error(function() group:cancel() end, "this group is closed")
  end)

  it("ends with the task that opened it", function()
    local group
    task.spawn(function() group = task.group() end):join()
    assert.has_error(function() group:spawn(print) end, "this group is closed")
  end)

  it("may be closed while another task waits for it", function()
    local group
    local waiter = task.spawn(function() return group:wait() end)
    group = task.group()
    group:spawn(task.sleep, 10)
    task.yield()
    group:close()
    assert.is_true(waiter:join())
  end)

  it("cannot be awaited by its own tasks or their children, which may cancel it", function()
    local group <close> = task.group()
    local messages = {}
    local function try(verb)
      messages[#messages + 1] = select(2, pcall(group[verb], group))
    end
    group:spawn(function()
      try "wait"
      try "close"
      task.spawn(try, "close"):join()
      group:cancel()
    end)
    local bystander = group:spawn(task.sleep, 10)
    assert.is_true(group:wait())
    assert.equal("done", bystander:status())
    assert.equal(3, #messages)
    for _, message in ipairs(messages) do
      assert.matches("a task cannot wait for the group that it runs in", message, 1, true)
    end
  end)

  it("takes the tasks that task.spawn starts in its block", function()
    local child
    do
      local group <close> = task.group()
      child = task.spawn(task.sleep, 10)
      assert.is_true(group ~= nil)
    end
    assert.equal("done", child:status())
  end)

  it("groups may be closed out of order", function()
    local outer, inner = task.group(), task.group()
    local a, b = outer:spawn(task.sleep, 10), inner:spawn(task.sleep, 10)
    outer:close()
    assert.equal("done", a:status())
    assert.not_equal("done", b:status())
    inner:close()
    assert.equal("done", b:status())
  end)

  it("survives a server's connection that fails", function()
    local group <close> = task.group()
    local listener = net.serve("tcp://127.0.0.1:0", function(conn)
      if conn:read(1) == "x" then
        error(core.fault("refused", "such is the test"))
      end
      conn:write("fine")
    end)
    local good, bad = net.connect(listener:local_address()), net.connect(listener:local_address())
    bad:write("x")
    assert.equal("", bad:read_all())
    good:write("y")
    assert.equal("fine", good:read_all())
    assert.is_true(group:wait(5))
  end)

  it("ends the servers that were opened in it", function()
    local listener
    do
      local group <close> = task.group()
      listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:read(1) end)
      assert.is_true(group ~= nil)
    end
    assert.is_false(listener:is_open())
  end)
end)

describe("task.with_timeout", function()
  it("gives what the function returns", function()
    local function same(...)
      return ...
    end
    assert.same({ n = 3, 1, nil, "x" }, table.pack(task.with_timeout(1, same, 1, nil, "x")))
  end)

  it("gives nil, timeout past the deadline", function()
    local start = core.now()
    assert.same({ n = 3, nil, "timeout", "timeout" }, table.pack(task.with_timeout(0.02, task.sleep, 10)))
    assert.is_true(since(start) >= 0.02 and since(start) < 5)
  end)

  it("passes errors on", function()
    local ok, message = pcall(task.with_timeout, 1, error, "broken")
    assert.is_false(ok)
    assert.equal("broken", message)
    assert.equal("refused", raised(task.with_timeout, 1, error, core.fault("refused", "x")))
  end)

  it("covers many waits together", function()
    local count = 0
    task.with_timeout(0.03, function()
      while true do
        task.sleep(0.002)
        count = count + 1
      end
    end)
    assert.is_true(count >= 1 and count <= 15)
  end)

  it("covers reads, whatever their own limit", function()
    local a = net.pair()
    a:configure { read_timeout = 10 }
    assert.equal("timeout", select(2, task.with_timeout(0.01, a.read, a, 1)))
  end)

  it("raises in the function, so that pcall may see it; and again at the next wait", function()
    local codes = {}
    local result = task.with_timeout(0.01, function()
      codes[1] = raised(task.sleep, 10)
      codes[2] = raised(task.yield)
      return "cleaned up"
    end)
    assert.same({ "timeout", "timeout" }, codes)
    assert.equal("cleaned up", result)
  end)

  it("nearest scope wins when scopes nest", function()
    local start = core.now()
    local inner, outer
    outer = select(2, task.with_timeout(5, function()
      inner = select(2, task.with_timeout(0.01, task.sleep, 10))
      task.sleep(0.001)
      return true, "went on"
    end))
    assert.equal("timeout", inner)
    assert.equal("went on", outer)
    assert.is_true(since(start) < 4)
  end)

  it("an outer deadline goes through inner scopes", function()
    local inner_returned = false
    local outer = select(2, task.with_timeout(0.01, function()
      task.with_timeout(5, task.sleep, 10)
      inner_returned = true
    end))
    assert.equal("timeout", outer)
    assert.is_false(inner_returned)
  end)

  it("leaves no task behind", function()
    local child
    task.with_timeout(1, function()
      child = task.spawn(task.sleep, 10)
    end)
    assert.equal("done", child:status())
    task.with_timeout(0.01, function()
      child = task.spawn(task.sleep, 10)
      task.sleep(10)
    end)
    assert.equal("done", child:status())
  end)

  it("leaves no deadline behind", function()
    task.with_timeout(0.01, function() task.sleep(0.001) end)
    assert.is_true(task.sleep(0.02))
    pcall(task.with_timeout, 0.01, error, "x")
    assert.is_true(task.sleep(0.02))
  end)

  it("leaves no deadline behind after a wait that did not come about", function()
    task.with_timeout(0.01, function()
      pcall(net.connect, "tcp://127.0.0.1:1", { no_such_option = 1 })
      pcall(net.connect, "tcp://127.0.0.1:1", { high_mark = -1 })
    end)
    assert.is_true(task.spawn(function() task.sleep(0.03) return true end):join())
  end)

  it("of zero gives up at the first wait", function()
    local ran = false
    assert.equal("timeout", select(2, task.with_timeout(0, function()
      ran = true
      task.yield()
    end)))
    assert.is_true(ran)
  end)

  it("gives a cancelled task its cancellation", function()
    local child = task.spawn(task.with_timeout, 5, task.sleep, 10)
    task.yield()
    child:cancel()
    assert.equal("cancelled", select(3, child:join()))
  end)

  it("ends the servers that were opened in it", function()
    local listener
    task.with_timeout(1, function()
      listener = net.serve("tcp://127.0.0.1:0", function(conn) conn:write("x") end)
    end)
    assert.is_false(listener:is_open())
  end)

  it("refuses what is no duration or function", function()
    assert.has_error(function() task.with_timeout(-1, print) end)
    assert.has_error(function() task.with_timeout("soon", print) end)
  end)
end)

describe("waiting where nobody can", function()
  local function message_of(fn, ...)
    local ok, message = pcall(fn, ...)
    assert.is_false(ok)
    return message
  end

  it("in a metamethod that a function in C calls says so", function()
    local list = setmetatable({}, { __len = function() return 1 end, __index = function() task.yield() end })
    assert.matches("cannot wait here: ", message_of(table.concat, list), 1, true)
  end)

  it("while a module is required says so", function()
    package.preload["spec.waits"] = function() task.sleep(0) end
    finally(function() package.preload["spec.waits"] = nil end)
    local message = message_of(require, "spec.waits")
    assert.matches("cannot wait here: a module that is being required", message, 1, true)
  end)

  it("leaves the task able to wait elsewhere", function()
    pcall(table.sort, { 1, 2, 3 }, function() task.yield() end)
    assert.is_true(task.sleep(0))
  end)

  it("is possible in metamethods, iterators and protected calls", function()
    local object = setmetatable({}, {
      __index = function() task.yield() return "index" end,
      __add = function() task.yield() return "add" end,
      __close = function() task.yield() end,
    })
    assert.equal("index", object.x)
    assert.equal("add", object + 1)
    do
      local _ <close> = object
    end
    for value in function(_, last) task.yield() return last == nil and 1 or nil end do
      assert.equal(1, value)
    end
    assert.is_true(xpcall(task.yield, print))
  end)

  it("leaves coroutines of the script's own working", function()
    local generator = coroutine.wrap(function()
      for i = 1, 3 do
        coroutine.yield(i)
      end
    end)
    assert.equal(1, generator())
    task.yield()
    assert.equal(2, generator())
  end)

  it("coroutine.yield in a task ends it with the remedy", function()
    local _, err, code = task.spawn(function() coroutine.yield(1) end):join()
    assert.equal("error", code)
    assert.matches("use task.yield", err, 1, true)
  end)
end)

describe("a task that dies of an error", function()
  local function count(text, pattern)
    return select(2, text:gsub(pattern, ""))
  end

  it("is logged once, with a traceback that begins in the user's file", function()
    local _, log, _, script = moonwire.run [[
      local task = require "moonwire.task"
      local function deep()
        error("broken")
      end
      local function middle()
        deep()
        return 1
      end
      task.spawn(function()
        task.sleep(0)
        middle()
        return 2
      end):join()]]
    assert.equal(1, count(log, "broken"))
    assert.matches(" error " .. script .. ":3: broken", log, 1, true)
    local first = log:match("\n%s*([^\n]*)")
    assert.equal(script .. ":3: in", first:sub(1, #script + 6))
    assert.matches("script.lua:6: in", log, 1, true)
    assert.matches("script.lua:11: in", log, 1, true)
  end)

  it("has the traceback of the first raise after scopes and groups", function()
    local _, log, _, script = moonwire.run [[
      local task = require "moonwire.task"
      task.spawn(function()
        task.with_timeout(5, function()
          local group <close> = task.group()
          local x = nil
          x.field = 1
        end)
      end):join()]]
    assert.equal(1, count(log, "attempt to index"))
    assert.equal(script .. ":6: in", log:match("\n%s*([^\n]*)"):sub(1, #script + 6))
  end)

  it("is not logged when it is a cancellation", function()
    local status, log = moonwire.run [[
      local task = require "moonwire.task"
      local child = task.spawn(task.sleep, 10)
      task.yield()
      child:cancel()
      child:join()]]
    assert.equal(0, status)
    assert.equal("", log)
  end)

  it("logs a fault that nobody caught as one line without a traceback", function()
    local _, log = moonwire.run [[
      local core, task = require "moonwire.core", require "moonwire.task"
      task.spawn(function() error(core.fault("reset", "read 10.0.0.1:25: connection reset")) end):join()]]
    assert.equal(1, count(log, "\n"))
    assert.matches("read 10.0.0.1:25: connection reset", log, 1, true)
  end)

  it("logs an error of a <close> variable besides the first", function()
    local _, log = moonwire.run [[
      local task = require "moonwire.task"
      task.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() error("while closing") end })
        error("at first")
      end):join()]]
    assert.equal(1, count(log, "at first"))
    assert.equal(1, count(log, "while closing\n") + count(log, "while closing "))
  end)

  it("does not disturb the others", function()
    local child = task.spawn(function() task.sleep(0.01) return "fine" end)
    task.spawn(function() error(core.fault("refused", "such is the test")) end)
    assert.equal("fine", child:join())
  end)

  it("may have overflowed its stack", function()
    local _, err, code = task.spawn(function()
      local function endless() return 1 + endless() end
      return endless()
    end):join()
    assert.equal("error", code)
    assert.matches("stack overflow", err, 1, true)
  end)

  it("cannot wait while it is closed", function()
    local message
    task.spawn(function()
      local _ <close> = setmetatable({}, { __close = function()
        message = select(2, pcall(task.sleep, 0))
      end })
      error(core.fault("refused", "such is the test"))
    end):join()
    assert.matches("cannot wait while a task that failed is being closed", message, 1, true)
  end)
end)
