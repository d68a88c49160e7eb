--- What a soak wears out: services of every kind that mistreat what they open, in the ways scripts do.
--- `spec/soak/run.py` starts it and talks to it.
local net = require "moonwire.net"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local timer = require "moonwire.timer"

local FILE <const> = "spec/soak/server.lua"

local acts = {}

function acts.fail()
  error "on purpose"
end

function acts.fail_deep(conn)
  task.with_timeout(5, function()
    local group <close> = task.group()
    group:spawn(task.sleep, 60)
    conn:write(nil)
  end)
end

-- All of these close with the task.
function acts.leave_open()
  timer.after(60, print)
  timer.every(0.05, function() end)
  task.spawn(task.sleep, 60)
  return net.listen "tcp://127.0.0.1:0", net.datagram "udp://127.0.0.1:0", net.pair()
end

function acts.cancel()
  local group <close> = task.group()
  for _ = 1, 5 do
    group:spawn(task.sleep, 60)
  end
  local late = task.spawn(function() task.with_timeout(0.001, task.sleep, 1) end)
  late:cancel()
end

function acts.much(conn)
  for _ = 1, 200 do
    assert(conn:write(("x"):rep(20000), "\n"))
  end
end

function acts.file(conn)
  assert(conn:send_file(FILE))
end

function acts.name(conn)
  local other <close> = assert(net.connect("tcp://localhost:" .. conn:local_address():match("%d+$")))
  assert(other:write "hello\n")
  assert(other:read_line() == "hello")
end

-- To ourselves and back through a relay in memory.
function acts.relay()
  local near, front = net.pair()
  local back, far = net.pair()
  task.spawn(net.relay, front, back, { idle = 1 })
  near:write(("x"):rep(100000))
  near:shutdown_write()
  assert(#far:read_all() == 100000)
end

function acts.queue()
  local queue = sync.queue(1)
  task.spawn(function() queue:push(1) queue:push(2) queue:close() end)
  for _ in queue:values() do
    task.yield()
  end
end

local function serve(conn)
  for line in conn:lines { max = 8192 } do
    if acts[line] then
      acts[line](conn)
    end
    conn:write(line, "\n")
  end
end

local function status(ctx)
  net.serve("unix://" .. ctx.config.status, function(conn)
    collectgarbage()
    local usage = require "moonwire.core".usage()
    conn:write(("%d %d %d\n"):format(usage.tasks, usage.streams, usage.timers))
  end):keep()
end

return {
  start = status,
  options = { read_timeout = 2, write_timeout = 2 },
  connect = serve,
  datagram = function(socket, data, peer)
    if data == "fail" then
      error "on purpose"
    end
    task.sleep(0.001)
    socket:send(data, peer)
  end,
}
