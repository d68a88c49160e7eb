--- Two streams into each other, with somebody who looks at the first bytes of each direction. Once there is
--- nothing more to look for, the bytes pass through Lua no more. Not for scripts.
local core = require "moonwire.core"
local net = require "moonwire.net"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

local relay = {}

local CHUNK <const> = 16 * 1024

-- What both directions share.
---@class moonwire.gate.flow
---@field scanners table<string, moonwire.gate_scanner?> by direction
---@field idle number|false
---@field on_match fun(rule: moonwire.gate_rule, direction: string): boolean
---@field over moonwire.event the directions need nobody any more: `fault`, or the rest goes on without us
---@field fault? table nil, err, code
---@field last number when a byte came
---@field ended integer directions that have
---@field moved table<string, integer>

local function never()
  return false
end

local function finish(flow, ...)
  flow.fault = flow.fault or table.pack(...)
  flow.over:set()
end

-- Nobody has to look any more, in this direction.
local function stop_looking(flow, direction)
  flow.scanners[direction] = nil
  if not next(flow.scanners) then
    flow.over:set()
  end
end

-- False when a rule ends the connection.
local function look(flow, direction, chunk, last)
  local scanner = flow.scanners[direction]
  if not scanner then
    return true
  end
  for _, rule in ipairs(scanner:scan(chunk, last)) do
    if not flow.on_match(rule, direction) then
      finish(flow, nil, "denied by a rule", "denied")
      return false
    end
  end
  return true
end

local function end_direction(flow, direction, to)
  to:shutdown_write()
  flow.ended = flow.ended + 1
  if flow.ended == 2 then
    flow.over:set()
  else
    stop_looking(flow, direction)
  end
end

-- Whether the other direction is silent, too.
local function is_idle(flow)
  return core.now() - flow.last >= flow.idle
end

local function pump(flow, direction, from, to)
  while not flow.over:is_set() do
    local chunk, err, code = from:read_some(CHUNK)
    if chunk then
      if not look(flow, direction, chunk) then
        return
      end
      flow.moved[direction] = flow.moved[direction] + #chunk
      flow.last = core.now()
      local ok
      ok, err, code = to:write(chunk)
      if not ok then
        return finish(flow, nil, err, code)
      elseif flow.scanners[direction] and flow.scanners[direction]:is_done() then
        stop_looking(flow, direction)
      end
    elseif code == "eof" then
      return look(flow, direction, "", true) and end_direction(flow, direction, to)
    elseif code ~= "timeout" or is_idle(flow) then
      return finish(flow, nil, err, code)
    end
  end
end

-- Both directions, until somebody has had enough or there is nothing left to look for.
local function inspect(flow, client, server)
  local group <close> = task.group()
  group:spawn(pump, flow, "client", client, server)
  group:spawn(pump, flow, "server", server, client)
  flow.over:wait()
end

--- As net.relay. `on_match(rule, direction)` says whether it goes on.
function relay.run(client, server, rules, on_match, idle)
  local flow = {
    scanners = rules and { client = rules:scanner "client", server = rules:scanner "server" } or {},
    idle = idle, on_match = on_match or never, over = sync.event(), last = core.now(),
    ended = 0, moved = { client = 0, server = 0 },
  }
  if next(flow.scanners) then
    client:configure { read_timeout = idle, write_timeout = idle }
    server:configure { read_timeout = idle, write_timeout = idle }
    inspect(flow, client, server)
  end
  if flow.fault then
    return table.unpack(flow.fault, 1, flow.fault.n)
  elseif flow.ended == 2 then
    return flow.moved.client, flow.moved.server
  end
  local up, down, code = net.relay(client, server, { idle = idle })
  if not up then
    return nil, down, code
  end
  return flow.moved.client + up, flow.moved.server + down
end

return relay
