-- examples/fetch.lua — a client: asks several web servers at once for their front page, under one deadline.
--
--   build/moonwire run examples/fetch.lua -- www.debian.org:80 www.lua.org:80
-- Without the Internet, with a web server in another terminal:
--   python3 -m http.server 8000 --bind 127.0.0.1
--   build/moonwire run examples/fetch.lua -- 127.0.0.1:8000 localhost:8000 127.0.0.1:9
local net = require "moonwire.net"
local task = require "moonwire.task"
local timer = require "moonwire.timer"

local DEADLINE <const> = 3 -- seconds for all of it: names, connections, answers

local hosts, results = { ... }, {}

-- The status code, then how many bytes came; or nil, err.
local function fetch(host)
  local conn <close>, err = net.connect(host)
  if not conn then
    return nil, err
  end
  conn:write("GET / HTTP/1.0\r\nHost: ", host, "\r\n\r\n")
  local line, data
  line, err = conn:read_line(1024)
  local status = line and line:match("^HTTP/1%.%d (%d%d%d)")
  if not status then
    return nil, err or "this is not HTTP"
  end
  repeat
    data, err = conn:read_some()
  until not data
  if err ~= "eof" then
    return nil, err
  end
  return status, conn:counters().received
end

local function note(host)
  local begun = timer.now()
  local status, bytes = fetch(host)
  results[host] = status and ("%s, %d bytes in %.3f s"):format(status, bytes, timer.now() - begun) or bytes
end

-- Past the deadline the tasks that are left are cancelled, wherever they wait, and their connections close.
task.with_timeout(DEADLINE, function()
  local group <close> = task.group()
  for _, host in ipairs(hosts) do
    group:spawn(note, host)
  end
  group:wait()
end)
for _, host in ipairs(hosts) do
  io.write(host, ": ", results[host] or ("no answer within %d s"):format(DEADLINE), "\n")
end
