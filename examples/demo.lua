-- examples/demo.lua — what `make run` starts: four of the other examples in one process.
--
--   build/moonwire run examples/demo.lua
--   build/moonwire run examples/demo.lua --set chat=7102     another port; also line_echo, relay, udp_time
local chat = require "chat"
local line_echo = require "line_echo"
local net = require "moonwire.net"
local relay = require "relay"
local task = require "moonwire.task"
local udp_time = require "udp_time"

local PORTS <const> = { line_echo = 7001, chat = 7002, relay = 7003, udp_time = 7004 }

local USAGE <const> = [[
The demo runs, for this machine only. Type in another terminal:
  nc 127.0.0.1 {line_echo}                    each line comes back
  nc 127.0.0.1 {chat}                    a chat room: give a nickname, then talk; also /who and /quit
  nc 127.0.0.1 {relay}                    the first one again, through a port relay
  echo | nc -u -w 1 127.0.0.1 {udp_time}     the time
Ctrl-C ends it.]]

local function check(name, port, opened, err, code)
  if code == "in_use" then
    local remedy = "another program has it; choose one: build/moonwire run examples/demo.lua --set %s=%d"
    err = ("%s (%s)"):format(err, remedy:format(name, port + 100))
  end
  return opened or error(err, 0)
end

local function serve(name, port, handler)
  check(name, port, net.serve("tcp://127.0.0.1:" .. port, handler))
end

local function answer_datagrams(name, port, handler)
  local socket = check(name, port, net.datagram("udp://127.0.0.1:" .. port))
  task.spawn(function()
    for data, peer in socket:datagrams() do
      handler(socket, data, peer)
    end
  end)
end

local demo = {}

function demo.start(ctx)
  local ports = setmetatable(ctx.config, { __index = PORTS })
  local target = "tcp://127.0.0.1:" .. ports.line_echo
  serve("line_echo", ports.line_echo, line_echo)
  serve("chat", ports.chat, chat)
  serve("relay", ports.relay, function(conn)
    relay.connect(conn, { config = { target = target } })
  end)
  answer_datagrams("udp_time", ports.udp_time, udp_time.datagram)
  print((USAGE:gsub("{([%w_]+)}", ports)))
end

return demo
