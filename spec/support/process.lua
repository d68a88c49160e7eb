--- Foreign processes for specs. They run beside the loop: what they write goes
--- into files, and nothing here blocks for longer than a shell takes to start.
---
---     local server <close> = process.start { "nc", "-l", "127.0.0.1", port }
---     local status, output = process.run { "socat", "-V" }
local core = require "moonwire.core"
local folder = require "spec.support.folder"
local task = require "moonwire.task"

local process = {}

local STEP_SECONDS <const> = 0.003
local START_SECONDS <const> = 10
local WAIT_SECONDS <const> = 10
local TERM_SECONDS <const> = 3

local OPTIONS <const> = { env = true, stdin_file = true, input = true }

---@class spec.process_options
---@field [integer] string|number the command and its arguments
---@field env? table<string, string|false> what its environment has besides ours; false: has not
---@field stdin_file? string default /dev/null
---@field input? string its standard input
---@field seconds? number process.run only: what it may take; default 10

---@class spec.process
local Process = {}
Process.__index = Process

local function quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

local function quote_all(words)
  local quoted = {}
  for i, word in ipairs(words) do
    quoted[i] = quote(word)
  end
  return table.concat(quoted, " ")
end

-- Our process ignores SIGPIPE, and a shell without job control lets what it starts in the background ignore
-- SIGINT: both would be inherited.
local function environment(env)
  local words = { "env", "--default-signal=INT,QUIT,PIPE" }
  for name, value in pairs(env or {}) do
    if not value then
      words[#words + 1] = "-u"
      words[#words + 1] = name
    end
  end
  for name, value in pairs(env or {}) do
    if value then
      words[#words + 1] = name .. "=" .. value
    end
  end
  return words
end

-- The shell in the background notes first the process's id, then its status; each file appears as a whole.
local LAUNCH <const> = [[cd %s && { cd %s; %s %s <%s >"$OLDPWD/out" 2>"$OLDPWD/err" &
cd "$OLDPWD"; echo $! >pid.new; mv pid.new pid; wait $!; echo $? >status.new; mv status.new status; } \
</dev/null >/dev/null 2>&1 &]]

local function check(options)
  for key in pairs(options) do
    if math.type(key) ~= "integer" and not OPTIONS[key] then
      error(("unknown option '%s'"):format(tostring(key)), 3)
    end
  end
end

local function poll(seconds, fn)
  local due = core.now() + seconds
  local value = fn()
  while not value and core.now() < due do
    task.sleep(STEP_SECONDS)
    value = fn()
  end
  return value
end

local function start(options)
  local place = folder.new()
  local stdin = options.stdin_file or "/dev/null"
  if options.input then
    stdin = place:write("in", options.input)
  end
  local self = setmetatable({ folder = place, name = tostring(options[1]) }, Process)
  local here = require "lfs".currentdir()
  local launch = LAUNCH:format(quote(place.path), quote(here), quote_all(environment(options.env)),
    quote_all(options), quote(stdin))
  assert(os.execute(launch))
  self.id = poll(START_SECONDS, function()
    return math.tointeger(tonumber(place:read("pid")))
  end)
  return self.id and self or error(("%s: not started within %d s"):format(self.name, START_SECONDS), 0)
end

--- Starts a process. `local p <close> = process.start {…}` ends it with the block.
---@param options spec.process_options
---@return spec.process
function process.start(options)
  check(options)
  return start(options)
end

--- Runs a process to its end.
---@param options spec.process_options
---@return integer status
---@return string output
---@return string errors
function process.run(options)
  local seconds = options.seconds or WAIT_SECONDS
  options.seconds = nil
  check(options)
  local self <close> = start(options)
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
  return self.id
end

--- How it ended; nil while it runs.
---@return integer? status 128 and the signal's number when a signal ended it
function Process:status()
  if not self.ended then
    self.ended = self.folder and math.tointeger(tonumber(self.folder:read("status")))
  end
  return self.ended
end

--- Waits for its end.
---@param seconds? number default 10
---@return integer? status
---@return string? err "timeout"
function Process:wait(seconds)
  local status = poll(seconds or WAIT_SECONDS, function()
    return self:status()
  end)
  if not status then
    return nil, "timeout"
  end
  return status
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
  if not self:status() then
    os.execute(("kill -%s %d 2>/dev/null"):format(name, self.id))
  end
end

-- A task that is cancelled, or dying, cannot wait: then the end is a hard one at once.
local function end_gently(self)
  self:signal("TERM")
  return self:wait(TERM_SECONDS)
end

local function await_killed(self)
  self:signal("KILL")
  return self:wait(TERM_SECONDS)
end

--- Ends it if it still runs: SIGTERM, after three seconds SIGKILL. What it wrote stays readable.
---@return integer? status
function Process:stop()
  if not self.folder then
    return self.ended
  end
  local _, status = pcall(end_gently, self)
  if type(status) ~= "number" then
    pcall(await_killed, self)
  end
  self.out, self.err = self:output(), self:errors()
  self:status()
  self.folder:remove()
  self.folder = nil
  return self.ended
end

Process.__close = Process.stop
Process.__gc = Process.stop

return process
