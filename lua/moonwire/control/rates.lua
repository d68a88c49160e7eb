--- What happened between two looks at a daemon. Not for scripts.
local rates = {}

-- Counters of a worker that was replaced begin anew.
local function grown(now, before)
  return math.max(0, (now or 0) - (before or 0))
end

--- A look at the daemon.
---@class moonwire.control.sample
---@field at number seconds
---@field status table the answer of status
---@field connections table[]

local function key_of(worker, service)
  return ("%s %s %s"):format(worker.pid, service.name, service.generation)
end

-- The counters of a sample by whose they are.
local function index(sample)
  local workers, services, connections = {}, {}, {}
  for _, worker in ipairs(sample and sample.status.workers or {}) do
    workers[worker.pid] = worker.report
    for _, service in ipairs(worker.report and worker.report.services or {}) do
      services[key_of(worker, service)] = service
    end
  end
  for _, connection in ipairs(sample and sample.connections or {}) do
    connections[connection.id] = connection
  end
  return workers, services, connections
end

local COUNTERS <const> = { "accepted", "received", "sent", "errors" }

local function new_total(name)
  local total = { name = name, generation = 0, connections = 0, memory = 0 }
  for _, counter in ipairs(COUNTERS) do
    total[counter] = 0
  end
  return total
end

local function add_service(total, service, before, per_second)
  total.connections = total.connections + (service.connections or 0)
  total.memory = total.memory + (service.memory or 0)
  total.generation = math.max(total.generation, service.generation or 0)
  for _, name in ipairs(COUNTERS) do
    total[name] = total[name] + grown(service[name], before[name]) * per_second
  end
end

local function services_of(workers, known, before, per_second)
  local list, by_name = {}, {}
  for _, worker in ipairs(workers) do
    for _, service in ipairs(worker.report and worker.report.services or {}) do
      local total = by_name[service.name]
      if not total then
        total = new_total(service.name)
        by_name[service.name], list[#list + 1] = total, total
      end
      -- Of a worker that was not heard before it is not known what is new.
      local earlier = before[key_of(worker, service)] or not known[worker.pid] and service or {}
      add_service(total, service, earlier, per_second)
    end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

local function workers_of(workers, before, per_second)
  local list = {}
  for i, worker in ipairs(workers) do
    local report, earlier = worker.report or {}, before[worker.pid]
    list[i] = {
      worker = worker.worker, pid = worker.pid, state = worker.state, memory = report.memory,
      cpu = earlier and earlier.cpu and grown(report.cpu, earlier.cpu) * per_second,
    }
  end
  return list
end

local function connections_of(connections, before, per_second)
  local list = {}
  for i, connection in ipairs(connections) do
    local is_new = (connection.age or 0) * per_second < 1
    local earlier = before[connection.id] or is_new and {} or connection
    list[i] = {
      id = connection.id, service = connection.service, peer = connection.peer, pending = connection.pending,
      waits = connection.waits,
      received = grown(connection.received, earlier.received) * per_second,
      sent = grown(connection.sent, earlier.sent) * per_second,
    }
  end
  table.sort(list, function(a, b)
    local left, right = a.received + a.sent, b.received + b.sent
    if left ~= right then
      return left > right
    end
    return tostring(a.id) < tostring(b.id)
  end)
  return list
end

--- Workers with `cpu` (1.0: a whole processor), services and connections with what
--- they did each second; the busiest connections first. Without an earlier sample nothing was done.
---@param sample moonwire.control.sample
---@param earlier? moonwire.control.sample
---@return { workers: table[], services: table[], connections: table[] }
function rates.between(sample, earlier)
  local workers, services, connections = index(earlier)
  local per_second = earlier and sample.at > earlier.at and 1 / (sample.at - earlier.at) or 0
  return {
    workers = workers_of(sample.status.workers or {}, workers, per_second),
    services = services_of(sample.status.workers or {}, workers, services, per_second),
    connections = connections_of(sample.connections, connections, per_second),
  }
end

return rates
