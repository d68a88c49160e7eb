-- examples/broadcast.lua — what one client says all hear, also those of other workers and services.
--
--   build/moonwire run examples/broadcast.lua --listen tcp://127.0.0.1:7009
-- In two other terminals; type a line in one of them:
--   nc 127.0.0.1 7009
-- In a daemon with several workers it needs no change: config/moonwire.lua with workers = 4.
local bus = require "moonwire.bus"
local task = require "moonwire.task"

-- Who reads too slowly misses lines, and holds up nobody: write waits, the queue fills, its oldest line goes.
local function pass_on(messages, conn)
  for message, topic in messages do
    conn:write(topic, " ", message.from, ": ", message.text, "\n")
  end
end

return function(conn)
  local messages <close> = bus.subscribe("said.*", { queue = 100 })
  task.spawn(pass_on, messages, conn)
  for line in conn:lines { max = 1000 } do
    bus.publish("said.here", { from = conn:peer_address(), text = line })
  end
end
