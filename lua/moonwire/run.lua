--- The main task of `moonwire run`: loads one script and serves it until it is
--- told to stop. Not for scripts.
local core = require "moonwire.core"
local datagrams = require "moonwire.datagrams"
local log = require "moonwire.log"
local script = require "moonwire.script"
local service_table = require "moonwire.service_table"
local task = require "moonwire.task"

local run = {}

local STOP_SECONDS <const> = 5 -- what a service's stop function may take
local JOIN_SECONDS <const> = 2 -- that the start waits for a bus that is shared
local LEAVE_SECONDS <const> = 5 -- that the end waits for what was published on it

-- Under --stdio standard error may be the connection, and the log elsewhere.
local has_stderr = true

local function fail(message)
  if not has_stderr then
    log.error(message)
  else
    io.stderr:write("moonwire: ", message, "\n")
  end
  core.main.exit(1)
end

-- "8" is a number, "true" a boolean, anything else a string.
local function to_value(text)
  if text == "true" or text == "false" then
    return text == "true"
  end
  return math.tointeger(tonumber(text)) or tonumber(text) or text
end

-- "limits.size=8" → config.limits.size = 8; "names.1=a" → config.names[1] = "a"
local function set(config, setting)
  local path, value = setting:match("^([^=]+)=(.*)$")
  if not path then
    return nil, ("--set %s: KEY=VALUE expected"):format(setting)
  end
  local place, name = config, nil
  for key in path:gmatch("[^.]+") do
    if name then
      place[name] = type(place[name]) == "table" and place[name] or {}
      place = place[name]
    end
    name = key:find("^[1-9]%d*$") and math.tointeger(tonumber(key)) or key
  end
  if not name then
    return nil, ("--set %s: a key expected before '='"):format(setting)
  end
  place[name] = to_value(value)
  return true
end

local function read_settings(settings)
  local config = {}
  for _, setting in ipairs(settings) do
    local ok, message = set(config, setting)
    if not ok then
      return nil, message
    end
  end
  return config
end

-- What the script says of its HTTP server stands among the options of its connections.
local function split_options(door)
  local options = {}
  for key, value in pairs(door.options or {}) do
    options[key] = value
  end
  options.http = nil
  return options, (door.options or {}).http
end

local function open_http(address, door, ctx)
  local options, http = split_options(door)
  return core.http.serve(address, door.request, options, http, ctx)
end

-- "web=tcp://127.0.0.1:8080" → the door of the script, its name, the address
local function find_door(text, service)
  local name, address = text:match("^([%w_-]+)=(.+)$")
  if not name then
    return service, nil, text
  end
  return (service.doors or {})[name], name, address
end

-- Which function of the door is for what comes to an address. A descriptor is of datagrams where the door has
-- nothing for connections.
local function kind_of(door, address)
  local takes_connections = door.connect or door.request
  if address:find("^udp:") or address:find("^fd:") and door.datagram and not takes_connections then
    return "datagram"
  end
  return door.request and "request" or "connect"
end

local function open(text, service, ctx)
  local door, name, address = find_door(text, service)
  if not door then
    return nil, ("--listen %s: the script has no door '%s'"):format(text, name)
  end
  local kind = kind_of(door, address)
  if not door[kind] then
    return nil, ("--listen %s: the script has no '%s' function"):format(text, kind)
  end
  if kind == "datagram" then
    return datagrams.serve(address, door, ctx)
  end
  if kind == "request" then
    return open_http(address, door, ctx)
  end
  return core.net.serve(address, door.connect, door.options, ctx)
end

local function open_all(addresses, service, ctx)
  local opened = {}
  for i, address in ipairs(addresses) do
    local called, listener, message = pcall(open, address, service, ctx)
    if not called then
      return nil, ("--listen %s: %s"):format(address, listener:match("%((.*)%)$") or listener)
    end
    if not listener then
      return nil, message
    end
    log.info("listening", { door = address:match("^([%w_-]+)="), address = listener:local_address() })
    opened[i] = listener
  end
  return opened
