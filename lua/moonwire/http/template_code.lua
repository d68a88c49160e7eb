--- Templates as text of Lua, in which each line does what the same line of the
--- template says: messages of Lua name its lines. Not for scripts.
local expression = require "moonwire.http.expression"

local template_code = {}

-- A piece of a template: text, or what stands between braces.
---@class moonwire.http.template_piece
---@field kind "text"|"value"|"raw"|"tag"|"comment"
---@field text string
---@field line integer

local CLOSING <const> = { ["{{{"] = "}}}", ["{{"] = "}}", ["{%"] = "%}", ["{#"] = "#}" }
local KINDS <const> = { ["{{{"] = "raw", ["{{"] = "value", ["{%"] = "tag", ["{#"] = "comment" }
local NAME <const> = "[%a_][%w_]*"
local RESERVED <const> = {
  ["true"] = true, ["false"] = true, ["nil"] = true, ["and"] = true, ["or"] = true, ["not"] = true,
  ["in"] = true,
}

local function refuse(line, problem, ...)
  error({ line = line, problem = problem:format(...) }, 0)
end

local function count_lines(text)
  return select(2, text:gsub("\n", ""))
end

-- Where the next piece in braces begins, and with what.
local function find_opening(source, from)
  local at = source:find("{[{%%#]", from)
  if at then
    return at, source:match("^{{{", at) or source:sub(at, at + 1)
  end
end

