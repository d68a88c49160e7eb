local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local net = require "moonwire.net"

-- Publishes each line that a client says; "?" asks for what this worker has heard.
local SERVICE <const> = [[
local bus = require "moonwire.bus"
local task = require "moonwire.task"

local heard, subscription = {}, nil

local function listen()
  for value, topic in subscription do
    heard[#heard + 1] = topic .. "=" .. value.text
  end
end

return {
  start = function()
    subscription = bus.subscribe("said.>"):keep()
    task.spawn(listen)
  end,
  connect = function(conn, ctx)
    conn:write(ctx.name, " ", ctx.worker, "\n")
    for line in conn:lines() do
      if line == "?" then
        conn:write(table.concat(heard, " "), "\n")
      else
        bus.publish("said." .. ctx.name, { text = line })
      end
    end
  end,
}
]]

describe("the bus of a daemon", function()
  -- A connection to that worker: the kernel chooses one for each.
  local function connect(running, service, worker)
    return condition.wait_until(function()
      local conn = assert(net.connect(running:address(service)))
      if conn:read_line() == service .. " " .. worker then
        return conn
      end
      conn:close()
    end)
  end

  local function await(conn, text)
    local line
    condition.wait_until(function()
      conn:write "?\n"
      line = conn:read_line()
      return line == text
    end, 5, function()
      return ("%q instead of %q"):format(line, text)
    end)
  end

  it("reaches every service in every worker, in order", function()
    local running <close> = daemon.start { scripts = { ["one.lua"] = SERVICE, ["two.lua"] = SERVICE } }
    local conns = {}
    for _, service in ipairs { "one", "two" } do
      for worker = 1, 2 do
        conns[#conns + 1] = connect(running, service, worker)
      end
    end
    conns[1]:write "a\nb\nc\n"
    for _, conn in ipairs(conns) do
      await(conn, "said.one=a said.one=b said.one=c")
    end
    conns[4]:write "d\n"
    for _, conn in ipairs(conns) do
      await(conn, "said.one=a said.one=b said.one=c said.two=d")
      conn:close()
    end
  end)

  it("counts what each worker publishes", function()
    local running <close> = daemon.start { scripts = { ["one.lua"] = SERVICE } }
    local conn <close> = connect(running, "one", 2)
    conn:write "a\nb\n"
    await(conn, "said.one=a said.one=b")
    local text = running:ask { command = "metrics" }.text
    assert.is_truthy(text:find('moonwire_bus_published_total{worker="1"} 0\n', 1, true))
    assert.is_truthy(text:find('moonwire_bus_published_total{worker="2"} 2\n', 1, true))
    assert.is_truthy(text:find('moonwire_bus_dropped_total{worker="2"} 0\n', 1, true))
  end)

  it("reaches other generations, too", function()
    local running <close> = daemon.start { scripts = { ["one.lua"] = SERVICE } }
    local old = connect(running, "one", 1)
    old:write "a\n"
    await(old, "said.one=a")
    assert.is_true(running:reload().ok)
    local new = connect(running, "one", 2)
    old:write "b\n"
    await(new, "said.one=b")
    old:close()
    new:close()
  end)
end)
