--- What is alive in this process: tasks, streams, timers, descriptors. The
--- runner compares it before and after each case. Not for scripts.
local core = require "moonwire.core"
local lfs = require "lfs"
local task = require "moonwire.task"

local usage = {}

local SETTLE_SECONDS <const> = 2 -- what closes in the background may take
local NAMES <const> = { "tasks", "streams", "timers" }

---@class moonwire.test.usage
---@field tasks integer
---@field streams integer
---@field timers integer
---@field descriptors table<string, string> number → what it is open on

local function descriptors()
  local found = {}
  for name in lfs.dir("/proc/self/fd") do
    -- The descriptor of this very listing is open on the folder itself.
    local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
    if name:find("^%d+$") and target and not target:find("^/proc/%d+/fd$") then
      found[name] = target
    end
  end
  return found
end

local function count(set)
  local number = 0
  for _ in pairs(set) do
    number = number + 1
  end
  return number
end

--- What is alive now.
---@return moonwire.test.usage
function usage.measure()
  local measured = core.usage()
  measured.descriptors = descriptors()
  return measured
end

local function new_descriptors(before, after)
  local list = {}
  for number, target in pairs(after) do
    if before[number] ~= target then
      list[#list + 1] = number .. " → " .. target
    end
  end
  table.sort(list)
  return table.concat(list, ", ")
end

local function compare(before, after)
  local leaks = {}
  for _, name in ipairs(NAMES) do
    local more = after[name] - before[name]
    if more > 0 then
      leaks[#leaks + 1] = ("%d %s"):format(more, name)
    end
  end
  local more = count(after.descriptors) - count(before.descriptors)
  if more > 0 then
    local list = new_descriptors(before.descriptors, after.descriptors)
    leaks[#leaks + 1] = ("%d descriptors (%s)"):format(more, list)
  end
  return leaks[1] and table.concat(leaks, ", ")
end

--- Waits until no more is alive than before.
---@param before moonwire.test.usage
---@return string? leaks what is still alive after two seconds; nil: nothing
function usage.leaks_since(before)
  local due = core.now() + SETTLE_SECONDS
  repeat
    collectgarbage()
    local leaks = compare(before, usage.measure())
    if not leaks or core.now() >= due then
      return leaks
    end
    task.sleep(0.01)
  until false
end

return usage
