-- alone: exchanges are held to a time.
-- Thousands of connections: neither an operator's question nor a reload holds anybody up.
local condition = require "spec.support.condition"
local core = require "moonwire.core"
local daemon = require "spec.support.daemon"
local net = require "moonwire.net"
local process = require "spec.support.process"
local task = require "moonwire.task"
local test = require "moonwire.test"
local vitals = require "spec.system.vitals"

test.deadline(60)

local PARK <const> = [[
local function talk(conn)
  while true do
    conn:checkpoint()
    local line = conn:read_line()
    if not line then return end
    conn:write(line, "\n")
  end
end
return { connect = talk, resume = talk }
]]

local CONNECTIONS <const> = 10000
local LONGEST <const> = 0.5 -- seconds, of what takes 1 to 50 ms when nothing else runs here

local function sum(entries, field)
  local total = 0
  for _, entry in ipairs(entries) do
    total = total + entry[field]
  end
  return total
end

-- Exchanges on a connection, one after the other, while `fn` runs; the longest of them in seconds.
local function longest_while(address, fn)
  local conn <close> = assert(net.connect(address, { read_timeout = 20 }))
  local longest, done = 0, false
  local group <close> = task.group()
  group:spawn(function()
    while not done do
      local begun = core.now()
      assert(conn:write "x\n")
      assert.equal("x", conn:read_line())
      longest = math.max(longest, core.now() - begun)
      task.sleep(0.001)
    end
  end)
  fn()
  done = true
  group:wait()
  return longest
end

-- What may take so long as the machine is quick.
local function longest_for(d)
  return vitals.is_sanitized(d.process:pid()) and 20 * LONGEST or LONGEST
end

local function timed(fn, ...)
  local begun = core.now()
  local result = fn(...)
  return result, core.now() - begun
end

describe("a daemon with thousands of connections", function()
  it("tells its status at once, moves all in a reload, and holds up nobody", function()
    local d <close> = daemon.start {
      scripts = { ["park.lua"] = PARK },
      config = [[
service "park" { script = "park.lua", listen = "tcp://127.0.0.1:0", limits = { connections = 20000 } }]],
    }
    local address = d:address "park"
    local crowd <close> = process.start {
      "python3", "spec/fixtures/crowd.py", "hold", address:match ":(%d+)$", CONNECTIONS,
    }
    condition.wait_until(function() return crowd:output():find "open" or crowd:status() end, 30)
    if crowd:status() then
      return pending(crowd:errors())
    end
    condition.wait_until(function() return sum(d:services "park", "connections") == CONNECTIONS end, 10)
    local pause = longest_while(address, function()
      for _ = 1, 10 do
        local _, took = timed(d.ask, d, { command = "status" })
        assert.is_true(took < longest_for(d), ("status took %.3f s"):format(took))
      end
    end)
    assert.is_true(pause < longest_for(d), ("an exchange took %.3f s beside status"):format(pause))
    local answer
    pause = longest_while(address, function()
      answer = d:reload()
      task.sleep(0.01)
    end)
    assert.is_true(answer.ok, answer.error)
    assert.equal(CONNECTIONS + 1, answer.moved + answer.kept)
    assert.is_true(answer.moved >= CONNECTIONS)
    assert.equal(0, answer.ended)
    assert.is_true(pause < longest_for(d), ("an exchange took %.3f s beside a reload"):format(pause))
  end)

  it("reloads ten services at once", function()
    local scripts = {}
    for i = 1, 10 do
      scripts[("service%d.lua"):format(i)] = PARK
    end
    local d <close> = daemon.start { scripts = scripts }
    local least = math.huge
    for _ = 1, 5 do
      local answer, took = timed(d.reload, d)
      assert.is_true(answer.ok)
      least = math.min(least, took)
    end
    assert.is_true(least < longest_for(d), ("%.3f s"):format(least))
  end)
end)
