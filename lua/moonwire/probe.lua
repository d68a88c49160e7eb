--- Judges a config and the scripts it names, in a process of its own, before anything of the daemon changes.
--- Not for scripts.
local config = require "moonwire.config"
local core = require "moonwire.core"
local tls = require "moonwire.config.tls"

local probe = {}

local BLOB <const> = { -- what a worker must know of a service; its name and sources besides
  "script", "settings", "sandbox", "processes", "options", "limits", "allow", "deny", "proxies",
  "proxy_timeout", "drain",
}

---@class moonwire.probe.service
---@field name string
---@field workers? integer[]
---@field drain number
---@field listeners table[]
---@field worker table what workers get: see BLOB
---@field tls? { options: table, files: table[], automatic?: boolean } what its certificates are made of

---@class moonwire.probe.result
---@field fault? string
---@field daemon? table
---@field services? moonwire.probe.service[]
---@field files string[] that were read, also when there is a fault

local function add_file(files, path)
  for _, file in ipairs(files) do
    if file == path then
      return
    end
  end
  files[#files + 1] = path
end

-- What Lua's state for the script answered, as tables.
local function unpack_answer(files, fault, names, ...)
  local fields, sources, list = {}, {}, { ... }
  for name in names:gmatch("%S+") do
    fields[name] = true
  end
  for i = 1, #list, 2 do
    sources[list[i]] = list[i + 1]
    add_file(files, list[i])
  end
  return fault or nil, fields, sources
end

-- Its text, or nil and the fault.
local function read_script(service)
  local file <close>, problem = io.open(service.script, "rb")
  local text, why
  if file then
    text, why = file:read("a")
  end
  if not text then
    return nil, ("%s: %s"):format(tostring(service.at), problem or service.script .. ": " .. why)
  end
  return text
end

local function load_script(service, text, files)
  add_file(files, service.script)
  local limits = service.limits
  local memory = limits.memory > 0 and limits.memory or nil
  local options = { sandbox = service.sandbox, name = service.name, memory = memory }
  local cpu = limits.cpu > 0 and tostring(limits.cpu) or "inf"
  local judge <const> = "moonwire.probe.script"
  return unpack_answer(files, core.scratch(options, judge, "load", service.script, text, cpu))
end

-- The first listener of the kind that names no door.
local function has_kind(service, kind)
  for _, listener in ipairs(service.listeners) do
    if listener.kind == kind and not listener.door then
      return listener.address
    end
  end
end

-- The first listener whose door the script does not have.
local function missing_door(service, fields)
  for _, listener in ipairs(service.listeners) do
    if listener.door and not fields["door:" .. listener.door] then
      return listener
    end
  end
end

-- Whether the functions that the script has are those that the listeners need.
local function check_functions(service, fields)
  local stream, datagram = has_kind(service, "stream"), has_kind(service, "datagram")
  local missing = missing_door(service, fields)
  if next(fields) == nil then
    return "the script returned no handler for connections; end it with: return function(conn) … end"
  elseif missing then
    return ('the script has no door "%s", which is that of %s'):format(missing.door, missing.address)
  elseif stream and not (fields.connect or fields.request) then
    return ("the script has no 'connect' or 'request' function, and the service listens on %s"):format(stream)
  elseif datagram and not fields.datagram then
    return ("the script has no 'datagram' function, and the service listens on %s"):format(datagram)
  elseif not service.listeners[1] and not fields.start then
    return "the service listens nowhere and its script has no 'start' function: it would do nothing"
  end
end

-- What the supervisor needs to know of certificates, or nil and the fault. They are judged with the rights
-- that the process began with: keys are for root.
local function judge_certificates(service)
  local options = service.tls
  if not options.automatic then
    local good, why = core.tls.judge(options)
    if not good then
      return nil, ('%s: service "%s": tls: %s'):format(tostring(service.at), service.name, why)
    end
    return { options = options, files = tls.files(options) }
  end
  local certificate, key = core.tls.develop()
  if not certificate then
    return nil, ('%s: service "%s": tls: %s'):format(tostring(service.at), service.name, key)
  end
  options = { pairs = { { certificate_pem = certificate, key_pem = key } } }
  return { options = options, files = {}, automatic = true }
end

-- What has to be read before rights are given up: the text of the script, or nil and the fault; and
-- certificates.
local function read_service(service)
  local text, fault = read_script(service)
  if text and service.tls then
    service.certificates, fault = judge_certificates(service)
    text = service.certificates and text
  end
  return text, fault
end

local function judge_service(service, text, files)
  local fault, fields, sources = load_script(service, text, files)
  if fault then
    return nil, ('%s (service "%s")'):format(fault, service.name)
  end
  fault = check_functions(service, fields)
  if fault then
    return nil, ('%s: %s (service "%s")'):format(service.script, fault, service.name)
  end
  local worker = { name = service.name, sources = sources }
  for _, key in ipairs(BLOB) do
    worker[key] = service[key]
  end
  return {
    name = service.name, workers = service.workers, drain = service.drain, listeners = service.listeners,
    worker = worker, tls = service.certificates,
  }
end

local function choose(services, only)
  local chosen = {}
  for _, service in ipairs(services) do
    if not only or service.name == only then
      chosen[#chosen + 1] = service
    end
  end
  return chosen
end

--- Judges a config and its scripts. Both are read with the rights that the process began with, and modules,
--- which scripts name as they run, with those that are left.
---@param path string
---@param drop fun(user?: string, group?: string): string? gives up rights between the config and the scripts;
---  returns what went wrong
---@param only? string the one service that is to be judged; of the others nothing is said
---@return moonwire.probe.result
function probe.judge(path, drop, only)
  local whole, fault, files = config.read(path)
  if not whole then
    return { fault = fault, files = files }
  end
  files = whole.files
  local chosen, texts, services = choose(whole.services, only), {}, {}
  for i, service in ipairs(chosen) do
    texts[i], fault = read_service(service)
    if fault then
      return { fault = fault, files = files }
    end
  end
  local stand_in
  fault, stand_in = drop(whole.daemon.user, whole.daemon.group)
  if fault then
    return { fault = ("%s: %s"):format(path, fault), files = files }
  end
  whole.daemon.user = whole.daemon.user or stand_in
  for i, service in ipairs(chosen) do
    services[i], fault = judge_service(service, texts[i], files)
    if fault then
      return { fault = fault, files = files }
    end
  end
  return { daemon = whole.daemon, services = services, files = files }
end

--- What the supervisor gets: the bytes of a message, see MW_ORDER_PROBED.
---@param path string of the config
---@param drop fun(user?: string, group?: string): string?
---@param only? string the one service that is to be judged
---@return string
function probe.message(path, drop, only)
  local result = probe.judge(path, drop, only)
  for _, service in ipairs(result.services or {}) do
    service.blob, service.worker = core.data.encode(service.worker), nil
    if service.tls then
      service.tls.options = core.data.encode(service.tls.options)
    end
  end
  return core.data.encode(result)
end

local function count(number, noun)
  return ("%d %s%s"):format(number, noun, number == 1 and "" or "s")
end

--- The same for an operator.
---@param path string of the config
---@param drop fun(user?: string, group?: string): string?
---@return boolean good
---@return string text that says so, or the fault
function probe.check(path, drop)
  local result, listeners = probe.judge(path, drop), 0
  if result.fault then
    return false, result.fault
  end
  for _, service in ipairs(result.services) do
    listeners = listeners + #service.listeners
  end
  local services = count(#result.services, "service")
  return true, ("%s: %s, %s: ok"):format(path, services, count(listeners, "listener"))
end

return probe
