--- Somebody at the prompt of `moonwire repl`, for specs.
---
---     local ann <close> = prompt.open()
---     ann:enter "1 + 1"
---     ann:sees { "> 1 + 1", "2", ">" }
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local screen = require "spec.repl.screen"
local terminal = require "spec.examples.terminal"

local prompt = {}

local COLUMNS <const> = 80

---@class spec.prompt
---@field terminal spec.terminal
local Prompt = {}
Prompt.__index = Prompt

---@class spec.prompt_options
---@field home? string its home folder; default an empty one
---@field arguments? string of `moonwire repl`
---@field columns? integer of the terminal; default 80

--- Starts it at a terminal and waits for its prompt.
---@param options? spec.prompt_options
---@return spec.prompt
function prompt.open(options)
  options = options or {}
  local place = not options.home and folder.new() or nil
  local self = setmetatable({ folder = place, columns = options.columns or COLUMNS }, Prompt)
  local environment = "env -u XDG_STATE_HOME TERM=xterm LC_ALL=C.UTF-8 HOME=" .. (options.home or place.path)
  self.terminal = terminal.open(("%s python3 spec/fixtures/terminal.py %d %s repl %s"):format(
    environment, self.columns, moonwire.binary, options.arguments or ""))
  self:shows "> *$"
  self.first = #self:lines() -- what is shown before is of no matter
  return self
end

--- Types keys as they are.
---@param keys string
function Prompt:type(keys)
  assert(self.terminal.process.stdin:write(keys))
end

local function count_lines(self)
  return select(2, self.terminal:output():gsub("\n", ""))
end

--- Waits for a prompt, types a line and waits until it is taken.
---@param line string
function Prompt:enter(line)
  self:shows "%f[^\n]>+$"
  local count = count_lines(self)
  self:type(line .. "\r")
  condition.wait_until(function() return count_lines(self) > count end, 10, "the line is not taken")
end

--- What the terminal shows, line by line, without empty ones.
---@return string[]
function Prompt:lines()
  return screen.lines(self.terminal:output(), self.columns)
end

--- Waits until the last line, or several of the last with newlines between, match a pattern.
---@param pattern string
---@param seconds? number default 10
function Prompt:shows(pattern, seconds)
  condition.wait_until(function()
    local shown = table.concat(self:lines(), "\n")
    return shown:find(pattern) or self.terminal.process:status() and error("it ended: " .. shown)
  end, seconds or 10, function()
    return ("%q is not shown, but\n%s\n"):format(pattern, table.concat(self:lines(), "\n"))
  end)
end

--- Waits until what is shown matches a pattern no more.
---@param pattern string
function Prompt:hides(pattern)
  condition.wait_until(function()
    return not table.concat(self:lines(), "\n"):find(pattern)
  end, 10, "it is shown still")
end

--- Waits until all that is shown since the first prompt are these lines.
---@param expected string[]
function Prompt:sees(expected)
  local function shown()
    local lines = self:lines()
    return table.concat(table.move(lines, self.first, #lines, 1, {}), "\n")
  end
  local text = table.concat(expected, "\n")
  condition.wait_until(function() return shown() == text end, 10, function()
    return ("expected\n%s\nbut it shows\n%s\n"):format(text, shown())
  end)
end

--- Waits for its end.
---@return integer status what the command ended with; negative: the signal
---@return string modes "as before" or "changed"
function Prompt:ends()
  self:shows "%[ended %-?%d+, terminal [%l ]+%]"
  local status, modes = self.terminal:output():match "%[ended (%-?%d+), terminal ([%l ]+)%]"
  return math.tointeger(tonumber(status)), modes
end

--- Sends a signal to it.
---@param name string
function Prompt:signal(name)
  self.terminal.process:signal(name)
end

--- Ends it.
function Prompt:close()
  self.terminal:close()
  if self.folder then
    self.folder:remove()
  end
end

Prompt.__close = Prompt.close

return prompt
