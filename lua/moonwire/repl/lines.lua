--- Where the lines of the prompt come from: a terminal with an editor, or
--- standard input as it is. Not for scripts.
local complete = require "moonwire.repl.complete"
local core = require "moonwire.core"

local lines = {}

local LINE_MAX <const> = 1024 * 1024 -- bytes
local NAMES_MAX <const> = 200 -- completions that are listed

---@class moonwire.repl.lines
---@field is_terminal boolean

-- --- a terminal ---

local Typed = { is_terminal = true }
Typed.__index = Typed

local function history_path()
  local state, home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
  if state and state:find("^/") then
    return state .. "/moonwire/history"
  end
  return home and home:find("^/") and home .. "/.local/state/moonwire/history" or nil
end

-- Names in columns, sorted downwards, as wide as the terminal.
local function in_columns(names)
  local width, count = 0, math.min(#names, NAMES_MAX)
  for i = 1, count do
    width = math.max(width, #names[i] + 2)
  end
  local columns = math.max(1, core.editor.columns() // width)
  local rows = (count + columns - 1) // columns
  local text = {}
  for row = 1, rows do
    local line = {}
    for i = row, count, rows do
      line[#line + 1] = names[i] .. (" "):rep(width - #names[i])
    end
    text[row] = table.concat(line):gsub(" +$", "")
  end
  if #names > count then
    text[#text + 1] = ("… %d more"):format(#names - count)
  end
  return table.concat(text, "\n") .. "\n"
end

-- At the margin a tab is a tab.
local function complete_line(self, prompt, before)
  if not before:find("%S") then
    return self.editor:insert("\t")
  end
  local start, names = complete.names(before)
  if not names[1] then
    return
  end
  local rest = complete.common(names):sub(#start + 1)
  if rest ~= "" then
    self.editor:insert(rest)
  elseif names[2] then
    io.stdout:write(prompt, before, "\n", in_columns(names))
  end
end

--- Waits for a line.
---@param prompt string
---@return "line"|"end"|"interrupted"
---@return string? line
function Typed:read(prompt)
  while true do
    local kind, text = self.editor:read(prompt)
    if kind ~= "complete" then
      return kind, text
    end
    complete_line(self, prompt, text)
  end
end

function Typed:interrupt()
  self.editor:interrupt()
end

--- What begins with a space is not remembered.
---@param text string
function Typed:remember(text)
  if text:find("^%S") then
    self.editor:remember(text)
  end
end

function Typed:__close()
  self.editor:close()
end

-- --- anything else ---

local Plain = { is_terminal = false }
Plain.__index = Plain

--- Waits for a line.
---@return "line"|"end"
---@return string? line
function Plain:read()
  local start = 1
  while not self.ended do
    local stop = self.buffer:find("\n", start, true)
    if stop then
      local line = self.buffer:sub(1, stop - 1)
      self.buffer = self.buffer:sub(stop + 1)
      return "line", line
    end
    start = #self.buffer + 1
    local piece = start <= LINE_MAX and self.input:read()
    if piece == false then
      error(("a line of more than %d bytes"):format(LINE_MAX), 0)
    end
    self.ended = not piece
    self.buffer = self.buffer .. (piece or "")
  end
  local rest = self.buffer
  self.buffer = ""
  if rest ~= "" then
    return "line", rest
  end
  return "end"
end

function Plain:interrupt() -- luacheck: ignore 212
end

function Plain:remember() -- luacheck: ignore 212
end

function Plain:__close()
  self.input:close()
end

--- Opens what is there. Closes with a `<close>` variable.
---@return moonwire.repl.lines
function lines.open()
  if core.editor.is_terminal() then
    return setmetatable({ editor = core.editor.open(history_path()) }, Typed)
  end
  return setmetatable({ input = core.input.open(), buffer = "" }, Plain)
end

return lines