end

local function stop(service, ctx, listeners)
  for _, listener in ipairs(listeners) do
    listener:close()
  end
  if service.stop then
    task.with_timeout(STOP_SECONDS, service.stop, ctx)
  end
end

local function serves_connections(door)
  return door and (door.connect or door.request) and door
end

-- The door that --stdio names; without a name the service itself, or the only one that it has.
local function standard_door(service, name)
  local doors, names = service.doors or {}, {}
  if name ~= "" then
    return doors[name], ("--stdio=%s: the script has no door of that name"):format(name)
  end
  for other in pairs(doors) do
    names[#names + 1] = other
  end
  table.sort(names)
  if serves_connections(service) or not names[1] then
    return serves_connections(service), "--stdio: the script has no function 'connect' or 'request'"
      .. (service.datagram and "; datagrams are for --listen fd://0" or "")
  end
  return not names[2] and doors[names[1]],
    ("--stdio: say --stdio=DOOR; the script has the doors %s"):format(table.concat(names, ", "))
end

-- "cert.pem,key.pem", or the path of both in one → what the option `tls` takes
local function certificate_of(text)
  local certificate, key = text:match("^([^,]+),(.+)$")
  return { certificate = certificate or text, key = key or text }
end

-- The connection that the process was started for. It ends with it.
local function serve_standard(service, choice, ctx)
  local door, message = standard_door(service, choice.stdio)
  if not door then
    return fail(message)
  end
  local options, http = split_options(door)
  if choice.tls and choice.tls ~= "" then
    options.tls = certificate_of(choice.tls)
  end
  local ok
  http = door.request and (http or {}) or nil
  ok, message = core.net.serve_standard(door.request or door.connect, options, ctx, choice.tls ~= nil, http)
  if not ok then
    return fail(message)
  end
  while core.main.served() and not core.main.wait() do -- luacheck: ignore 542
  end
  stop(service, ctx, {})
  local _, failures = core.main.served()
  if failures > 0 then
    core.main.exit(1)
  end
end

local function serve(service, options, ctx)
  if service.start then
    service.start(ctx)
  end
  if options.stdio then
    return serve_standard(service, options, ctx)
  end
  local listeners, message = open_all(options.listen, service, ctx)
  if not listeners then
    return fail(message)
  end
  while core.main.is_busy() and not core.main.wait() do -- luacheck: ignore 542
  end
  stop(service, ctx, listeners)
end

local function run_program(options)
  if options.listen[1] or options.stdio then
    return fail("the script returned no handler for connections; end it with: return function(conn) … end")
  end
  while core.main.is_busy() and not core.main.wait() do -- luacheck: ignore 542
  end
end

-- Loads the script and serves it, or runs it as a program.
local function run_script(options)
  local config, message = read_settings(options.settings)
  if not config then
    return fail(message)
  end
  local chunk
  chunk, message = script.load(options)
  if not chunk then
    return fail(message)
  end
  local service = service_table.of(chunk(table.unpack(options.arguments)))
  if not service then
    return run_program(options)
  end
  serve(service, options, { config = config, name = options.name, generation = 1, worker = 1 })
end

-- A value that is closed at the end of what it surrounds; nil and the problem.
local function join(url)
  local bridge = require "moonwire.bus.bridge"
  local joined, problem = bridge.open(url)
  if not joined then
    return nil, problem
  end
  joined:join(JOIN_SECONDS)
  return setmetatable({}, { __close = function() joined:close(LEAVE_SECONDS) end })
end

--- Runs the script that the command line names.
---@param options table the command line: script or code, listen, settings, arguments, stdio, tls, bus
function run.main(options)
  has_stderr = not options.stdio
  if not options.bus then
    return run_script(options)
  end
  local joined <close>, problem = join(options.bus)
  if not joined then
    return fail("--bus: " .. problem)
  end
  run_script(options)
end

return run
