--- The scenarios of faults_test.c: each uses a part of Moonwire as scripts do, and ends whatever fails in
--- between.
local bus = require "moonwire.bus"
local dns = require "moonwire.dns"
local log = require "moonwire.log"
local metrics = require "moonwire.metrics"
local net = require "moonwire.net"
local signal = require "moonwire.signal"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local timer = require "moonwire.timer"

local SECONDS <const> = 1 -- what anything here may wait
local OPTIONS <const> = { read_timeout = SECONDS, write_timeout = SECONDS }
local CONNECT_OPTIONS <const> = { timeout = SECONDS, read_timeout = SECONDS, write_timeout = SECONDS }

local scenarios = {}

local function echo(conn)
  for line in conn:lines() do
    conn:write(line, "\n")
  end
end

local function echo_over(listen, connect)
  local listener <close> = assert(net.serve(listen, echo, OPTIONS))
  local conn <close> = assert(net.connect(connect or listener:local_address(), CONNECT_OPTIONS))
  for i = 1, 3 do
    assert(conn:write("line ", i, "\n"))
    assert(conn:read_line(100) == "line " .. i)
  end
  assert(conn:shutdown_write())
  assert(conn:read_all() == "")
end

function scenarios.echo()
  echo_over "tcp://127.0.0.1:0"
end

function scenarios.unix()
  local name = ("unix://@moonwire-faults-%d"):format(math.random(1 << 40))
  echo_over(name, name)
end

function scenarios.accept()
  local listener <close> = assert(net.listen("tcp://127.0.0.1:0", OPTIONS))
  local client <close> = assert(net.connect(listener:local_address(), CONNECT_OPTIONS))
  local conn <close> = assert(listener:accept(SECONDS))
  assert(client:write(("x"):rep(200000)))
  assert(#assert(conn:read(200000)) == 200000)
end

function scenarios.name()
  local listener <close> = assert(net.serve("tcp://127.0.0.1:0", echo, OPTIONS))
  local port = listener:local_address():match("%d+$")
  local conn <close> = assert(net.connect("tcp://localhost:" .. port, CONNECT_OPTIONS))
  assert(conn:write "x\n")
  assert(conn:read_line() == "x")
  assert(dns.addresses("127.0.0.1"))
end

function scenarios.refused()
  local listener = assert(net.listen("tcp://127.0.0.1:0"))
  local address = listener:local_address()
  listener:close()
  local conn, err, code = net.connect(address, CONNECT_OPTIONS)
  assert(not conn and code == "refused", err)
end

function scenarios.datagram()
  local here <close> = assert(net.datagram("udp://127.0.0.1:0", { read_timeout = SECONDS }))
  local there <close> = assert(net.connect_datagram("udp://" .. here:local_address(), OPTIONS))
  assert(there:send(("x"):rep(30000)))
  local data, peer = assert(here:receive())
  assert(here:send(data, peer))
  assert(there:receive() == data)
end

function scenarios.relay()
  local client, front = net.pair()
  local back, server = net.pair()
  local relaying = task.spawn(net.relay, front, back, { idle = SECONDS })
  assert(client:write(("x"):rep(70000)))
  assert(client:shutdown_write())
  assert(#assert(server:read_all()) == 70000)
  server:close()
  assert(relaying:join(SECONDS))
end

function scenarios.send_file()
  local listener <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
    assert(conn:send_file("spec/c/faults.lua"))
  end, OPTIONS))
  local conn <close> = assert(net.connect(listener:local_address(), CONNECT_OPTIONS))
  assert(assert(conn:read_all()):find("scenarios of faults_test.c", 1, true))
end

function scenarios.timers()
  local count, done = 0, sync.event()
  local ticking = timer.every(0.001, function()
    count = count + 1
    if count == 3 then
      done:set()
    end
  end)
  timer.after(0.001, function() end)
  assert(done:wait(SECONDS))
  ticking:cancel()
end

function scenarios.tasks()
  local group <close> = task.group()
  for i = 1, 5 do
    group:spawn(function()
      task.sleep(0.001)
      return i
    end)
  end
  group:spawn(function(...) return select("#", ...) end, table.unpack({}, 1, 200))
  assert(group:wait(SECONDS))
  local sleeper = task.spawn(task.sleep, 60)
  task.yield()
  sleeper:cancel()
  local _, _, code = sleeper:join(SECONDS)
  assert(code == "cancelled")
  local _, _, late = task.with_timeout(0.002, task.sleep, 60)
  assert(late == "timeout")
  local failing = task.spawn(error, "on purpose")
  local _, _, failed = failing:join(SECONDS)
  assert(failed == "error")
end

function scenarios.sync()
  local queue, permits = sync.queue(2), sync.semaphore(1)
  task.spawn(function()
    for i = 1, 5 do
      queue:push(i)
    end
    queue:close()
  end)
  local sum = 0
  for value in queue:values() do
    sum = sum + permits:with(function() return value end)
  end
  assert(sum == 15)
  local event = sync.event()
  timer.after(0.001, event.set, event)
  assert(sync.select { queue, event, timeout = SECONDS })
end

function scenarios.bus()
  local heard = 0
  local listener = task.spawn(function()
    for value in bus.subscribe("room.*") do
      heard = heard + value.number
      if value.number == 3 then
        return true
      end
    end
  end)
  local last <close> = bus.subscribe("room.>", { queue = 2 })
  task.yield()
  for i = 1, 3 do
    assert(bus.publish("room.a", { number = i, list = { "x", true } }) == 2)
  end
  assert(listener:join(SECONDS))
  assert(heard == 6 and last:next(0).number == 2 and last:counters().dropped == 1)
end

function scenarios.signal()
  local handler = signal.on("usr2", function() end)
  task.yield()
  handler:cancel()
end

function scenarios.metrics()
  local name = { labels = { "name" } }
  local visits = metrics.counter("visits_total", "Visits.", name)
  local seconds = metrics.histogram("visit_seconds", "Time.", name)
  for i = 1, 5 do
    visits:add(1, i)
    seconds:observe(i, "x")
  end
  assert(metrics.text():find('visits_total{service="script",name="5"} 1\n', 1, true))
end

function scenarios.log()
  log.info("an entry", { number = 1, text = "two words", long = ("x"):rep(10000), flag = true, list = {} })
  log.error(("y"):rep(10000))
end

return scenarios
