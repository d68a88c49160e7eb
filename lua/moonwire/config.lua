--- Reads and checks the config file of the daemon. Not for scripts.
local kind = require "moonwire.config.kind"
local place = require "moonwire.config.place"
local reader = require "moonwire.config.reader"
local schema = require "moonwire.config.schema"

local config = {}

local SERVICES_MOST <const> = 256 -- as many as have counts in shared memory

---@class moonwire.config.service
---@field name string
---@field at moonwire.config.place
---@field script string path
---@field listeners table[] { address, kind, backlog?, mode?, v6_only?, nodelay?, keepalive?, door? }
---@field workers? integer[] numbers; nil: all
---@field settings table
---@field sandbox boolean
---@field processes boolean
---@field drain number
---@field tls? table see moonwire.config.tls
---@field limits table 0: no limit
---@field allow string[]
---@field deny string[]
---@field proxies string[] networks, and "unix"
---@field proxy_timeout number
---@field options table those that the config names

---@class moonwire.config.whole
---@field daemon table
---@field services moonwire.config.service[]
---@field files string[] that were read

-- The processors that this process may use.
local function count_cores()
  local file <close> = io.open "/proc/self/status"
  local list, count = file and file:read("a"):match("\nCpus_allowed_list:%s*([%d,-]+)"), 0
  for first, last in (list or "0"):gmatch("(%d+)%-?(%d*)") do
    count = count + (tonumber(last) or tonumber(first)) - tonumber(first) + 1
  end
  return math.min(count, schema.WORKERS_MOST)
end

-- Each option is read where it was set, so that a fault names that line.
local function read_daemon(reading)
  local daemon = {}
  for _, field in ipairs(schema.daemon) do
    local setting = reading.options[field.name]
    local at = setting and setting.at or place.new(reading.files[1])
    local value = setting and setting.value
    if value == nil then
      value = field.default
    end
    if value ~= nil then
      daemon[field.name] = field.kind.read(value, at:below(field.name))
    end
  end
  if daemon.group and not daemon.user then
    reading.options.group.at:fail("group: does nothing without user; set both")
  end
  daemon.workers = daemon.workers == "auto" and count_cores() or daemon.workers
  return daemon
end

local function is_there(path)
  local file <close>, _, code = io.open(path)
  return file or code ~= 2 -- ENOENT
end

-- The folder that Moonwire's own folder `lua` is in: examples and scripts lie there, too. This file need not
-- be there any more.
local INSTALLED <const> = debug.getinfo(1, "S").source:match "^@(.*)/lua/moonwire/config%.lua$"

local function find_script(name, folder, at)
  local places = name:sub(1, 1) == "/" and { name } or { folder .. name, INSTALLED .. "/" .. name }
  for _, path in ipairs(places) do
    if is_there(path) then
      return path
    end
  end
  at:fail("script: there is no file %s", table.concat(places, ", and no "))
end

