--- Waiting for the first of several. Scripts get it from moonwire.sync. Not for scripts.
local List = require "moonwire.sync.list"
local Waiter = require "moonwire.sync.waiter"
local core = require "moonwire.core"

-- --- tasks: a gate that opens when one ends -----------------------------------

local Ending = {}
Ending.__index = Ending

function Ending:try()
  return self.task:status() == "done"
end

function Ending:release() -- luacheck: ignore 212
end

local function collect_results(watched)
  return watched:join()
end

-- Stands at the end of the task for all in line.
local function watch(gate)
  gate.task:join()
  for place in gate.line.first, gate.line do
    place.waiter:call(place, true)
  end
end

local function is_task(value)
  return type(value) == "userdata" and pcall(core.task.current().status, value)
end

-- --- the sources ---------------------------------------------------------------

local function misuse(problem)
  error(("bad argument #1 to 'select' (%s)"):format(problem), 0)
end

local function to_source(object, position)
  local metatable = getmetatable(object)
  local open = type(metatable) == "table" and rawget(metatable, "__source")
  if open then
    local gate, collect = open(object)
    return { object = object, gate = gate, collect = collect }
  end
  if not is_task(object) then
    misuse(("[%d] must be a queue, an event, a semaphore or a task, not a %s"):format(position, type(object)))
  end
  if object == core.task.current() then
    misuse(("[%d] is the running task: it cannot wait for its own end"):format(position))
  end
  local gate = setmetatable({ task = object, line = List.new() }, Ending)
  return { object = object, gate = gate, collect = collect_results, is_task = true }
end

local function check_keys(options)
  local count = #options
  for key in pairs(options) do
    if math.type(key) ~= "integer" or key < 1 or key > count then
      if key ~= "timeout" then
        misuse(("unknown option '%s' (known: timeout)"):format(tostring(key)))
      end
    end
  end
end

-- --- the wait ------------------------------------------------------------------

local function finish(sources, granted, index)
  if granted == nil then
    return nil, "timeout", "timeout"
  end
  local source = sources[index]
  return index, source.collect(source.object, granted)
end

-- The first that is open or will never be.
local function look(sources)
  for index, source in ipairs(sources) do
    if source.gate:try() then
      return true, index
    elseif source.gate.ended then
      return false, index
    end
  end
end

local function stand(waiter, sources, group)
  for _, source in ipairs(sources) do
    waiter:stand_at(source.gate)
    if source.is_task then
      group:spawn(watch, source.gate)
    end
  end
end

local function needs_watchers(sources)
  for _, source in ipairs(sources) do
    if source.is_task then
      return true
    end
  end
  return false
end

local function wait(sources)
  local group <close> = needs_watchers(sources) and core.task.group() or nil
  local waiter <close> = Waiter.new("select")
  stand(waiter, sources, group)
  return finish(sources, waiter:wait(sources.timeout))
end

local select = {}

--- What to wait for, as `first` takes it. Raises without a position.
---@param options table as of sync.select
---@return table
function select.read(options)
  if type(options) ~= "table" then
    misuse(("table expected, got %s"):format(type(options)))
  end
  check_keys(options)
  local timeout = options.timeout
  if timeout ~= nil and not (type(timeout) == "number" and timeout >= 0) then
    misuse("option 'timeout': seconds, not negative, expected")
  end
  local sources = { timeout = timeout }
  for position = 1, #options do
    sources[position] = to_source(options[position], position)
  end
  if not sources[1] then
    misuse("nothing to wait for")
  end
  return sources
end

--- Waits for the first source. Results are those of sync.select.
---@param sources table
function select.first(sources)
  local granted, index = look(sources)
  if granted ~= nil or sources.timeout == 0 then
    return finish(sources, granted, index)
  end
  return wait(sources)
end

return select
