--- The command `eval`. Not for scripts.
local units = require "moonwire.control.units"

-- → what the worker says, and whether it failed
local function result_of(worker)
  local report = worker.report
  if not report then
    return "no answer", true
  elseif report.error then
    return report.error, true
  end
  return report.result or "", false
end

local function show(answer)
  local workers = answer.workers or {}
  local results, faults = {}, {}
  if not workers[1] then
    return nil, "no worker runs"
  end
  for _, worker in ipairs(workers) do
    local text, failed = result_of(worker)
    local prefix = workers[2] and ("worker %s: "):format(worker.worker) or ""
    if failed then
      faults[#faults + 1] = prefix .. text
    elseif text ~= "" or prefix ~= "" then
      results[#results + 1] = prefix .. text .. "\n"
    end
  end
  return table.concat(results), faults[1] and table.concat(faults, "\nmoonwire: ")
end

---@type moonwire.control.command[]
return {
  {
    name = "eval",
    usage = "SERVICE CODE [options]",
    about = "Runs Lua in the state that a service has in each worker, and prints what it returns.\n"
      .. "The status is 1 when it fails in one of them.",
    operands = { least = 2, most = 2 },
    options = {
      { name = "worker", value = "NUMBER", read = units.read_count, text = "only in this worker" },
      { name = "json", text = "the daemon's answer as it is, one JSON document" },
    },
    request = function(values)
      return { command = "eval", service = values[1], code = values[2], worker = values.worker }
    end,
    show = show,
  },
}
