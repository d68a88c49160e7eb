--- A person at a terminal, for specs: a program whose input is typed while it
--- runs and whose output is looked at.
---
---     local ann <close> = terminal.open "nc 127.0.0.1 7002"
---     ann:type "hello"
---     ann:sees "bob: hello"
local condition = require "spec.support.condition"
local process = require "spec.support.process"

local terminal = {}

---@class spec.terminal
---@field process spec.process
local Terminal = {}
Terminal.__index = Terminal

--- Starts a command of the shell.
---@param command string
---@return spec.terminal
function terminal.open(command)
  local started = process.start { "sh", "-c", "exec " .. command, stdin = "stream" }
  return setmetatable({ process = started, command = command }, Terminal)
end

--- Types a line.
---@param line string
function Terminal:type(line)
  assert(self.process.stdin:write(line, "\n"))
end

--- Waits until the output holds a text.
---@param text string as it is, no pattern
---@param seconds? number default 5
function Terminal:sees(text, seconds)
  condition.wait_until(function()
    return self:output():find(text, 1, true)
  end, seconds, function()
    return ("%s does not show %q but %q"):format(self.command, text, self:output())
  end)
end

--- What the program wrote so far.
---@return string
function Terminal:output()
  return self.process:output()
end

--- Waits until the program ends by itself.
---@param seconds? number default 5
---@return integer status
function Terminal:wait(seconds)
  return condition.wait_until(function()
    return self.process:status()
  end, seconds, self.command .. " does not end")
end

--- Ends the program, if it still runs.
function Terminal:close()
  self.process:stop()
end

Terminal.__close = Terminal.close

return terminal
