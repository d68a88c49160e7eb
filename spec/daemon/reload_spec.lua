-- Reload as a user sees it: what stays, what changes, what a mistake costs.
local condition = require "spec.support.condition"
local core = require "moonwire.core"
local daemon = require "spec.support.daemon"
local net = require "moonwire.net"
local task = require "moonwire.task"

local VERSION <const> = [[return function(conn) conn:write("%s\n") end]]

local ANSWER <const> = [[return { datagram = function(s, data, peer) s:send("%s " .. data, peer) end }]]

local ECHO <const> = [[return function(conn) for line in conn:lines() do conn:write(line, "\n") end end]]

local function greeting(address)
  local conn <close> = assert(net.connect(address))
  return conn:read_line()
end

local function exchange(conn, line)
  assert(conn:write(line, "\n"))
  return conn:read_line()
end

describe("a reload", function()
  it("brings new code to new connections and moves live ones with their state", function()
    local d <close> = daemon.start { scripts = { ["count.lua"] = daemon.COUNTER:format "old" } }
    local conns = {}
    for i = 1, 20 do
      conns[i] = assert(net.connect(d:address "count"))
      assert.equal("old 1 a", exchange(conns[i], "a"))
    end
    d.folder:write("count.lua", daemon.COUNTER:format "new")
    local answer = d:reload()
    assert.is_true(answer.ok)
    assert.same({ 20, 0, 0 }, { answer.moved, answer.kept, answer.ended })
    for i = 1, 20 do
      assert.equal("new 2 b", exchange(conns[i], "b"))
      conns[i]:close()
    end
  end)

  it("frees the old generation when its last connection has ended", function()
    local d <close> = daemon.start {
      scripts = { ["echo.lua"] = ECHO },
    }
    local conn <close> = assert(net.connect(d:address "echo"))
    assert.equal("a", exchange(conn, "a"))
    local answer = d:reload()
    assert.same({ 0, 1, 0 }, { answer.moved, answer.kept, answer.ended })
    -- two new ones, and the old one in the worker of the connection
    condition.wait_until(function() return #d:services "echo" == 3 end)
    assert.equal("b", exchange(conn, "b"))
    conn:close()
    condition.wait_until(function() return #d:services "echo" == 2 end)
  end)

  it("ends what is left in the old code after the drain time", function()
    local d <close> = daemon.start {
      scripts = { ["echo.lua"] = ECHO },
    }
    local conn <close> = assert(net.connect(d:address "echo"))
    assert.equal("a", exchange(conn, "a"))
    assert.is_true(d:reload().ok)
    assert.is_nil((conn:read_line())) -- the config says two seconds
  end)

  it("lets each service have a drain time of its own", function()
    local d <close> = daemon.start {
      scripts = { ["echo.lua"] = ECHO },
      config = [[service "echo" { script = "echo.lua", listen = "tcp://127.0.0.1:0", drain = 0.3 }]],
    }
    local conn <close> = assert(net.connect(d:address "echo"))
    assert.equal("a", exchange(conn, "a"))
    local begun = core.now()
    assert.is_true(d:reload().ok)
    assert.is_nil((conn:read_line()))
    assert.is_true(core.now() - begun < 1.9) -- the daemon's are two seconds
  end)

  it("says what it does not change", function()
    local d <close> = daemon.start { scripts = { ["a.lua"] = VERSION:format "a" } }
    d:configure [[
log = { format = "json" }
service "a" { script = "a.lua", listen = "tcp://127.0.0.1:0", processes = true }]]
    assert.is_true(d:reload().ok)
    d:wait_for_log "log%.format take effect with a restart only"
    d:wait_for_log "it can start programs after a restart only"
  end)

  it("refuses a script that does not compile, with file and line, and nothing changes", function()
    local d <close> = daemon.start { scripts = { ["a.lua"] = VERSION:format "old" } }
    d.folder:write("a.lua", "return function(conn)\n  conn:write('new'\nend")
    local answer = d:reload()
    assert.is_false(answer.ok)
    assert.matches("a%.lua:3: ", answer.error)
    assert.equal("old", greeting(d:address "a"))
    d.folder:write("a.lua", VERSION:format "new")
    assert.is_true(d:reload().ok)
    assert.equal("new", greeting(d:address "a"))
  end)

  it("refuses a start that throws in one worker only", function()
    local d <close> = daemon.start { scripts = { ["a.lua"] = VERSION:format "old" } }
    d.folder:write("a.lua", [[
return {
  connect = function(conn) conn:write("new\n") end,
  start = function(ctx) if ctx.worker == 2 then error("worker two cannot") end end,
}]])
    local answer = d:reload()
    assert.is_false(answer.ok)
    assert.matches("a%.lua:3: worker two cannot", answer.error)
    assert.matches("worker 2", answer.error)
    for _ = 1, 10 do
      assert.equal("old", greeting(d:address "a"))
    end
    assert.equal(2, #d:services "a")
  end)

  it("refuses a config with a mistake", function()
    local d <close> = daemon.start { scripts = { ["a.lua"] = VERSION:format "old" } }
    d:configure [[service "a" { script = "a.lua", listn = "tcp://127.0.0.1:0" }]]
    local answer = d:reload()
    assert.is_false(answer.ok)
    assert.matches("listn", answer.error)
    assert.matches("listen", answer.error)
    assert.equal("old", greeting(d:address "a"))
  end)

  it("opens listeners that are new and closes those that are gone", function()
    local d <close> = daemon.start {
      scripts = { ["a.lua"] = VERSION:format "a", ["b.lua"] = VERSION:format "b" },
    }
    local a, b = d:address "a", d:address "b"
    d.folder:write("c.lua", VERSION:format "c")
    d:configure [[
service "a" { script = "a.lua", listen = "tcp://127.0.0.1:0" }
service "c" { script = "c.lua", listen = "tcp://127.0.0.1:0" }
]]
    assert.is_true(d:reload().ok)
    assert.equal("a", greeting(a))
    assert.equal("c", greeting(d:address "c"))
    condition.wait_until(function()
      local conn, _, code = net.connect(b)
      if conn then conn:close() end
      return code == "refused"
    end)
  end)

  it("reloads one service alone", function()
    local d <close> = daemon.start {
      scripts = { ["a.lua"] = VERSION:format "a1", ["b.lua"] = VERSION:format "b1" },
    }
    d.folder:write("a.lua", VERSION:format "a2")
    d.folder:write("b.lua", "no Lua at all")
    local answer = d:reload { service = "a" }
    assert.is_true(answer.ok, answer.error)
    assert.equal("a2", greeting(d:address "a"))
    assert.equal("b1", greeting(d:address "b"))
    answer = d:reload { service = "nobody" }
    assert.is_false(answer.ok)
    assert.matches("nobody", answer.error)
  end)

  it("hands the service's own state on, in each worker", function()
    local d <close> = daemon.start {
      workers = 1,
      scripts = { ["hits.lua"] = [[
local hits = 0
return {
  connect = function(conn) hits = hits + 1; conn:write(hits, "\n") end,
  handoff = function() return { hits = hits } end,
  adopt = function(data) hits = data.hits end,
}]] },
    }
    assert.equal("1", greeting(d:address "hits"))
    assert.is_true(d:reload().ok)
    assert.equal("2", greeting(d:address "hits"))
  end)

  it("changes nothing when handoff or adopt raises", function()
    local d <close> = daemon.start {
      scripts = { ["a.lua"] = [[
return {
  connect = function(conn) conn:write("old\n") end,
  handoff = function() return { fn = print } end,
}]] },
    }
    d.folder:write("a.lua", [[
return { connect = function(conn) conn:write("new\n") end, adopt = function() end }]])
    local answer = d:reload()
    assert.is_false(answer.ok)
    assert.matches("handoff: .*data%.fn is a function", answer.error)
    assert.equal("old", greeting(d:address "a"))
  end)

  it("is refused when start, handoff or adopt computes without end", function()
    local d <close> = daemon.start { workers = 1, scripts = { ["a.lua"] = [[
return { connect = function(conn) conn:write("old\n") end, handoff = function() return 1 end }]] } }
    for name, code in pairs {
      start = "start = function() while true do pcall(print) end end",
      adopt = "adopt = function() while true do end end",
    } do
      d.folder:write("a.lua", ("return { connect = print, %s }"):format(code))
      local answer = d:reload()
      assert.is_false(answer.ok, name)
      assert.matches("processor", answer.error, name)
      assert.equal("old", greeting(d:address "a"))
    end
  end)

  it("waits for the one that is under way", function()
    local d <close> = daemon.start { scripts = { ["a.lua"] = VERSION:format "one" } }
    local results = {}
    do
      local group <close> = task.group()
      for i = 1, 4 do
        group:spawn(function() results[i] = d:reload() end)
      end
      group:wait()
    end
    for i = 1, 4 do
      assert.is_true(results[i].ok, results[i].error)
    end
    assert.equal("one", greeting(d:address "a"))
  end)

  it("is undone when a worker is killed in its middle", function()
    local d <close> = daemon.start { scripts = { ["a.lua"] = VERSION:format "old" } }
    d.folder:write("a.lua", [[
local task = require "moonwire.task"
return {
  connect = function(conn) conn:write("new\n") end,
  start = function(ctx) if ctx.worker == 1 then task.sleep(30) end end,
}]])
    local group <close> = task.group()
    local answer
    group:spawn(function() answer = d:reload() end)
    local worker = condition.wait_until(function()
      local status = d:ask { command = "status" }
      return status.state == "reloading" and status.workers[1]
    end)
    condition.wait_until(function() return #d:services "a" == 4 end)
    os.execute(("kill -9 %d"):format(worker.pid))
    group:wait()
    assert.is_false(answer.ok)
    assert.matches("worker 1", answer.error)
    for _ = 1, 10 do
      assert.equal("old", greeting(d:address "a"))
    end
  end)

  it("serves datagrams without a gap", function()
    local d <close> = daemon.start {
      scripts = { ["u.lua"] = ANSWER:format "old" },
      config = [[service "u" { script = "u.lua", listen = "udp://127.0.0.1:0" }]],
    }
    local socket <close> = assert(net.connect_datagram(d:address("u", "udp"), { read_timeout = 5 }))
    socket:send "1"
    assert.equal("old 1", socket:receive())
    d.folder:write("u.lua", ANSWER:format "new")
    assert.is_true(d:reload().ok)
    for i = 1, 20 do
      socket:send(tostring(i))
      assert.matches(" " .. i, (socket:receive()))
    end
    socket:send "x"
    assert.equal("new x", socket:receive())
  end)

  it("lets the old code go on with datagrams that it answers", function()
    local d <close> = daemon.start {
      workers = 1,
      scripts = { ["u.lua"] = [[
        return { datagram = function(socket, data, peer)
          local own = require "moonwire.net".datagram("udp://127.0.0.1:0")
          own:send(data, peer)
          own:send(own:receive(), peer)
        end }]] },
      config = [[service "u" { script = "u.lua", listen = "udp://127.0.0.1:0" }]],
    }
    local socket <close> = assert(net.datagram("udp://127.0.0.1:0", { read_timeout = 10 }))
    socket:send("1", (d:address("u", "udp"):gsub("^udp://", "")))
    local data, peer = socket:receive()
    assert.equal("1", data)
    assert.is_true(d:reload().ok)
    socket:send("2", peer)
    assert.same({ "2", peer }, { socket:receive() })
  end)
end)
