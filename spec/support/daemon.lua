--- A daemon of the binary under test, for specs: a config in a folder of its own.
---
---     local daemon <close> = daemon.start { scripts = { ["echo.lua"] = "return function(conn) … end" } }
---     local conn = net.connect(daemon:address "echo")
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local json = require "moonwire.json"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"

local daemon = {}

--- A service that answers each line with a version, to be filled in, and how many lines the connection has
--- sent. A reload moves its connections.
daemon.COUNTER = [[
local function talk(conn, state)
  while true do
    conn:checkpoint(state)
    local line = conn:read_line()
    if not line then return end
    state.count = state.count + 1
    conn:write("%s ", state.count, " ", line, "\n")
  end
end
return { connect = function(conn) talk(conn, { count = 0 }) end, resume = talk }
]]

---@class spec.daemon_options
---@field scripts table<string, string> file → text; by default each is a service of the file's name
---@field config? string text of the config; what is said of workers, control and log stands before it
---@field workers? integer default 2
---@field options? string[] of `moonwire start`
---@field env? table<string, string|false>
---@field binary? string default the binary under test

---@class spec.daemon
---@field folder spec.folder
---@field process spec.process
local Daemon = {}
Daemon.__index = Daemon

local HEAD <const> = [[
workers = %d
control = "%s/control.sock"
drain = 2%s
]]

-- For a daemon that root starts, behind what stands in the head: lines keep their numbers.
local USER <const> = '; user = "nobody"'

local SERVICE <const> = [[
service "%s" { script = "%s", listen = "tcp://127.0.0.1:0" }
]]

-- Whether the folder is root's, and so is the daemon.
local function is_root(place)
  return lfs.attributes(place.path, "uid") == 0
end

local function services(scripts)
  local texts = {}
  for file in pairs(scripts) do
    texts[#texts + 1] = SERVICE:format(file:match("^(.*)%.lua$"), file)
  end
  table.sort(texts)
  return table.concat(texts)
end

--- Writes the config, with what all have in common before the text; as root, who the workers are, too.
---@param text string
function Daemon:configure(text)
  local user = is_root(self.folder) and not text:find "%f[%w]user = " and USER or ""
  self.folder:write("moonwire.lua", HEAD:format(self.workers, self.folder.path, user) .. text)
end

-- With its log in a file, or with only warnings in it, a daemon that answers is ready.
local function is_ready(self)
  if self:log():find "serving generation" then
    return true
  end
  local ok, answer = pcall(self.ask, self, { command = "status" })
  return ok and answer.generation == 1
end

local function await_start(self)
  condition.wait_until(function()
    return is_ready(self) or self.process:status()
  end, 20, function()
    return "the daemon is not ready; its log:\n" .. self:log() .. "\n"
  end)
  if self.process:status() then
    error("the daemon ended: " .. self:log(), 0)
  end
end

--- Starts a daemon and waits until it is ready.
---@param options spec.daemon_options
---@return spec.daemon
function daemon.start(options)
  local self = setmetatable({ folder = folder.new(), workers = options.workers or 2 }, Daemon)
  for name, text in pairs(options.scripts or {}) do
    self.folder:write(name, text)
  end
  self:configure(options.config or services(options.scripts))
  self.config = self.folder.path .. "/moonwire.lua"
  local words = { options.binary or moonwire.binary, "start", "-c", self.config, env = options.env }
  table.move(options.options or {}, 1, #(options.options or {}), #words + 1, words)
  self.process = process.start(words)
  local ok, message = pcall(await_start, self)
  if not ok then
    self:stop()
    error(message, 2)
  end
  return self
end

--- Its log so far.
---@return string
function Daemon:log()
  return self.process:errors()
end

--- Waits until the log has an entry that matches, and returns its line.
function Daemon:wait_for_log(pattern, seconds)
  return condition.wait_for_entry(function() return self:log() end, pattern, seconds)
end

--- Where a service listens, as the log says.
---@param name string
---@param scheme? string default "tcp"
---@param log? string the log, when it is not on standard error
---@return string address
function Daemon:address(name, scheme, log)
  local found
  for line in (log or self:log()):gmatch "[^\n]+" do
    if line:find " listening " and line:find("service=" .. name, 1, true) then
      found = line:match "address=(%S+)"
    end
  end
  if not found then
    error("no listener of " .. name, 2)
  end
  return found:find "://" and found or (scheme or "tcp") .. "://" .. found
end

--- Sends a request to the control socket.
---@param request table
---@return table answer
function Daemon:ask(request)
  local address = "unix://" .. self.folder.path .. "/control.sock"
  local conn <close> = assert(net.connect(address, { read_timeout = 120 }))
  assert(conn:write(json.encode(request), "\n"))
  return assert(json.decode(assert(conn:read_line(64 * 1024 * 1024))))
end

--- What the workers report of their services: a list of entries, each with its worker.
---@param name? string only this one's
---@return table[]
function Daemon:services(name)
  local entries = {}
  for _, worker in ipairs(self:ask({ command = "status" }).workers) do
    local report = worker.report ~= json.null and worker.report or {}
    for _, entry in ipairs(report.services or {}) do
      if not name or entry.name == name then
        entry.worker = worker.worker
        entries[#entries + 1] = entry
      end
    end
  end
  return entries
end

--- Reloads, and returns the answer.
---@param request? table further fields
---@return table
function Daemon:reload(request)
  request = request or {}
  request.command = "reload"
  return self:ask(request)
end

--- Runs a control command of the binary under test.
---@param ... string
---@return integer status
---@return string output
---@return string errors
function Daemon:run(...)
  local words = { moonwire.binary, ... }
  words[#words + 1] = "--control"
  words[#words + 1] = self.folder.path .. "/control.sock"
  return process.run(words)
end

--- Ends it if it still runs. The log stays readable.
---@return integer? status
function Daemon:stop()
  local status = self.process and self.process:stop()
  self.folder:remove()
  return status
end

Daemon.__close = Daemon.stop

return daemon
