--- Judges one script, in a Lua state of its own. Not for scripts.
local core = require "moonwire.core"
local message = require "moonwire.probe.message"
local script = require "moonwire.script"
local service_table = require "moonwire.service_table"

local judge = {}

local function names_of(service)
  local names = {}
  for name in pairs(service or {}) do
    names[#names + 1] = name
  end
  for name in pairs(service and service.doors or {}) do
    names[#names + 1] = "door:" .. name
  end
  return table.concat(names, " ")
end

local function run(path, sources)
  local chunk, problem = script.load { script = path, sources = sources }
  if not chunk then
    error(problem, 0)
  end
  return service_table.of(chunk())
end

--- Loads a script: all is strings, since they come from another state and go there.
---@param path string
---@param text string of the script
---@param cpu string seconds of the processor that it may take to load; "inf": no limit
---@return string|false fault with file, line and message
---@return string names of the service's fields; of a program: ""
---@return string ... path and text of each source in turn
function judge.load(path, text, cpu)
  local sources = { [path] = text }
  local ok, service = core.attempt(tonumber(cpu) or math.huge, run, path, sources)
  local list, paths = {}, {}
  for source, content in pairs(sources) do
    paths[#paths + 1] = source
    list[#list + 1], list[#list + 2] = source, content
  end
  return not ok and message.whole(service, path, paths), ok and names_of(service) or "", table.unpack(list)
end

return judge
