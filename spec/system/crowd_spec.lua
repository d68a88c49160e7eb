-- alone: exchanges are held to a time.
local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local peer = require "spec.system.peer"
local process = require "spec.support.process"
local test = require "moonwire.test"
local vitals = require "spec.system.vitals"

local CROWD <const> = 10000
local AT_ONCE <const> = 5000
local SPARE_DESCRIPTORS <const> = 100
local NEIGHBOUR_SECONDS <const> = 0.05
local GROWTH <const> = 256 * 1024 -- from the first crowd to the second, bytes: less than 30 a connection
local EACH_MOST <const> = 2600 -- bytes of user space for a connection with its task; 1,950 of them are needed

test.deadline(60)

local SCRIPT <const> = [[
return {
  start = dofile "spec/fixtures/status.lua",
  connect = function(conn)
    for line in conn:lines() do
      conn:write(line, "\n")
    end
  end,
}]]

-- Why so many connections cannot be tried here; nil: they can.
local function obstacle(count)
  local _, limit = process.run { "sh", "-c", "ulimit -Hn" }
  if limit ~= "unlimited\n" and tonumber(limit) < count + SPARE_DESCRIPTORS then
    return ("%d descriptors are allowed here, %d are needed"):format(limit, count + SPARE_DESCRIPTORS)
  end
end

describe("a server with ten thousand idle connections", function()
  local function visit(server, baseline)
    local crowd <close> = peer.crowd("hold", server.port, CROWD)
    peer.await_output(crowd, "open " .. CROWD, 30)
    condition.wait_until(function()
      return vitals.status(server).streams == baseline.streams + CROWD
    end, 20)
    local times = {}
    for i = 1, 200 do
      times[i] = peer.echo(server.address)
    end
    table.sort(times)
    return times[190], vitals.resident(server.process:pid())
  end

  it("answers a neighbour at once, lets them all go, and costs no more the second time", function()
    if obstacle(CROWD) then
      return pending(obstacle(CROWD))
    end
    local server <close> = moonwire.serve(SCRIPT)
    peer.echo(server.address)
    local baseline, resident = vitals.status(server), {}
    for round = 1, 2 do
      local seconds
      seconds, resident[round] = visit(server, baseline)
      assert.is_true(seconds < NEIGHBOUR_SECONDS, ("one of twenty echoes took %g s"):format(seconds))
      vitals.await_baseline(server, baseline, 20)
    end
    if not vitals.is_sanitized(server.process:pid()) then
      local grown = resident[2] - resident[1]
      assert.is_true(grown < GROWTH, ("grown by %d bytes"):format(grown))
    end
    assert.is_nil(server:log():find(" warn ", 1, true) or server:log():find(" error ", 1, true), server:log())
  end)
end)

describe("a server to which five thousand connect at once", function()
  it("answers them all", function()
    if obstacle(AT_ONCE) then
      return pending(obstacle(AT_ONCE))
    end
    local server <close> = moonwire.serve(SCRIPT)
    local baseline = vitals.status(server)
    local crowd <close> = peer.crowd("burst", server.port, AT_ONCE)
    assert.are.equal(0, crowd:wait(40), crowd:errors())
    assert.are.equal(("answered %d \n"):format(AT_ONCE), crowd:output())
    vitals.await_baseline(server, baseline, 20)
    assert.is_nil(server:log():find(" warn ", 1, true) or server:log():find(" error ", 1, true), server:log())
  end)
end)

-- Each gets its task when it speaks first: all in a few turns of the loop, longer than any task may run.
local DEFERRED <const> = SCRIPT:gsub("return {", "%0 options = { defer = true },", 1)

describe("a server to which ten thousand speak at once", function()
  it("answers them all, and spends little memory on each", function()
    if obstacle(CROWD) then
      pending(obstacle(CROWD))
    end
    local server <close> = moonwire.serve(DEFERRED)
    local pid = server.process:pid()
    peer.echo(server.address)
    local baseline, resident = vitals.status(server), vitals.resident(pid)
    local crowd <close> = peer.crowd("shout", server.port, CROWD)
    peer.await_output(crowd, "open " .. CROWD, 30)
    condition.wait_until(function()
      return vitals.status(server).streams == baseline.streams + CROWD
    end, 20)
    server.process:signal "STOP"
    crowd.stdin:write("\n")
    peer.await_output(crowd, "said " .. CROWD, 20)
    server.process:signal "CONT"
    peer.await_output(crowd, "answered " .. CROWD, 20)
    if not vitals.is_sanitized(pid) then
      local each = (vitals.resident(pid) - resident) / CROWD
      assert.is_true(each < EACH_MOST, ("%.0f bytes a connection"):format(each))
    end
  end)
end)