-- Byte behind the closing braces; they do not count within strings.
local function find_closing(source, from, closing, line)
  if closing == "#}" then
    local at = source:find(closing, from, true)
    return at or refuse(line, "a comment without '#}'")
  end
  local at, quote = from, nil
  while at <= #source do
    local mark = source:sub(at, at)
    if quote and mark == "\\" then
      at = at + 1
    elseif quote then
      quote = mark ~= quote and quote or nil
    elseif mark == '"' or mark == "'" then
      quote = mark
    elseif source:sub(at, at + #closing - 1) == closing then
      return at
    end
    at = at + 1
  end
  refuse(line, "'%s' is missing", closing)
end

local function split(source)
  local pieces, from, line = {}, 1, 1
  local function add(kind, text)
    pieces[#pieces + 1] = { kind = kind, text = text, line = line }
    line = line + count_lines(text)
  end
  while true do
    local at, opening = find_opening(source, from)
    add("text", source:sub(from, at and at - 1))
    if not at then
      return pieces
    end
    local behind = find_closing(source, at + #opening, CLOSING[opening], line)
    add(KINDS[opening], source:sub(at + #opening, behind - 1))
    from = behind + #CLOSING[opening]
  end
end

-- A tag or comment that stands alone in its line takes the line with it.
local function trim_lines(pieces)
  for i = 2, #pieces, 2 do
    local before, piece, after = pieces[i - 1], pieces[i], pieces[i + 1]
    local begins = before.text:find("\n[ \t]*$") or i == 2 and before.text:find("^[ \t]*$")
    local ends = after.text:find("^[ \t]*\r?\n") or i == #pieces - 1 and after.text:find("^[ \t]*$")
    if (piece.kind == "tag" or piece.kind == "comment") and begins and ends then
      before.right = true
      after.left = true
    end
  end
  for _, piece in ipairs(pieces) do
    if piece.left then
      local rest = piece.text:gsub("^[ \t]*\r?\n?", "")
      piece.line = piece.line + count_lines(piece.text) - count_lines(rest)
      piece.text = rest
    end
    piece.text = piece.right and piece.text:gsub("[ \t]*$", "") or piece.text
  end
end

---@class moonwire.http.template_writer
---@field lines integer of what was written
---@field parts string[]
---@field scopes { kind: string, names: table<string, string>, line: integer }[]
---@field filters table<string, function>
---@field locals integer
---@field parent? string the template whose blocks this one fills
---@field blocks table<string, boolean>
local Writer = {}
Writer.__index = Writer

-- Writes Lua that does what stands in a line of the template.
function Writer:put(line, text, ...)
  if line > self.lines then
    self.parts[#self.parts + 1] = ("\n"):rep(line - self.lines)
    self.lines = line
  end
  self.parts[#self.parts + 1] = text:format(...) .. " "
end

-- The variable of Lua for one of the template.
function Writer:declare(line, name)
  if RESERVED[name] then
    refuse(line, "'%s' is no name of a variable", name)
  end
  self.locals = self.locals + 1
  local variable = ("v%d"):format(self.locals)
  self.scopes[#self.scopes].names[name] = variable
  return variable
end

function Writer:expression(line, text)
  local lua, problem = expression.compile(text, self.scopes[#self.scopes].names, self.filters)
  return lua or refuse(line, "%s", problem)
end

function Writer:open(line, kind)
  local names = setmetatable({}, { __index = self.scopes[#self.scopes].names })
  self.scopes[#self.scopes + 1] = { kind = kind, names = names, line = line }
end

function Writer:close(line, tag)
  local scope = self.scopes[#self.scopes]
  if scope.kind == "template" then
    refuse(line, "'%s' without anything to end", tag)
  end
  self.scopes[#self.scopes] = nil
  return scope
end

-- Names and values of the variables, for another template.
function Writer:scope()
  local names, fields = {}, {}
  for i = #self.scopes, 1, -1 do
    for name, variable in next, self.scopes[i].names do
      if not names[name] then
        names[name] = true
        fields[#fields + 1] = ("[%s] = %s"):format(expression.quote(name), variable)
      end
    end
  end
  if not fields[1] then
    return "values"
  end
  table.sort(fields)
  return ("within(values, { %s })"):format(table.concat(fields, ", "))
end

local TAGS = {}

TAGS["if"] = function(self, line, rest)
  local lua = self:expression(line, rest)
  self:open(line, "if")
  self:put(line, "if %s then", lua)
end

TAGS["elseif"] = function(self, line, rest)
  if self:close(line, "elseif").kind ~= "if" then
    refuse(line, "'elseif' outside of 'if'")
  end
  local lua = self:expression(line, rest)
  self:open(line, "if")
  self:put(line, "elseif %s then", lua)
end

TAGS["else"] = function(self, line)
  if self:close(line, "else").kind ~= "if" then
    refuse(line, "'else' outside of 'if'")
  end
  self:open(line, "else")
  self:put(line, "else")
end

TAGS["for"] = function(self, line, rest)
  local first, after = rest:match("^(" .. NAME .. ")()")
  local second, behind = rest:match("^%s*,%s*(" .. NAME .. ")()", after)
  local word, text = rest:match("^%s+(%a%a)%s+(.+)$", behind or after)
  if not first or word ~= "in" and not (word == "of" and second) then
    refuse(line, "'for NAME in LIST', 'for INDEX, NAME in LIST' or 'for KEY, NAME of TABLE' expected")
  end
  local lua = self:expression(line, text)
  self:open(line, "for")
  local index = second and self:declare(line, first) or "_"
  local value = self:declare(line, second or first)
  self:put(line, "for %s, %s in %s(%s) do", index, value, word == "of" and "sorted" or "each", lua)
end

TAGS.set = function(self, line, rest)
  local name, text = rest:match("^(" .. NAME .. ")%s*=%s*(.+)$")
  if not name then
    refuse(line, "'set NAME = VALUE' expected")
  end
  local lua = self:expression(line, text)
  local known = self.scopes[#self.scopes].names[name]
  self:put(line, "%s%s = %s;", known and "" or "local ", known or self:declare(line, name), lua)
end

local function take_string(line, tag, rest)
  local text = rest:match("^\"([^\"\\]+)\"$") or rest:match("^'([^'\\]+)'$")
  return text or refuse(line, "'%s \"NAME\"' expected", tag)
end

TAGS.include = function(self, line, rest)
  local name = take_string(line, "include", rest)
  self:put(line, "n = include(%s, %s, out, n)", expression.quote(name), self:scope())
end

TAGS.extends = function(self, line, rest)
  if self.parent or self.scopes[2] or self.blocks_any then
    refuse(line, "'extends' stands once, at the beginning")
  end
  self.parent = take_string(line, "extends", rest)
end

TAGS.block = function(self, line, rest)
  local name = rest:match("^(" .. NAME .. ")$")
  if not name or self.blocks[name] then
    refuse(line, name and "a second block '%s'" or "'block NAME' expected", name)
  elseif self.parent and self.scopes[2] then
    refuse(line, "a block of a template that extends another stands in nothing else")
  end
  self.blocks[name], self.blocks_any = true, true
  local values = self.parent and "values" or self:scope()
  self:open(line, "block")
  local scope = self.scopes[#self.scopes]
  scope.names, scope.block, scope.values = {}, name, values
  local key = expression.quote(name)
  self:put(line, "own[%s] = own[%s] or function(values, out, n)", key, key)
end

TAGS["end"] = function(self, line)
  local scope = self:close(line, "end")
  if scope.kind ~= "block" then
    self:put(line, "end")
  elseif self.parent then
    self:put(line, "return n end")
  else
    self:put(line, "return n end n = own[%s](%s, out, n)", expression.quote(scope.block), scope.values)
  end
end

local WITHOUT_REST <const> = { ["else"] = true, ["end"] = true }

local function write_tag(self, piece)
  local line = piece.line + count_lines(piece.text:match("^%s*"))
  local tag, rest = piece.text:match("^%s*(%a+)%s*(.-)%s*$")
  if not TAGS[tag] then
    refuse(line, "no such statement: '%s'", piece.text:match("^%s*(%S*)"))
  elseif WITHOUT_REST[tag] ~= (rest == "" or nil) then
    refuse(line, "'%s': %s expected behind it", tag, WITHOUT_REST[tag] and "nothing" or "something")
  end
  TAGS[tag](self, line, rest)
end

-- What stands outside of the blocks of a template that extends another is shown nowhere.
local function is_lost(self, piece)
  if not self.parent or self.scopes[2] then
    return false
  end
  return piece.kind ~= "text" or piece.text:find("%S") ~= nil
end

local function write_piece(self, piece)
  if piece.kind == "tag" then
    return write_tag(self, piece)
  elseif piece.kind == "comment" or piece.kind == "text" and piece.text == "" then
    return
  elseif is_lost(self, piece) then
    refuse(piece.line, "outside of the blocks of a template that extends another nothing is shown")
  elseif piece.kind == "text" and not (self.parent and not self.scopes[2]) then
    self:put(piece.line, "n = n + 1 out[n] = %s", expression.quote(piece.text))
  elseif piece.kind ~= "text" then
    local name = piece.kind == "raw" and "raw" or "escape"
    local line = piece.line + count_lines(piece.text:match("^%s*"))
    self:put(line, "n = n + 1 out[n] = %s(%s)", name, self:expression(line, piece.text))
  end
end

--- The text of Lua for a template: a chunk that gets the functions it uses and
--- returns a function of the values, the pieces of output and their number.
---@param source string
---@param filters table<string, function>
---@return { lua: string, parent: string? }? code
---@return string? problem
---@return integer? line
function template_code.compile(source, filters)
  local self = setmetatable({
    lines = 1, parts = {}, scopes = { { kind = "template", names = {}, line = 1 } }, filters = filters,
    locals = 0, blocks = {},
  }, Writer)
  local ok, fault = pcall(function()
    local pieces = split(source)
    trim_lines(pieces)
    self:put(1, "local escape, raw, each, sorted, within, filters = ...")
    self:put(1, "return function(values, out, n, own, include)")
    for _, piece in ipairs(pieces) do
      write_piece(self, piece)
    end
    if self.scopes[2] then
      refuse(self.scopes[#self.scopes].line, "'%s' without its end", self.scopes[#self.scopes].kind)
    end
    self:put(self.lines, "return n end")
  end)
  if ok then
    return { lua = table.concat(self.parts), parent = self.parent }
  elseif type(fault) == "table" and fault.problem then
    return nil, fault.problem, fault.line
  end
  error(fault, 0)
end

return template_code
