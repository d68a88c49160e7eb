--- Waiting for something to become true, for specs.
local core = require "moonwire.core"
local task = require "moonwire.task"

local condition = {}

local STEP_SECONDS <const> = 0.005
local SECONDS <const> = 30 -- a bound for what fails, on a machine with other work

--- Calls a function every five milliseconds until it returns something true.
---@generic T
---@param fn fun(): T?
---@param seconds? number default 30
---@param message? string|fun(): string what to say when it does not; blames the caller's line
---@return T value what fn returned
function condition.wait_until(fn, seconds, message)
  local due = core.now() + (seconds or SECONDS)
  repeat
    local value = fn()
    if value then
      return value
    end
    if core.now() >= due then
      local text = type(message) == "function" and message() or message
      error(("%s within %g s"):format(text or "it did not become true", seconds or SECONDS), 2)
    end
    task.sleep(STEP_SECONDS)
  until false
end

--- Waits until a log has an entry that matches, and returns its line.
---@param read fun(): string what the log holds so far
---@param pattern string
---@param seconds? number default 30
---@return string line
function condition.wait_for_entry(read, pattern, seconds)
  return condition.wait_until(function()
    for line in read():gmatch "[^\n]+" do
      if line:find(pattern) then
        return line
      end
    end
  end, seconds, function()
    return ("no entry that matches %q; the log:\n%s\n"):format(pattern, read())
  end)
end

return condition
