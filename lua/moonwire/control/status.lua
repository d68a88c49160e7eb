--- The command `status`: what the daemon runs. Not for scripts.
local columns = require "moonwire.control.table"
local units = require "moonwire.control.units"

local WORKERS <const> = {
  { "WORKER", right = true }, { "PID", right = true }, { "STATE" }, { "UP", right = true },
  { "RESTARTS", right = true }, { "MEMORY", right = true }, { "CPU", right = true }, { "LAST EXIT" },
}

local SERVICES <const> = {
  { "SERVICE" }, { "GENERATION", right = true }, { "STATE" }, { "AGE", right = true },
  { "CONNECTIONS", right = true }, { "ACCEPTED", right = true }, { "RATE", right = true },
  { "REFUSED", right = true },
  { "ERRORS", right = true }, { "TASKS", right = true }, { "MEMORY", right = true },
  { "RECEIVED", right = true }, { "SENT", right = true }, { "LISTENERS" },
}

local function optional(format, value)
  return value and format(value)
end

-- What a store holds that some worker has open, which is the same for all.
local function show_usage(workers)
  for _, worker in ipairs(workers or {}) do
    local store = worker.report and worker.report.store
    if store then
      return ("%d%s keys, %s of %s"):format(store.keys, store.more and "+" or "", units.size(store.used),
        units.size(store.most))
    end
  end
  return "not in use"
end

local function show_store(store, workers)
  local where = ("%s %s"):format(store.backend, store.place)
  if store.backend ~= "lmdb" then
    return where
  end
  return ("%s, %s; %s"):format(where, store.kept and "kept" or "gone with the daemon", show_usage(workers))
end

local function head(answer)
  local reloads = answer.reloads or {}
  local lines = {
    ("moonwire %s, pid %s, up %s, %s"):format(
      answer.version, answer.pid, units.age(answer.uptime or 0), answer.state),
    ("config      %s"):format(answer.config),
    ("generation  %s; reloads: %d done, %d failed"):format(
      answer.generation, reloads.done or 0, reloads.failed or 0),
  }
  if answer.store then
    lines[#lines + 1] = "store       " .. show_store(answer.store, answer.workers)
  end
  if reloads.last_error then
    lines[#lines + 1] = ("last fault  %s"):format(reloads.last_error)
  end
  for i, line in ipairs(lines) do
    lines[i] = columns.printable(line)
  end
  return lines
end

local function worker_rows(workers)
  local rows = {}
  for i, worker in ipairs(workers) do
    local report = worker.report or {}
    rows[i] = {
      worker.worker, worker.pid, worker.state, optional(units.age, worker.uptime), worker.restarts or 0,
      optional(units.size, report.memory), optional(units.age, report.cpu),
      worker.last_exit,
    }
  end
  return rows
end

local SUMS <const> = { "connections", "accepted", "errors", "tasks", "received", "sent", "memory", "rate" }

local function refused(service)
  local sum = 0
  for _, count in pairs(service.refused or {}) do
    sum = sum + count
  end
  return sum
end

-- Notes the listeners in the order of their first appearance.
local function add_listeners(total, listeners)
  for _, address in ipairs(listeners or {}) do
    if not total.known[address] then
      total.known[address] = true
      table.insert(total.listeners, address)
    end
  end
end

local function add(total, service)
  for _, name in ipairs(SUMS) do
    total[name] = total[name] + (service[name] or 0)
  end
  total.refused = total.refused + refused(service)
  total.age = math.max(total.age, service.age or 0)
  if total.state ~= service.state then
    total.state = total.state .. "," .. service.state
  end
  add_listeners(total, service.listeners)
end

local function new_total(service)
  local total = {
    name = service.name, generation = service.generation, state = service.state,
    age = 0, refused = 0, listeners = {}, known = {},
  }
  for _, name in ipairs(SUMS) do
    total[name] = 0
  end
  return total
end

local status = {}

--- What all workers together have of each generation of each service.
---@param workers table[] of the answer
---@return table[] totals by name, newest generation first
function status.add_up(workers)
  local totals, by_key = {}, {}
  for _, worker in ipairs(workers) do
    for _, service in ipairs(worker.report and worker.report.services or {}) do
      local key = ("%s %s"):format(service.name, service.generation)
      local total = by_key[key]
      if not total then
        total = new_total(service)
        by_key[key], totals[#totals + 1] = total, total
      end
      add(total, service)
    end
  end
  table.sort(totals, function(a, b)
    if a.name ~= b.name then
      return a.name < b.name
    end
    return a.generation > b.generation
  end)
  return totals
end

local function service_rows(totals)
  local rows = {}
  for i, total in ipairs(totals) do
    rows[i] = {
      total.name, total.generation, total.state, units.age(total.age), total.connections, total.accepted,
      units.rate(total.rate), total.refused, total.errors, total.tasks, units.size(total.memory),
      units.size(total.received), units.size(total.sent), table.concat(total.listeners, " "),
    }
  end
  return rows
end

local function show(answer)
  local lines = head(answer)
  local workers = answer.workers or {}
  for _, part in ipairs {
    columns.format(WORKERS, worker_rows(workers)),
    columns.format(SERVICES, service_rows(status.add_up(workers))),
  } do
    lines[#lines + 1] = ""
    table.move(part, 1, #part, #lines + 1, lines)
  end
  return table.concat(lines, "\n") .. "\n"
end

---@type moonwire.control.command
status[1] = {
  name = "status",
  usage = "[--json]",
  about = "Tells what the daemon runs: its workers, and its services with what all workers together have\n"
    .. "of them.",
  options = { { name = "json", text = "the daemon's answer as it is, one JSON document" } },
  request = function() return { command = "status" } end,
  show = show,
}

return status
