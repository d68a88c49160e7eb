-- examples/relay.lua — a port relay: joins each connection to one of its own to the target, both ways.
--
--   build/moonwire run examples/line_echo.lua --listen tcp://127.0.0.1:7001
--   build/moonwire run examples/relay.lua --listen tcp://127.0.0.1:7003 --set target=tcp://127.0.0.1:7001
-- In another terminal:
--   nc 127.0.0.1 7003
local log = require "moonwire.log"
local net = require "moonwire.net"

local relay = {}

function relay.start(ctx)
  if not ctx.config.target then
    error("where to? --set target=tcp://HOST:PORT", 0)
  end
end

function relay.connect(client, ctx)
  local server, err = net.connect(ctx.config.target, { timeout = 5 })
  if not server then
    log.warn("the target cannot be reached", { reason = err })
    return
  end
  net.relay(client, server)
end

return relay