-- The numbers of the workers of a service; nil: all.
local function to_workers(given, daemon, at)
  local numbers, seen = {}, {}
  for i = 1, math.type(given) and given or #given do
    local number = math.type(given) and i or given[i]
    if number > daemon.workers then
      at:fail("workers: there is no worker %d, there are %d; set workers = %d for the daemon, or fewer here",
        number, daemon.workers, number)
    elseif not seen[number] then
      numbers[#numbers + 1], seen[number] = number, true
    end
  end
  table.sort(numbers)
  if #numbers == 0 then
    at:fail("workers: one worker at least must run the service")
  end
  return #numbers < daemon.workers and numbers or nil
end

-- The marks that are not named here are those of the network's own defaults.
local function check_marks(options, at)
  local marks = {}
  for _, name in ipairs { "low_mark", "high_mark", "queue_limit" } do
    local field = kind.field(kind.field(schema.service, "options").kind.fields, name)
    marks[name] = options[name] or field.kind.read(field.default, at)
  end
  if marks.low_mark > marks.high_mark then
    at:fail("options: low_mark must not be above high_mark, %d > %d", marks.low_mark, marks.high_mark)
  elseif marks.high_mark > marks.queue_limit then
    at:fail("options: high_mark must not be above queue_limit, %d > %d", marks.high_mark, marks.queue_limit)
  end
end

local function check_rate(limits, at)
  if limits.accept_rate == 0 and limits.accept_burst > 0 then
    at:fail("limits.accept_burst: does nothing without limits.accept_rate; set both")
  end
  if limits.accept_rate > 0 and limits.accept_burst == 0 then
    limits.accept_burst = math.max(1, math.ceil(limits.accept_rate))
  end
end

local function check_certificates(service, at)
  for _, listener in ipairs(service.listen) do
    if listener.tls and not service.tls then
      at:fail('listen: %s needs certificates; add tls = { certificate = FILE, key = FILE }, '
        .. 'or tls = "auto" to try things out', listener.address)
    end
  end
end

local service_table = kind.options(schema.service)

local function read_service(given, daemon)
  local at = given.at
  local service = service_table.read(given.value, at)
  if not service.script then
    at:fail('script: nothing says what the service does; add script = "FILE.lua"')
  end
  check_marks(service.options, at)
  check_rate(service.limits, at)
  check_certificates(service, at)
  service.name, service.at = given.name, at
  service.script = find_script(service.script, given.folder, at)
  service.listeners, service.listen = service.listen, nil
  service.workers = service.workers and to_workers(service.workers, daemon, at)
  service.drain = service.drain or daemon.drain
  return service
end

-- Names, and listeners, must differ.
local function check_others(services)
  local names, listeners = {}, {}
  for _, service in ipairs(services) do
    local at = service.at
    if names[service.name] then
      place.new(at.file, at.line):fail('there is a service "%s" already, at %s; give one another name',
        service.name, tostring(names[service.name].at))
    end
    names[service.name] = service
    for _, one in ipairs(service.listeners) do
      local other = one.name and listeners[one.name]
      if other then
        at:fail('listen: %s is the address of the service "%s" at %s, too; give one another port',
          one.address, other.name, tostring(other.at))
      end
      listeners[one.name or one] = service
      one.name = nil
    end
  end
end

-- Where there is an address for metrics, a service answers there: all workers count in the same memory.
local function metrics_service(reading, listen)
  return {
    name = "metrics", at = reading.options.metrics.at:of_service("metrics"), folder = INSTALLED .. "/",
    value = { script = "scripts/metrics.lua", listen = listen, workers = { 1 } },
  }
end

-- Where there is a bus that other daemons share, a service joins it: one for all workers.
local function bus_service(reading, url)
  return {
    name = "bus", at = reading.options.bus.at:of_service("bus"), folder = INSTALLED .. "/",
    value = { script = "scripts/bus.lua", settings = { url = url }, workers = { 1 } },
  }
end

-- The services of the config, and those that options of the daemon stand for.
local function all_services(reading, daemon)
  local given = table.move(reading.services, 1, #reading.services, 1, {})
  if daemon.metrics.listen then
    given[#given + 1] = metrics_service(reading, daemon.metrics.listen)
  end
  if daemon.bus then
    given[#given + 1] = bus_service(reading, daemon.bus)
  end
  return given
end

local function judge(reading)
  local daemon, services = read_daemon(reading), {}
  for i, one in ipairs(all_services(reading, daemon)) do
    services[i] = read_service(one, daemon)
    daemon.processes = daemon.processes or services[i].processes
  end
  daemon.processes = daemon.processes or false
  check_others(services)
  if #services > SERVICES_MOST then
    services[SERVICES_MOST + 1].at:fail("there are more than %d services", SERVICES_MOST)
  end
  return { daemon = daemon, services = services, files = reading.files }
end

local function protect(fn, ...)
  local ok, result = pcall(fn, ...)
  if ok then
    return result
  elseif type(result) == "table" and result.fault then
    return nil, result.fault, result.files
  end
  error(result, 0)
end

--- Reads a config and all that it includes.
---@param path string
---@return moonwire.config.whole?
---@return string? fault with file, line and what is expected
---@return string[]? files that were read before the fault
function config.read(path)
  local reading, fault, files = protect(reader.read, path)
  if not reading then
    return nil, fault, files
  end
  local whole, problem = protect(judge, reading)
  return whole, problem, reading.files
end

local function read_control(path)
  local option = reader.read(path, true).options.control
  local field = kind.field(schema.daemon, "control")
  return option and field.kind.read(option.value, option.at:below("control")) or field.default
end

--- The path of the control socket that a config names, whatever else is wrong with it: an operator's shell
--- has neither the variables nor the credentials of the daemon.
---@param path string
---@return string?
---@return string? fault
function config.control(path)
  return protect(read_control, path)
end

return config
