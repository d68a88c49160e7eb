-- examples/filter.lua — sorts what a client sends. Each connection has a child process, which may be any
-- program that reads its input and writes its output.
--
--   build/moonwire run examples/filter.lua --listen tcp://127.0.0.1:7008 --set program=sort
-- In another terminal:
--   printf 'pear\napple\n' | nc -N 127.0.0.1 7008
local log = require "moonwire.log"
local process = require "moonwire.process"
local task = require "moonwire.task"

-- The program sees the end of its input when the client ends its data, and when it breaks off.
local function feed(conn, child)
  local stdin <close> = child.stdin
  for piece in conn:chunks() do
    if not stdin:write(piece) then
      break -- it reads no more
    end
  end
end

return function(conn, ctx)
  local child, message = process.spawn { ctx.config.program or "sort" }
  if not child then
    conn:write(message, "\n")
    return
  end
  task.spawn(feed, conn, child)
  for piece in child.stdout:chunks() do
    conn:write(piece)
  end
  local status = child:wait()
  if status ~= 0 then
    log.warn("the program failed", { status = status })
  end
end
