--- The main task of `moonwire repl`: reads pieces of Lua, runs each in a task of
--- its own and shows what it returns. Not for scripts.
local chunk = require "moonwire.repl.chunk"
local core = require "moonwire.core"
local lines = require "moonwire.repl.lines"
local show = require "moonwire.repl.show"
local signal = require "moonwire.signal"
local task = require "moonwire.task"
local words = require "moonwire.repl.words"

local repl = {}

local GREETING <const> = "Moonwire on %s. 'help' tells what is here; Ctrl-D ends.\n"
local PROMPT <const>, NEXT_PROMPT <const> = "> ", ">> "
local INTERRUPTED_STATUS <const> = 130 -- as a shell has it for SIGINT

---@class moonwire.repl.session
---@field lines moonwire.repl.lines where pieces come from
---@field running? moonwire.task the piece that runs
---@field interrupted boolean whether it was told to end
---@field concluded boolean whether what it gave was shown
---@field failed boolean whether the last piece failed
local Session = {}
Session.__index = Session

function Session:tell(...)
  io.stdout:flush()
  io.stderr:write(self.lines.is_terminal and "" or "moonwire: ", ...)
  io.stderr:write("\n")
end

-- What io.write returns is of no interest.
local function returns_nothing(...)
  return select("#", ...) == 0 or select("#", ...) == 1 and (... == io.stdout or ... == io.stderr)
end

-- Runs in the task of the piece, so that a __tostring that never returns can be interrupted too.
local function conclude(self, ok, ...)
  self.failed, self.concluded = not ok, true
  if ok then
    if not returns_nothing(...) then
      _G._ = ...
      io.stdout:write(show.values(...), "\n")
    end
  elseif self.interrupted and core.is_fault((...).value) == "cancelled" then
    self:tell("interrupted")
  else
    self:tell(chunk.describe(...))
  end
  io.stdout:flush()
end

-- What the piece opens and spawns lives on.
local function run_piece(self, fn)
  core.main.lend()
  conclude(self, xpcall(fn, chunk.keep_failure))
end

--- Runs a piece to its end.
---@param fn function
function Session:run(fn)
  self.interrupted, self.failed, self.concluded = false, true, false
  self.running = task.spawn(run_piece, self, fn)
  local _, message = self.running:join()
  if not self.concluded then -- the scheduler has put an end to it
    self:tell(self.interrupted and "interrupted" or tostring(message))
  end
  self.running = nil
end

--- Ends the piece that runs, or gives up the line that is typed.
function Session:interrupt()
  if not self.running then
    self.lines:interrupt()
  elseif not self.interrupted then
    self.interrupted = true
    io.stdout:write(self.lines.is_terminal and "\n" or "") -- behind the ^C that the terminal shows
    self.running:cancel()
  end
end

-- Input that is no terminal ends with SIGINT.
local function handle_interrupts(self)
  for _ in signal.each("int") do
    if not self.lines.is_terminal then
      core.main.exit(INTERRUPTED_STATUS)
      self.owner:cancel()
    end
    self:interrupt()
  end
end

-- One whole piece. nil when there is no more; "" when the line was given up.
function Session:read()
  local typed
  repeat
    local kind, line = self.lines:read(typed and NEXT_PROMPT or PROMPT)
    if kind == "end" then
      return typed
    elseif kind == "interrupted" then
      return ""
    end
    typed = typed and typed .. "\n" .. line or line
  until not chunk.is_incomplete(typed)
  self.lines:remember(typed)
  return typed
end

function Session:run_text(text, name)
  local fn, message = chunk.load(text, name)
  if fn then
    return self:run(fn)
  end
  self.failed = true
  self:tell(message)
end

-- At a terminal faults are there to be mended; a script ends with the first.
function Session:loop()
  for typed in self.read, self do
    if typed:find("%S") then
      self:run_text(typed, "=input")
      if self.failed and not self.lines.is_terminal then
        return core.main.exit(1)
      end
    end
  end
end

--- Reads and runs until there is no more.
---@param options table the command line: code
function repl.main(options)
  core.main.set_strict(false)
  package.path = "./?.lua;./?/init.lua;" .. package.path
  local source <close> = lines.open()
  words.set(_G)
  local self = setmetatable({ lines = source, owner = task.current() }, Session)
  task.spawn(handle_interrupts, self)
  if source.is_terminal then
    io.stdout:write(GREETING:format(_VERSION))
  end
  if options.code then
    self:run_text(options.code, "=(command line)")
    if self.failed and not source.is_terminal then
      return core.main.exit(1)
    end
  end
  self:loop()
end

return repl
