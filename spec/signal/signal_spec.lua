local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local signal = require "moonwire.signal"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

-- Sends a signal to this process, whose child the shell is.
local function raise(name)
  assert(os.execute(("kill -%s $PPID"):format(name)))
end

describe("signal.wait", function()
  it("gives the name of the first that arrives", function()
    local waiting = task.spawn(signal.wait, "usr1", "usr2")
    task.yield()
    assert.are.equal("signal", waiting:waits_for())
    raise "USR2"
    assert.are.equal("usr2", waiting:join(5))
  end)

  it("takes names in capitals and with SIG", function()
    local waiting = task.spawn(signal.wait, "SIGUSR1")
    task.yield()
    raise "USR1"
    assert.are.equal("usr1", waiting:join(5))
  end)

  it("is left by a deadline and by cancel", function()
    local results = table.pack(task.with_timeout(0.01, signal.wait, "usr1"))
    assert.are.same({ n = 3, nil, "timeout", "timeout" }, results)
    local waiting = task.spawn(signal.wait, "usr1")
    task.yield()
    waiting:cancel()
    assert.are.equal("cancelled", select(3, waiting:join()))
  end)

  it("raises at the caller's line for what is no signal", function()
    for _, name in ipairs { "usr3", "kill", "" } do
      local ok, message = pcall(function() signal.wait(name) end)
      assert.is_false(ok)
      assert.matches("^%S*signal_spec%.lua:%d+: bad argument #1 to 'wait' %(no signal", message)
    end
    assert.has_error(function() signal.wait() end)
  end)
end)

describe("signal.each", function()
  it("loses nothing that arrives in the body of the loop", function()
    local seen = {}
    local waiting = task.spawn(function()
      for name in signal.each("usr1", "usr2") do
        seen[#seen + 1] = name
        if #seen == 1 then
          raise "USR2"
          task.sleep(0.01)
        else
          break
        end
      end
    end)
    task.yield()
    raise "USR1"
    waiting:join(5)
    assert.are.same({ "usr1", "usr2" }, seen)
  end)

  it("listens from the call on", function()
    local next_name, signals <close> = signal.each("usr1")
    raise "USR1"
    assert.are.equal("usr1", next_name(signals))
  end)

  it("stops listening when the loop is left", function()
    local next_name, signals, initial, closing = signal.each("usr1")
    local count = 0
    raise "USR1"
    for _ in next_name, signals, initial, closing do
      count = count + 1
      if count == 1 then
        break
      end
    end
    assert.are.equal("moonwire.signals: closed", tostring(signals))
  end)

  it("is heard by several listeners", function()
    local heard = sync.queue(2)
    for i = 1, 2 do
      task.spawn(function()
        for name in signal.each("usr1") do
          heard:push(name .. i)
        end
      end)
    end
    task.yield()
    raise "USR1"
    local names = { heard:pop(5), (heard:pop(5)) }
    table.sort(names)
    assert.are.same({ "usr11", "usr12" }, names)
  end)
end)

describe("signal.on", function()
  it("calls the function as a task at every arrival", function()
    local called = sync.queue(10)
    local handle = signal.on("usr1", function(name)
      task.yield()
      called:push(name)
    end)
    raise "USR1"
    assert.are.equal("usr1", called:pop(5))
    raise "USR1"
    assert.are.equal("usr1", called:pop(5))
    handle:cancel()
    handle:cancel()
  end)

  it("runs one call at a time and remembers what arrives meanwhile, once", function()
    local calls, running, most, proceed = 0, 0, 0, sync.event()
    signal.on("usr1", function()
      calls, running = calls + 1, running + 1
      most = math.max(most, running)
      proceed:wait()
      running = running - 1
    end)
    raise "USR1"
    condition.wait_until(function() return calls == 1 end)
    for _ = 1, 3 do
      raise "USR1"
      task.sleep(0.005)
    end
    proceed:set()
    condition.wait_until(function() return calls == 2 and running == 0 end)
    task.sleep(0.01)
    assert.are.equal(2, calls)
    assert.are.equal(1, most)
  end)

  it("does not call when it is cancelled", function()
    local called = sync.event()
    local handle = signal.on("usr1", function() called:set() end)
    local guard <close> = (function() -- keeps the signal from ending this process
      local _, signals = signal.each("usr1")
      return signals
    end)()
    task.yield()
    handle:cancel()
    raise "USR1"
    assert.are.equal("usr1", guard:wait(5))
    assert.is_nil((called:wait(0.02)))
  end)

  it("ends with the task that made it", function()
    local called = sync.event()
    local _, guard = signal.each("usr1")
    task.spawn(function() signal.on("usr1", function() called:set() end) end):join()
    raise "USR1"
    assert.are.equal("usr1", guard:wait(5))
    assert.is_nil((called:wait(0.02)))
    guard:close()
  end)

  it("raises at the caller's line for what is no signal or no function", function()
    local ok, message = pcall(function() signal.on("usr3", print) end)
    assert.is_false(ok)
    assert.matches("^%S*signal_spec%.lua:%d+: bad argument #1 to 'on' %(no signal", message)
    ok, message = pcall(function() signal.on("usr1") end)
    assert.is_false(ok)
    assert.matches("^%S*signal_spec%.lua:%d+: bad argument #2 to 'on' %(function expected, got nil", message)
  end)
end)

describe("a program that listens for signals", function()
  it("goes on after an error in the function, and hears them until it is told to stop", function()
    local program <close> = process.start { moonwire.binary, "run", "-e", [[
      local signal = require "moonwire.signal"
      signal.on("usr1", function() error "failed on purpose" end)
      signal.on("hup", function(name) print("heard " .. name) end)
      print "ready"
    ]] }
    condition.wait_until(function() return program:errors():find("ready", 1, true) end)
    program:signal "USR1"
    condition.wait_until(function() return program:errors():find("failed on purpose", 1, true) end)
    program:signal "HUP"
    condition.wait_until(function() return program:errors():find("heard hup", 1, true) end)
    program:signal "TERM"
    assert.are.equal(0, program:wait())
  end)
end)
