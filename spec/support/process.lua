--- Foreign processes for specs, over moonwire.process. What they write goes into
--- files, which stay readable after the end.
---
---     local server <close> = process.start { "nc", "-l", "127.0.0.1", port }
---     local status, output = process.run { "socat", "-V" }
local child_process = require "moonwire.process"
local folder = require "spec.support.folder"

local process = {}

local WAIT_SECONDS <const> = 10
local TERM_SECONDS <const> = 3

local OPTIONS <const> = { env = true, stdin = true, input = true }

---@class spec.process_options
---@field [integer] string|number the command and its arguments
---@field env? table<string, string|false> what its environment has besides ours; false: has not
---@field stdin? "stream" what is written to the field `stdin` it reads; default: nothing to read
---@field input? string its standard input
---@field seconds? number process.run only: what it may take; default 10

---@class spec.process
---@field stdin? moonwire.stream
local Process = {}
Process.__index = Process

-- Checks the options, whose caller called a public function, and makes them those of spawn.
local function to_command(options)
  local command = { kill_after = TERM_SECONDS, env = options.env, stdin = options.stdin or "null" }
  for key, value in pairs(options) do
    if math.type(key) == "integer" then
      command[key] = value
    elseif not OPTIONS[key] then
      error(("unknown option '%s'"):format(tostring(key)), 3)
    end
  end
  return command
end

local function start(command, input)
  local place = folder.new()
  local out <close> = assert(io.open(place:write("out", ""), "w"))
  local err <close> = assert(io.open(place:write("err", ""), "w"))
  local file <close> = input and assert(io.open(place:write("in", input)))
  command.stdout, command.stderr, command.stdin = out, err, file or command.stdin
  local child, message = child_process.spawn(command)
  if not child then
    place:remove()
    error(message, 0)
  end
  local self = { folder = place, name = tostring(command[1]), child = child, stdin = child.stdin }
  return setmetatable(self, Process)
end

--- Starts a process. `local p <close> = process.start {…}` ends it with the block.
---@param options spec.process_options
---@return spec.process
function process.start(options)
  return start(to_command(options), options.input)
end

--- Runs a process to its end.
---@param options spec.process_options
---@return integer status
---@return string output
---@return string errors
function process.run(options)
  local seconds = options.seconds or WAIT_SECONDS
  options.seconds = nil
  local self <close> = start(to_command(options), options.input)
  local status = self:wait(seconds)
  if not status then
    local written = self:output() .. self:errors()
    error(("%s did not end within %g s; it wrote: %s"):format(self.name, seconds, written), 2)
  end
  return status, self:output(), self:errors()
end

--- Its id.
---@return integer
function Process:pid()
  return self.child:id()
end

--- How it ended; nil while it runs.
---@return integer? status 128 and the signal's number when a signal ended it
function Process:status()
  return (self.child:status())
end

--- Waits for its end.
---@param seconds? number default 10
---@return integer? status
---@return string? err "timeout"
function Process:wait(seconds)
  local status, _, code = self.child:wait(seconds or WAIT_SECONDS)
  return status, code
end

local function content(self, name)
  return self.folder and self.folder:read(name) or self[name] or ""
end

--- What it wrote to standard output so far.
---@return string
function Process:output()
  return content(self, "out")
end

--- What it wrote to standard error so far.
---@return string
function Process:errors()
  return content(self, "err")
end

--- Sends a signal, unless it has ended.
---@param name string "TERM", "HUP", …
function Process:signal(name)
  self.child:kill(name)
end

--- Ends it if it still runs: SIGTERM, after three seconds SIGKILL. What it wrote stays readable.
---@return integer? status nil when this task cannot wait for it any more
function Process:stop()
  if self.folder then
    self.child:close()
    if not pcall(self.child.wait, self.child, 2 * TERM_SECONDS) then
      self.child:kill("kill") -- a task that was cancelled, or is dying, cannot wait
    end
    self.out, self.err = self:output(), self:errors()
    self.folder:remove()
    self.folder = nil
  end
  return self:status()
end

Process.__close = Process.stop
Process.__gc = Process.stop

return process
