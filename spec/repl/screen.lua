--- What a terminal shows after some bytes, for specs: enough of an xterm for a
--- line editor. It is endless downwards.
local screen = {}

---@class spec.screen
---@field rows table<integer, table<integer, string>>
local Screen = {}
Screen.__index = Screen

local function at(self)
  self.rows[self.row] = self.rows[self.row] or {}
  return self.rows[self.row]
end

local function wrap(self)
  if self.column >= self.columns then
    self.row, self.column = self.row + 1, 0
  end
end

local function clear(self, first)
  local row = at(self)
  for column in pairs(row) do
    row[column] = column < first and row[column] or nil
  end
end

-- The orders of the editor: cursor up, down, right, left, to a column, to the margin; erase; delete; insert.
local ORDERS <const> = {
  A = function(self, n) self.row = math.max(0, self.row - n) end,
  B = function(self, n) self.row = self.row + n end,
  C = function(self, n) self.column = self.column + n end,
  D = function(self, n) self.column = math.max(0, self.column - n) end,
  G = function(self, n) self.column = n - 1 end,
  K = function(self) clear(self, self.column) end,
  J = function(self)
    clear(self, self.column)
    for row in pairs(self.rows) do
      self.rows[row] = row <= self.row and self.rows[row] or nil
    end
  end,
  P = function(self, n)
    local row = at(self)
    table.move(row, self.column + n, self.columns + n, self.column)
  end,
  ["@"] = function(self, n)
    local row = at(self)
    table.move(row, self.column, self.columns, self.column + n)
    for column = self.column, self.column + n - 1 do
      row[column] = " "
    end
  end,
  h = function() end,
  l = function() end,
  m = function() end,
}

local function obey(self, number, order)
  local run = ORDERS[order] or error(("the screen knows no order %q"):format(order))
  self.column = math.min(self.column, self.columns - 1)
  run(self, math.tointeger(tonumber(number)) or 1)
end

local CONTROLS <const> = {
  ["\r"] = function(self) self.column = 0 end,
  ["\n"] = function(self) self.row = self.row + 1 end,
  ["\b"] = function(self) self.column = math.max(0, math.min(self.column, self.columns - 1) - 1) end,
  ["\a"] = function() end,
  ["\t"] = function(self) self.column = (self.column // 8 + 1) * 8 end,
}

local function put(self, character)
  wrap(self)
  at(self)[self.column] = character
  self.column = self.column + 1
end

local function text_of(row, columns)
  local text = {}
  for column = 0, columns - 1 do
    text[column + 1] = row[column] or " "
  end
  return (table.concat(text):gsub(" +$", ""))
end

--- The lines that are shown, without the empty ones.
---@param bytes string
---@param columns integer
---@return string[]
function screen.lines(bytes, columns)
  local self = setmetatable({ rows = {}, row = 0, column = 0, columns = columns }, Screen)
  local place = 1
  while place <= #bytes do
    local number, order, after = bytes:match("^\27%[%??(%d*)([%a@])()", place)
    local character = bytes:match("^[\0-\127\194-\244][\128-\191]*", place)
    if order then
      obey(self, number, order)
      place = after
    elseif not character then
      break -- the rest has not come yet
    else
      (CONTROLS[character] or put)(self, character)
      place = place + #character
    end
  end
  local lines = {}
  for row = 0, self.row do
    local text = text_of(self.rows[row] or {}, columns)
    lines[#lines + 1] = text ~= "" and text or nil
  end
  return lines
end

return screen
