--- The main task of a daemon's service: one generation in one worker. Loads the
--- script, starts it, serves until it is told to stop. Not for scripts.
local core = require "moonwire.core"
local datagrams = require "moonwire.datagrams"
local log = require "moonwire.log"
local operator = require "moonwire.operator"
local script = require "moonwire.script"
local service_table = require "moonwire.service_table"
local task = require "moonwire.task"

local service = {}

-- Is the config's to name: workers may not read keys, and whom to trust is for the operator to say.
local OF_THE_CONFIG <const> = { "tls", "proxies", "proxy_timeout" }

-- What connections have as options: those of the script, and above them those of the config.
local function stream_options(of_script, options)
  local all = {}
  for key, value in pairs(of_script or {}) do
    all[key] = value
  end
  for _, name in ipairs(OF_THE_CONFIG) do
    if all[name] then
      log.warn(("the script's option '%s' is not used: the config has %s = …"):format(name, name))
      all[name] = nil
    end
  end
  for key, value in pairs(options.options or {}) do
    all[key] = value
  end
  return all
end

-- The script's table, started. Raises what the script does.
local function start(options, ctx)
  local chunk = assert(script.load(options))
  local provider = service_table.of(chunk())
  if not provider then
    error(("%s returned no handler for connections"):format(options.script), 0)
  end
  provider.options = stream_options(provider.options, options)
  if provider.start then
    provider.start(ctx)
  end
  return provider
end

-- Sockets of the older generation and ours are the same for the kernel: what
-- arrives is read by one of the two.
local function open_datagrams(provider, ctx)
  local sockets = {}
  for descriptor in core.service.take_datagram do
    local socket, receiver = datagrams.serve(("fd://%d"):format(descriptor), provider, ctx)
    if socket then
      sockets[#sockets + 1] = { socket = socket, receiver = receiver }
    else
      log.error(receiver)
    end
  end
  return sockets
end

-- What may be waited for is shared by `stop`, the datagrams that are answered, and the connections that are
-- left.
local function stop(provider, ctx, sockets)
  local due = core.now() + core.service.drain_time()
  for _, opened in ipairs(sockets) do
    opened.socket:close()
  end
  if provider.stop then
    local ok, message = pcall(task.with_timeout, core.service.drain_time(), provider.stop, ctx)
    if not ok then
      log.error("stop failed", { reason = message })
    end
  end
  for _, opened in ipairs(sockets) do
    opened.receiver:join(math.max(due - core.now(), 0))
  end
  core.service.drain(math.max(due - core.now(), 0))
end

--- Runs a service to its end.
---@param options table what the config says of it, with generation and worker
function service.main(options)
  local ctx = {
    config = options.settings or {}, name = options.name,
    generation = options.generation, worker = options.worker,
  }
  local ok, provider = xpcall(start, tostring, options, ctx)
  if not ok then
    return core.service.fail(provider)
  end
  operator.look_at(provider, ctx)
  for name, door in pairs(provider.doors or {}) do
    core.service.door(door, ctx, stream_options(door.options, options), name)
  end
  core.service.ready(provider, ctx, provider.options)
  local sockets = {}
  repeat
    if core.service.is_serving() and #sockets == 0 then
      sockets = open_datagrams(provider, ctx)
    end
  until core.main.wait()
  stop(provider, ctx, sockets)
end

return service
