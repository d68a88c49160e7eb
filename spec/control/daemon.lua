--- A daemon as the control commands see it, for specs: a server on a control
--- socket that answers what it is told to, and notes what it was asked.
---
---     local fake <close> = daemon.open { drain = { ok = true } }
---     local status, output, errors = fake:run("drain", "echo")
---     assert.are.same({ command = "drain", service = "echo" }, fake.requests[1])
local folder = require "spec.support.folder"
local json = require "moonwire.json"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"

local daemon = {}

---@class spec.daemon
---@field path string of its socket
---@field requests table[] what it was asked
---@field lines string[] the same as it came
local Daemon = {}
Daemon.__index = Daemon

-- An answer is a table, the bytes of one, or a function that gives either of a request.
local function converse(self, conn)
  for line in conn:lines { max = 65536 } do
    local request = assert(json.decode(line))
    self.lines[#self.lines + 1], self.requests[#self.requests + 1] = line, request
    local answer = self.answers[request.command]
    if type(answer) == "function" then
      answer = answer(request, conn)
    end
    if answer then
      conn:write(type(answer) == "string" and answer or json.encode(answer) .. "\n")
    end
    if not conn:is_open() then
      return
    end
  end
end

---@param answers table<string, any> by command
---@return spec.daemon
function daemon.open(answers)
  local place = folder.new()
  local self = setmetatable({ folder = place, answers = answers, requests = {}, lines = {} }, Daemon)
  self.path = place.path .. "/control.sock"
  self.listener = assert(net.serve("unix://" .. self.path, function(conn) converse(self, conn) end))
  return self
end

--- Runs a command with the path of the socket.
---@param command string
---@param ... string
---@return integer status
---@return string output
---@return string errors
function Daemon:run(command, ...)
  return process.run { moonwire.binary, command, "--control", self.path, ... }
end

--- Ends it.
function Daemon:close()
  self.listener:close()
  self.folder:remove()
end

Daemon.__close = Daemon.close

--- An answer of status: two workers, a service that changes its generation, and one of one worker.
---@return table
function daemon.status()
  local function service(name, generation, connections)
    return {
      name = name, generation = generation, state = generation == 7 and "serving" or "draining", age = 190,
      connections = connections, accepted = 1000 + connections, rate = 1.5, errors = 1,
      tasks = connections + 1,
      refused = { network = 1, connections = 2, address = 3, rate = 4 },
      memory = 2 * 1024 * 1024, received = 1500, sent = 4 * 1024 * 1024 * 1024,
      listeners = { "tcp://127.0.0.1:7000" },
    }
  end
  return {
    ok = true, version = "0.1.0", pid = 4711, uptime = 11520.4, config = "/etc/moonwire/moonwire.lua",
    generation = 7, reloads = { done = 5, failed = 1, last_error = "echo.lua:3: unexpected symbol near '?'" },
    state = "running",
    workers = json.array {
      {
        worker = 1, pid = 4712, state = "running", uptime = 11520, restarts = 0, last_exit = json.null,
        report = {
          memory = 12 * 1024 * 1024, cpu = 3.25,
          services = { service("echo", 7, 10), service("echo", 6, 3), service("chat", 7, 1) },
        },
      },
      {
        worker = 2, pid = 4799, state = "running", uptime = 42, restarts = 2, last_exit = "signal 11",
        report = { memory = 999, cpu = 0, services = { service("echo", 7, 20) } },
      },
      {
        worker = 3, pid = 4800, state = "starting", uptime = 0.2, restarts = 0, last_exit = json.null,
        report = json.null,
      },
    },
  }
end

--- An answer of connections: three of worker 1, one of worker 2.
---@return table
function daemon.connections()
  local function connection(id, age, received)
    return {
      id = id, service = "echo", generation = 7,
      peer = "10.0.0." .. age .. ":4000", ["local"] = "10.0.0.1:7000", age = age, idle = 0.5,
      received = received, sent = 2 * received, pending = 0, waits = "read", since = 0.25,
    }
  end
  return {
    ok = true,
    workers = {
      { worker = 1, report = { connections = {
        connection("1.7.1", 12, 100), connection("1.7.2", 300, 50), connection("1.7.3", 7, 5000),
      } } },
      { worker = 2, report = { connections = { connection("2.7.1", 90, 0) } } },
    },
  }
end

return daemon
