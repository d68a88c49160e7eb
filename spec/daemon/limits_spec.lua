-- Who may come in, how many, and for how long.
local condition = require "spec.support.condition"
local core = require "moonwire.core"
local daemon = require "spec.support.daemon"
local net = require "moonwire.net"

local ECHO <const> = [[return function(conn) for line in conn:lines() do conn:write(line, "\n") end end]]

local function start(limits)
  return daemon.start {
    scripts = { ["echo.lua"] = ECHO },
    config = ('service "echo" { script = "echo.lua", listen = "tcp://127.0.0.1:0", %s }'):format(limits),
  }
end

-- Whether the connection is served.
local function enter(d, from)
  local conn = net.connect(d:address "echo", { read_timeout = 5, local_address = from })
  local served = conn and conn:write "x\n" and conn:read_line() == "x"
  if not served and conn then
    conn:close()
  end
  return served and conn or nil
end

describe("limits of a service", function()
  it("count its connections over all workers", function()
    local d <close> = start "limits = { connections = 5 }"
    local conns = {}
    for i = 1, 5 do
      conns[i] = assert(enter(d))
    end
    assert.is_nil(enter(d))
    conns[1]:close()
    conns[1] = condition.wait_until(function() return enter(d) end)
    for i = 1, 5 do
      conns[i]:close()
    end
    d:wait_for_log "limits.connections"
  end)

  it("count those of one address", function()
    local d <close> = start "limits = { per_address = 2 }"
    local one <close> = assert(enter(d))
    local two <close> = assert(enter(d))
    assert.is_nil(enter(d))
    local other <close> = assert(enter(d, "127.0.0.2:0"))
    assert.is_true(one:is_open() and two:is_open() and other:is_open())
  end)

  it("hold after a worker was killed and after a reload", function()
    local d <close> = start "limits = { connections = 3 }"
    local conns = { assert(enter(d)), assert(enter(d)) }
    assert.is_true(d:reload().ok)
    conns[3] = assert(enter(d))
    assert.is_nil(enter(d))
    for _, worker in ipairs(d:ask({ command = "status" }).workers) do
      os.execute("kill -9 " .. worker.pid)
    end
    local again = condition.wait_until(function() return enter(d) end)
    again:close()
    for _, conn in ipairs(conns) do
      conn:close()
    end
  end)

  it("tell of those they refuse, but not of each", function()
    local d <close> = start 'deny = { "127.0.0.2" }'
    for _ = 1, 50 do
      assert.is_nil(enter(d, "127.0.0.2:0"))
    end
    local _, entries = d:log():gsub("connection of 127%.0%.0%.2:%d+ refused", "")
    assert.is_true(entries >= 1 and entries < 25, d:log())
  end)

  it("let networks in or not, the more specific one deciding", function()
    local d <close> = start 'allow = { "127.0.0.0/8" }, deny = { "127.0.0.2" }'
    local conn <close> = assert(enter(d))
    assert.is_nil(enter(d, "127.0.0.2:0"))
    assert.is_true(conn:is_open())
  end)

  it("end connections that are silent", function()
    local d <close> = start "limits = { idle = 0.5 }"
    local conn <close> = assert(enter(d))
    local begun = core.now()
    assert.is_nil((conn:read_line()))
    assert.is_true(core.now() - begun >= 0.4)
  end)

  it("end connections that last too long, however busy", function()
    local d <close> = start "limits = { total = 0.7 }"
    local conn <close> = assert(enter(d))
    local begun = core.now()
    while conn:write "y\n" and conn:read_line() do
      assert.is_true(core.now() - begun < 5)
    end
    assert.is_true(core.now() - begun >= 0.5)
  end)

  it("slow down who connects too fast", function()
    local d <close> = start "limits = { accept_rate = 5, accept_burst = 3 }"
    local served = 0
    for _ = 1, 20 do
      local conn = enter(d)
      if conn then
        served = served + 1
        conn:close()
      end
    end
    assert.is_true(served >= 3 and served < 20, tostring(served))
  end)
end)
