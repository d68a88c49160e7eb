--- Signals of the operating system as events. Names are such as "hup", "usr1"
--- and "term". A signal that a script listens for does nothing else; several
--- listeners each get it. What arrives twice before it is taken counts once.
local check = require "moonwire.check"
local core = require "moonwire.core"

local signal = {}

---@alias moonwire.signal_name
---| "hup" | "int" | "quit" | "usr1" | "usr2" | "term" | "chld" | "winch" | "cont" | "tstp" | "ttin" | "ttou"
---| "alrm"
---| "chld" | "winch" | "cont" | "tstp" | "ttin" | "ttou" | "alrm"

---@class moonwire.signal_handler
---@field private signals table
local Handler = { __name = "moonwire.signal_handler" }
Handler.__index = Handler

-- Raises in the name of the public function that the caller's line called.
local function watch(name, ...)
  local ok, signals = pcall(core.signal.watch, ...)
  if not ok then
    error((signals:gsub("to '[^']*'", ("to '%s'"):format(name))), 3)
  end
  return signals
end

--- Waits for the first of these signals. It listens only while it waits: in
--- between, a signal does what it does by default. For more than one, use `each`.
---@param name moonwire.signal_name
---@param ... moonwire.signal_name
---@return moonwire.signal_name
function signal.wait(name, ...)
  local signals <close> = watch("wait", name, ...)
  return (signals:wait())
end

local function next_signal(signals)
  return (signals:wait())
end

--- Listens for signals, from the call to the end of the loop:
--- `for name in signal.each("hup", "usr1") do`. What arrives in the body is not lost.
---@param name moonwire.signal_name
---@param ... moonwire.signal_name
---@return fun(signals: any): moonwire.signal_name?
---@return any signals
---@return nil
---@return any closes at the end of the loop
function signal.each(name, ...)
  local signals = watch("each", name, ...)
  return next_signal, signals, nil, signals
end

local function call_for_each(signals, fn)
  for name in next_signal, signals do
    core.task.spawn(fn, name):join()
  end
end

--- Calls a function with the name at every arrival of a signal, as a task that
--- may wait. It never runs twice at a time: what arrives while it runs is
--- remembered, once. An error in it is logged, and the handler stays. It belongs
--- to the task that made it and ends with it.
---@param name moonwire.signal_name
---@param fn fun(name: moonwire.signal_name)
---@return moonwire.signal_handler
function signal.on(name, fn)
  check.callable(fn, 2, "on")
  local signals = watch("on", name)
  core.task.spawn(call_for_each, signals, fn)
  return setmetatable({ signals = signals }, Handler)
end

--- Stops listening. A call that runs already goes on to its end. May be called again.
function Handler:cancel()
  check.object(self, Handler, "cancel")
  self.signals:close()
end

return signal
