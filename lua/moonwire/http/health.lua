--- Servers behind a proxy that are asked again and again how they are. Not for scripts.
local client = require "moonwire.http.client"
local log = require "moonwire.log"
local task = require "moonwire.task"
local url = require "moonwire.http.url"

local health = {}

local KNOWN <const> = { path = "string", interval = "number", timeout = "number", expect = "number",
  rise = "number", fall = "number" }

--- What is wrong with the option; nil: nothing.
---@param options table
---@return string?
function health.problem_of(options)
  for key, value in next, options do
    if not KNOWN[key] then
      return ("option 'check': unknown key '%s' (known: expect, fall, interval, path, rise, timeout)"):format(
        tostring(key))
    elseif type(value) ~= KNOWN[key] then
      return ("option 'check': %s: %s expected, got %s"):format(key, KNOWN[key], type(value))
    end
  end
end

local function is_well(asking, one, options)
  local way = one.way
  local answer = asking:get(url.build({ scheme = way.to.scheme, host = way.to.host, port = way.to.port,
    path = options.path or "/" }), { address = way.address, tls = way.tls, connection = way.connection })
  if not answer then
    return false
  end
  return options.expect and answer.status == options.expect or not options.expect and answer.status < 400
end

local function note(one, well, options)
  one.streak = well ~= one.is_up and (one.streak or 0) + 1 or 0
  local needed = well and (options.rise or 2) or (options.fall or 2)
  if one.streak >= needed then
    one.is_up, one.streak = well, 0
    if well then
      one.down_until, one.fails = 0, 0
    end
    log[well and "info" or "warn"](("upstream %s is %s"):format(one.name, well and "up" or "down"))
  end
end

local function watch(one, options)
  local asking <close> = client.new { timeout = options.timeout or 2, redirects = 0,
    agent = "moonwire-check" }
  while true do
    note(one, is_well(asking, one, options), options)
    task.sleep(options.interval or 5)
  end
end

--- Starts a task for each server, which ends with the service.
---@param group table of upstream.new
---@param options table
function health.start(group, options)
  for _, one in ipairs(group.list) do
    task.spawn(watch, one, options)
  end
end

return health
