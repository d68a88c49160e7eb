-- Peer: cqueues, a coroutine for each connection: the model nearest to Moonwire's own.
-- luajit peers/cqueues.lua echo|line PORT
local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local jobs = {}

function jobs.echo(conn)
  for data in conn:lines(-65536) do -- a negative format: what is there, up to so many bytes
    conn:write(data)
    conn:flush()
  end
end

-- Answers are flushed when no input is left, so that those of pipelined lines share a system call.
function jobs.line(conn)
  for line in conn:lines("*l") do
    conn:write(line, "\n")
    if conn:pending() == 0 then
      conn:flush()
    end
  end
end

local job = assert(jobs[arg[1]], "the job is echo or line")
local controller = cqueues.new()
local listener = assert(socket.listen { host = "127.0.0.1", port = tonumber(arg[2]), nodelay = true })
assert(listener:listen())

local function serve(conn)
  conn:setmode("b", "b")
  conn:setvbuf("full", 65536)
  conn:onerror(function(_, _, code) return code end) -- errors are returned, not raised
  job(conn)
  conn:close()
end

controller:wrap(function()
  for conn in listener:clients() do
    controller:wrap(serve, conn)
  end
end)
assert(controller:loop())
