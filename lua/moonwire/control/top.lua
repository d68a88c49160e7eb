--- The command `top`: the daemon live. Not for scripts.
local client = require "moonwire.control.client"
local columns = require "moonwire.control.table"
local connections = require "moonwire.control.connections"
local core = require "moonwire.core"
local rates = require "moonwire.control.rates"
local signal = require "moonwire.signal"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local units = require "moonwire.control.units"

local INTERVAL_SECONDS <const> = 1
local ANSWER_SECONDS <const> = 10
local CONNECTIONS_MAX <const> = 2000 -- that are looked at, of each worker
local SHOWN_MAX <const> = 10 -- connections, where no screen limits them

local WORKERS <const> = {
  { "WORKER", right = true }, { "PID", right = true }, { "STATE" }, { "CPU", right = true },
  { "MEMORY", right = true },
}

local SERVICES <const> = {
  { "SERVICE" }, { "GENERATION", right = true }, { "CONNECTIONS", right = true },
  { "NEW/s", right = true }, { "IN/s", right = true }, { "OUT/s", right = true },
  { "ERRORS/s", right = true }, { "MEMORY", right = true },
}

local CONNECTIONS <const> = {
  { "CONNECTION" }, { "SERVICE" }, { "PEER" }, { "IN/s", right = true }, { "OUT/s", right = true },
  { "PENDING", right = true }, { "WAITS" },
}

local function rows_of(list, fn)
  local rows = {}
  for i, entry in ipairs(list) do
    rows[i] = fn(entry)
  end
  return rows
end

local function worker_row(worker)
  return {
    worker.worker, worker.pid, worker.state, worker.cpu and ("%.0f%%"):format(worker.cpu * 100),
    worker.memory and units.size(worker.memory),
  }
end

local function service_row(service)
  return {
    service.name, service.generation, service.connections,
    units.rate(service.accepted), units.rate(service.received), units.rate(service.sent),
    units.rate(service.errors), units.size(service.memory),
  }
end

local function connection_row(connection)
  return {
    connection.id, connection.service, connection.peer, units.rate(connection.received),
    units.rate(connection.sent), units.size(connection.pending or 0), connection.waits,
  }
end

local function head(status)
  return columns.printable(("moonwire %s, pid %s, up %s, %s, generation %s"):format(
    status.version, status.pid, units.age(status.uptime or 0), status.state, status.generation))
end

local function view(sample, earlier, shown_max)
  local now = rates.between(sample, earlier)
  local lines = { head(sample.status) }
  for _, part in ipairs {
    columns.format(WORKERS, rows_of(now.workers, worker_row)),
    columns.format(SERVICES, rows_of(now.services, service_row)),
    columns.format(CONNECTIONS, rows_of(table.move(now.connections, 1, shown_max, 1, {}), connection_row)),
  } do
    lines[#lines + 1] = ""
    table.move(part, 1, #part, #lines + 1, lines)
  end
  return lines
end

local function look(path)
  local answers, message, kind = client.ask(path, {
    { command = "status" }, { command = "connections", limit = CONNECTIONS_MAX },
  }, ANSWER_SECONDS)
  if not answers then
    return nil, message, kind
  end
  client.without_nulls(answers)
  return { at = core.now(), status = answers[1], connections = (connections.collect(answers[2].workers)) }
end

-- --- without a terminal ---

local function print_once(path, interval)
  local earlier, message, kind = look(path)
  if not earlier then
    return kind, message
  end
  task.sleep(interval)
  local sample
  sample, message, kind = look(path)
  if not sample then
    return kind, message
  end
  io.stdout:write(table.concat(view(sample, earlier, SHOWN_MAX), "\n"), "\n")
  io.stdout:flush()
end

-- --- on a screen ---

local Screen = {}
Screen.__index = Screen

-- Draws over what is there: a screen that is cleared first flickers.
function Screen:draw()
  local width, height = core.terminal.size()
  local lines = self.sample and view(self.sample, self.earlier, height) or {}
  local parts = { "\27[H" }
  for i = 1, math.min(#lines, height - 1) do
    parts[#parts + 1] = columns.cut(lines[i], width) .. "\27[K\r\n"
  end
  parts[#parts + 1] = "\27[J\27[" .. height .. ";1H"
  parts[#parts + 1] = columns.cut(self.fault and columns.printable(self.fault) or "q: end", width) .. "\27[K"
  io.stdout:write(table.concat(parts))
  io.stdout:flush()
end

-- A daemon that is away may come back.
function Screen:look()
  local sample, message = look(self.path)
  self.fault = not sample and message or nil
  if sample then
    self.earlier, self.sample = self.sample, sample
  end
end

local function watch_keys(self)
  local keys = core.input.open()
  repeat
    local typed = keys:read()
  until not typed or typed:find("[qQ]")
  self.ended:set()
end

local function show_live(path, interval, sample)
  local _ <close> = assert(core.terminal.open())
  local group <close> = task.group()
  local self = setmetatable({ path = path, sample = sample, ended = sync.event() }, Screen)
  group:spawn(watch_keys, self)
  local resized = signal.on("winch", function() self:draw() end)
  repeat
    self:draw()
    local ended = self.ended:wait(interval)
    if not ended then
      self:look()
    end
  until ended
  resized:cancel()
end

local function run(path, values)
  local interval = values.interval or INTERVAL_SECONDS
  if not core.editor.is_terminal() then
    return print_once(path, interval)
  end
  local sample, message, kind = look(path)
  if not sample then
    return kind, message
  end
  show_live(path, interval, sample)
end

---@type moonwire.control.command[]
return {
  {
    name = "top",
    usage = "[--interval DURATION]",
    about = "Shows workers, services with what they do each second, and the busiest connections, live.\n"
      .. "q ends it. Where standard output is no terminal, prints once what happened in one interval.",
    options = {
      { name = "interval", value = "DURATION", read = units.read_seconds,
        text = "from one look to the next; default 1s" },
    },
    run = run,
  },
}
