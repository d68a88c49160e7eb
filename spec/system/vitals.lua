--- What a process costs and holds, seen from outside through /proc and, of
--- servers that start spec/fixtures/status.lua, from inside.
local condition = require "spec.support.condition"
local lfs = require "lfs"
local net = require "moonwire.net"

local vitals = {}

local TICKS_A_SECOND <const> = 100 -- USER_HZ of every Linux there is

local function read(id, name)
  local file <close> = assert(io.open(("/proc/%d/%s"):format(id, name)))
  return file:read("a")
end

--- Memory that is in use.
---@param id integer of the process
---@return integer bytes
function vitals.resident(id)
  return 1024 * math.tointeger(tonumber(read(id, "status"):match("VmRSS:%s*(%d+) kB")))
end

--- Processor time used so far.
---@param id integer
---@return number seconds
function vitals.processor(id)
  local fields = {}
  for field in read(id, "stat"):match("%) (.*)"):gmatch("%S+") do
    fields[#fields + 1] = field
  end
  return (fields[12] + fields[13]) / TICKS_A_SECOND -- utime and stime; the first field here is the third
end

--- Open descriptors.
---@param id integer
---@return integer
function vitals.descriptors(id)
  local count = 0
  for name in lfs.dir(("/proc/%d/fd"):format(id)) do
    count = count + (name:find("^%d+$") and 1 or 0)
  end
  return count
end

--- Whether a sanitizer keeps freed memory, so that bounds of memory say nothing.
---@param id integer
---@return boolean
function vitals.is_sanitized(id)
  return read(id, "maps"):find("libasan", 1, true) ~= nil
end

---@class spec.status
---@field tasks integer
---@field streams integer
---@field timers integer
---@field memory integer bytes of Lua
---@field descriptors integer

--- What is alive in a server whose script has `start = dofile "spec/fixtures/status.lua"`.
--- The question itself counts: one task, one stream, one descriptor.
---@param server spec.moonwire
---@return spec.status
function vitals.status(server)
  local id = server.process:pid()
  local conn <close> = assert(net.connect(("unix://@moonwire-status-%d"):format(id)))
  local line = assert(conn:read_line())
  local tasks, streams, timers, memory = line:match("^(%d+) (%d+) (%d+) (%d+)$")
  return {
    tasks = math.tointeger(tonumber(tasks)), streams = math.tointeger(tonumber(streams)),
    timers = math.tointeger(tonumber(timers)), memory = math.tointeger(tonumber(memory)),
    descriptors = vitals.descriptors(id),
  }
end

local function more_than(baseline, status)
  local more = {}
  for _, name in ipairs { "tasks", "streams", "timers", "descriptors" } do
    if status[name] > baseline[name] then
      more[#more + 1] = ("%d %s, %d before"):format(status[name], name, baseline[name])
    end
  end
  return more[1] and table.concat(more, "; ")
end

--- Waits until no more is alive than there was.
---@param server spec.moonwire
---@param baseline spec.status
---@param seconds? number default 5
function vitals.await_baseline(server, baseline, seconds)
  local more
  condition.wait_until(function()
    more = more_than(baseline, vitals.status(server))
    return not more
  end, seconds, function()
    return "still alive: " .. more .. "; gone"
  end)
end

return vitals
