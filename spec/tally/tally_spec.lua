local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local tally = require "moonwire.tally"
local net = require "moonwire.net"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local test = require "moonwire.test"

test.deadline(60)

-- Each test has names of its own: what they count stays in the process.
local names = 0

local function new_name()
  names = names + 1
  return "tally_spec " .. names
end

local function refusal(...)
  local ok, message = pcall(...)
  assert.is_false(ok)
  return message
end

describe("a rate", function()
  it("gives turns as fast as it says", function()
    local rate = tally.rate(new_name(), { rate = 0.001, burst = 2 })
    assert.is_true(rate:take "192.0.2.1:1")
    assert.is_true(rate:take "192.0.2.1:2")
    local taken, seconds = rate:take "192.0.2.1:3"
    assert.is_false(taken)
    assert.is_true(seconds > 0 and seconds <= 1000)
    assert.is_true(rate:take "192.0.2.2:1")
  end)

  it("gives the next one in time", function()
    local rate = tally.rate(new_name(), { rate = 20, burst = 1 })
    assert.is_true(rate:take "ann")
    local taken, seconds = rate:take "ann"
    assert.is_false(taken)
    task.sleep(seconds + 0.001)
    assert.is_true((rate:take "ann"))
  end)

  it("takes networks for clients", function()
    local rate = tally.rate(new_name(), { rate = 0.001, burst = 1, ipv4_prefix = 24 })
    assert.is_true(rate:take "192.0.2.1")
    assert.is_false((rate:take "192.0.2.200:5"))
    assert.is_true(rate:take "192.0.3.1")
    assert.is_true(rate:take "[2001:db8::1]:1")
    assert.is_false((rate:take "2001:db8::ffff:1"))
    assert.is_true(rate:take "2001:db8:0:1::1")
  end)

  it("takes anything else for a client, too", function()
    local rate = tally.rate(new_name(), { rate = 0.001 })
    for _, client in ipairs { "ann", "", "unix://", "\0", "192.0.2.1" } do
      assert.is_true(rate:take(client))
      assert.is_false((rate:take(client)))
    end
  end)

  it("is the same for all who name it, and another with other options", function()
    local name = new_name()
    assert.is_true(tally.rate(name, { rate = 0.001 }):take "ann")
    assert.is_false((tally.rate(name, { rate = 0.001 }):take "ann"))
    assert.is_true(tally.rate(name, { rate = 0.002 }):take "ann")
    assert.is_true(tally.rate(new_name(), { rate = 0.001 }):take "ann")
  end)

  it("refuses what is no rate", function()
    local function rate(options)
      return function() local _ = tally.rate("a", options) end
    end
    assert.matches("tally_spec.lua:%d+: .*option 'rate': turns a second", refusal(rate {}))
    assert.matches("option 'rate': turns", refusal(rate { rate = 0 }))
    assert.matches("option 'rate': turns", refusal(rate { rate = 0 / 0 }))
    assert.matches("option 'burst': a number", refusal(rate { rate = 1, burst = 0 }))
    assert.matches("option 'ipv4_prefix': an integer from 0 to", refusal(rate { rate = 1, ipv4_prefix = 33 }))
    assert.matches("option 'ipv6_prefix'", refusal(rate { rate = 1, ipv6_prefix = 0.5 }))
    assert.is_true(tally.rate(new_name(), { rate = math.huge }):take "a")
  end)
end)

describe("places", function()
  it("are so many for each client", function()
    local places = tally.places(new_name(), 2)
    local one, other = places:enter "192.0.2.1:1", places:enter "192.0.2.1:2"
    assert.is_nil(places:enter "192.0.2.1:3")
    assert.is_not_nil(places:enter "192.0.2.2:3")
    assert.are.equal(2, places:count "192.0.2.1")
    one:close()
    one:close()
    assert.are.equal(1, places:count "192.0.2.1")
    local third <close> = places:enter "192.0.2.1:4"
    assert.is_not_nil(third)
    assert.is_not_nil(other)
  end)

  it("are free when the task has ended, unless they are kept", function()
    local places = tally.places(new_name(), 2)
    local kept
    task.spawn(function()
      places:enter "ann"
      kept = places:enter("ann"):keep()
    end):join()
    assert.are.equal(1, places:count "ann")
    kept:close()
    assert.are.equal(0, places:count "ann")
  end)

  it("are taken until the task ends, also when nobody holds them", function()
    local places, there, leave = tally.places(new_name(), 1), sync.event(), sync.event()
    local visitor = task.spawn(function()
      local _ = places:enter "ann" and nil
      there:set()
      leave:wait()
    end)
    there:wait()
    collectgarbage()
    assert.are.equal(1, places:count "ann")
    assert.is_nil(places:enter "ann")
    leave:set()
    visitor:join()
    assert.are.equal(0, places:count "ann")
  end)

  it("are free when nobody holds those that are kept", function()
    local places = tally.places(new_name(), 1)
    places:enter("ann"):keep()
    collectgarbage()
    assert.are.equal(0, places:count "ann")
  end)

  it("are shared by all workers, and free when one dies", function()
    local script = [[
      local tally = require "moonwire.tally"
      local places = tally.places("guests", 3)
      return function(conn, ctx)
        local place = places:enter "all"
        conn:write(place and ctx.worker or "full", "\n")
        conn:read_line()
      end
    ]]
    local d <close> = daemon.start { scripts = { ["guest.lua"] = script }, workers = 2 }
    local workers, guests = {}, {}
    local function visit()
      local conn = assert(net.connect(d:address "guest"))
      local answer = assert(conn:read_line())
      guests[#guests + 1] = { conn = conn, worker = answer }
      workers[answer] = (workers[answer] or 0) + 1
      return answer
    end
    condition.wait_until(function() visit() return workers.full end, 20)
    assert.are.equal(3, (workers["1"] or 0) + (workers["2"] or 0))
    local victim = workers["1"] and 1 or 2
    local before = workers[tostring(victim)]
    for _, worker in ipairs(d:ask({ command = "status" }).workers) do
      if worker.worker == victim then
        os.execute(("kill -9 %d"):format(worker.pid))
      end
    end
    d:wait_for_log "has ended"
    local taken = 0
    condition.wait_until(function()
      local conn = net.connect(d:address "guest")
      local answer = conn and conn:read_line()
      taken = taken + ((answer and answer ~= "full") and 1 or 0)
      guests[#guests + 1] = { conn = conn }
      return answer == "full" and taken > 0
    end, 20)
    assert.are.equal(before, taken)
  end)

  it("refuse what is none", function()
    assert.matches("tally_spec.lua:%d+: .*an integer above 0", refusal(function()
      local _ = tally.places("a", 0)
    end))
    local places = tally.places(new_name(), 1)
    ---@diagnostic disable-next-line: missing-parameter
    assert.matches("string expected, got nil", refusal(function() places:enter() end))
    assert.matches("call it with a colon", refusal(function() places.count "a" end))
  end)
end)
