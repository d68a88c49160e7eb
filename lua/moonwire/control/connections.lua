--- The commands `connections` and `kill`. Not for scripts.
local columns = require "moonwire.control.table"
local units = require "moonwire.control.units"

local COLUMNS <const> = {
  { "ID" }, { "SERVICE" }, { "GENERATION", right = true }, { "PEER" }, { "LOCAL" },
  { "AGE", right = true }, { "IDLE", right = true },
  { "RECEIVED", right = true }, { "SENT", right = true }, { "PENDING", right = true },
  { "WAITS" }, { "SINCE", right = true },
}

local SORTS <const> = { age = true, idle = true, received = true, sent = true, pending = true, since = true }

local function read_sort(text)
  if SORTS[text] then
    return text
  end
  return nil, "age, idle, received, sent, pending or since"
end

local connections = {}

--- The connections of all workers, and what is missing.
---@param workers table[] of the answer
---@return table[] list
---@return string? fault
function connections.collect(workers)
  local list, silent = {}, {}
  for _, worker in ipairs(workers) do
    local report = worker.report
    if not report or report.error then
      local reason = report and report.error or "gives no answer"
      silent[#silent + 1] = ("worker %s %s"):format(worker.worker, reason)
    end
    for _, connection in ipairs(report and report.connections or {}) do
      list[#list + 1] = connection
    end
  end
  if not workers[1] then
    return list, "no worker runs"
  end
  return list, silent[1] and table.concat(silent, "; ")
end

local function sort(list, key)
  table.sort(list, function(a, b)
    local left, right = a[key] or -1, b[key] or -1
    if left ~= right then
      return left > right
    end
    return tostring(a.id) < tostring(b.id)
  end)
end

local function row_of(connection)
  return {
    connection.id, connection.service, connection.generation, connection.peer, connection["local"],
    connection.age and units.age(connection.age), connection.idle and units.age(connection.idle),
    units.size(connection.received or 0), units.size(connection.sent or 0),
    units.size(connection.pending or 0),
    connection.waits, connection.since and units.age(connection.since),
  }
end

local function add_stack(lines, stack)
  for line in (stack or ""):gmatch("[^\n]+") do
    lines[#lines + 1] = "    " .. columns.printable(line:gsub("\t", "  "))
  end
end

local function show(answer, values)
  local list, fault = connections.collect(answer.workers or {})
  if values.sort then
    sort(list, values.sort)
  end
  local rows, lines = {}, {}
  for i = 1, math.min(#list, values.limit or #list) do
    rows[i] = row_of(list[i])
  end
  for i, line in ipairs(columns.format(COLUMNS, rows)) do
    lines[#lines + 1] = line
    add_stack(lines, i > 1 and list[i - 1].stack)
  end
  return table.concat(lines, "\n") .. "\n", fault
end

-- Each worker cuts its own list: what is to be sorted must be there whole.
local function request(values)
  return {
    command = "connections", service = values.service, peer = values.peer,
    stack = values.stack or values.locals, locals = values.locals,
    limit = not values.sort and values.limit or nil,
  }
end

local function check_kill(values)
  local ways = #values + (values.service and 1 or 0) + (values.peer and 1 or 0)
  return ways ~= 1 and "kill takes either an ID or --service or --peer" or nil
end

local function show_killed(answer)
  local killed = answer.killed or 0
  return ("killed %d\n"):format(killed), killed == 0 and "no such connection" or nil
end

---@type moonwire.control.command
connections[1] = {
  name = "connections",
  usage = "[options]",
  about = "Lists the connections: how old they are, what went over them, what their tasks wait for and\n"
    .. "since when.",
  options = {
    { name = "service", value = "NAME", text = "only those of this service" },
    { name = "peer", value = "ADDRESS", text = "only those from there; or a network: 10.0.0.0/8" },
    { name = "sort", value = "KEY", read = read_sort,
      text = "largest first by age, idle, received, sent, pending or since" },
    { name = "limit", value = "COUNT", read = units.read_count, text = "that many lines at most" },
    { name = "stack", text = "with the stack of the task, in Lua" },
    { name = "locals", text = "with the stack and its local variables" },
    { name = "json",
      text = "the daemon's answer as it is, one JSON document; --limit is for each worker then" },
  },
  check = function(values)
    return values.json and values.sort and "--sort is for the table: --json gives what the daemon says" or nil
  end,
  request = request,
  show = show,
}

---@type moonwire.control.command
connections[2] = {
  name = "kill",
  usage = "ID | --service NAME | --peer ADDRESS",
  about = "Closes connections at once, and cancels their tasks. ID is what 'moonwire connections' shows.\n"
    .. "The status is 1 when there is no such connection.",
  operands = { least = 0, most = 1 },
  options = {
    { name = "service", value = "NAME", text = "all of this service" },
    { name = "peer", value = "ADDRESS", text = "all from there; or from a network: 10.0.0.0/8" },
    { name = "json", text = "the daemon's answer as it is, one JSON document" },
  },
  check = check_kill,
  request = function(values)
    return { command = "kill", id = values[1], service = values.service, peer = values.peer }
  end,
  show = show_killed,
}

return connections
