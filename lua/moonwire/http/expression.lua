--- Expressions of templates, as text of Lua that reaches nothing but the values of
--- the template. Not for scripts.
---
---     expression = or-expression { "|" filter [ "(" expression { "," expression } ")" ] }
---
--- with Lua's operators, literals, fields and indices; without calls, functions
--- and tables.
local expression = {}

local BINARY <const> = {
  { ["or"] = " or " }, { ["and"] = " and " },
  { ["=="] = " == ", ["~="] = " ~= ", ["<="] = " <= ", [">="] = " >= ", ["<"] = " < ", [">"] = " > " },
  { [".."] = " .. " }, { ["+"] = " + ", ["-"] = " - " }, { ["*"] = " * ", ["/"] = " / ", ["%"] = " % " },
}
local UNARY <const> = { ["not"] = "not ", ["-"] = "- ", ["#"] = "#" }
local WORDS <const> = { ["and"] = true, ["or"] = true, ["not"] = true, ["in"] = true }
local CONSTANTS <const> = { ["true"] = "true", ["false"] = "false", ["nil"] = "nil" }
local DEPTH_MOST <const> = 50

---@class moonwire.http.tokens
---@field list { kind: "name"|"number"|"string"|"mark"|"end", text: string }[]
---@field at integer
---@field names table<string, string> variables of the template → those of Lua
---@field depth integer

local function refuse(problem, ...)
  error({ problem = problem:format(...) }, 0)
end

local ESCAPES <const> = { n = "\n", t = "\t", r = "\r", ["\\"] = "\\", ['"'] = '"', ["'"] = "'" }

local function unquote(text)
  return (text:gsub("\\(.)", function(mark)
    return ESCAPES[mark] or refuse("no escape '\\%s' in a string", mark)
  end))
end

-- The string that begins at byte `at`, and the byte behind it.
local function take_string(text, at)
  local quote, from = text:sub(at, at), at + 1
  while true do
    local mark = text:find("[\\" .. quote .. "]", from)
    if not mark then
      refuse("a string without an end")
    elseif text:sub(mark, mark) == quote then
      return unquote(text:sub(at + 1, mark - 1)), mark + 1
    end
    from = mark + 2
  end
end

local function take_token(text, at)
  local word, after = text:match("^([%a_][%w_]*)()", at)
  if word then
    return { kind = (WORDS[word]) and "mark" or "name", text = word }, after
  end
  word, after = text:match("^(%d+%.?%d*)()", at)
  if word and not word:find("%.$") then
    return { kind = "number", text = word }, after
  end
  if text:find("^[\"']", at) then
    word, after = take_string(text, at)
    return { kind = "string", text = word }, after
  end
  word = text:match("^[=~<>]=", at) or text:match("^%.%.", at) or text:match("^[+%-*/%%<>#()%[%].,|]", at)
  if not word then
    refuse("'%s' is not understood", text:sub(at, at + 7))
  end
  return { kind = "mark", text = word }, at + #word
end

local function tokenize(text)
  local list, at = {}, text:match("^%s*()")
  while at <= #text do
    local token, after = take_token(text, at)
    list[#list + 1] = token
    at = text:match("^%s*()", after)
  end
  list[#list + 1] = { kind = "end", text = "the end" }
  return list
end

local function accept(self, text)
  local token = self.list[self.at]
  if token.kind == "mark" and token.text == text then
    self.at = self.at + 1
    return true
  end
  return false
end

local function expect(self, text)
  if not accept(self, text) then
    refuse("'%s' expected before '%s'", text, self.list[self.at].text)
  end
end

local function take_name(self)
  local token = self.list[self.at]
  if token.kind ~= "name" or CONSTANTS[token.text] then
    refuse("a name expected instead of '%s'", token.text)
  end
  self.at = self.at + 1
  return token.text
end

local parse_filters

local function quote(text)
  return (("%q"):format(text):gsub("\\\n", "\\n"):gsub("\r", "\\r"))
end

local function parse_atom(self)
  local token = self.list[self.at]
  if accept(self, "(") then
    local inner = parse_filters(self)
    expect(self, ")")
    return "(" .. inner .. ")"
  end
  self.at = self.at + 1
  if token.kind == "number" then
    return token.text
  elseif token.kind == "string" then
    return "(" .. quote(token.text) .. ")"
  elseif token.kind == "name" then
    return CONSTANTS[token.text] or self.names[token.text] or ("values[%s]"):format(quote(token.text))
  end
  refuse("a value expected instead of '%s'", token.text)
end

local function parse_suffixes(self)
  local text = parse_atom(self)
  while true do
    if accept(self, ".") then
      text = ("%s[%s]"):format(text, quote(take_name(self)))
    elseif accept(self, "[") then
      text = ("%s[%s]"):format(text, parse_filters(self))
      expect(self, "]")
    else
      return text
    end
  end
end

local function deeper(self)
  self.depth = self.depth + 1
  if self.depth > DEPTH_MOST then
    refuse("an expression of more than %d levels", DEPTH_MOST)
  end
end

local function parse_unary(self)
  local token = self.list[self.at]
  local sign = token.kind == "mark" and UNARY[token.text]
  if not sign then
    return parse_suffixes(self)
  end
  self.at = self.at + 1
  deeper(self)
  local text = sign .. parse_unary(self)
  self.depth = self.depth - 1
  return text
end

-- Operators of a level and those that bind tighter.
local function parse_binary(self, level)
  local operators = BINARY[level]
  if not operators then
    return parse_unary(self)
  end
  local text = parse_binary(self, level + 1)
  while true do
    local token = self.list[self.at]
    local sign = token.kind == "mark" and operators[token.text]
    if not sign then
      return text
    end
    self.at = self.at + 1
    text = text .. sign .. parse_binary(self, level + 1)
  end
end

local function parse_arguments(self)
  local arguments = {}
  if accept(self, "(") and not accept(self, ")") then
    repeat
      arguments[#arguments + 1] = parse_filters(self)
    until not accept(self, ",")
    expect(self, ")")
  end
  return arguments
end

function parse_filters(self)
  deeper(self)
  local text = parse_binary(self, 1)
  while accept(self, "|") do
    local name = take_name(self)
    if not self.filters[name] then
      refuse("no filter '%s'", name)
    end
    local arguments = parse_arguments(self)
    table.insert(arguments, 1, text)
    text = ("filters[%s](%s)"):format(quote(name), table.concat(arguments, ", "))
  end
  self.depth = self.depth - 1
  return text
end

--- The text of Lua for an expression, which uses the variables `values` and
--- `filters`. In one line.
---@param text string
---@param names table<string, string> variables of the template → those of Lua
---@param filters table<string, function>
---@return string? lua
---@return string? problem
function expression.compile(text, names, filters)
  local ok, result = pcall(function()
    local self = { list = tokenize(text), at = 1, names = names, filters = filters, depth = 0 }
    local lua = parse_filters(self)
    if self.list[self.at].kind ~= "end" then
      refuse("'%s' stands behind the end of the expression", self.list[self.at].text)
    end
    return lua
  end)
  if ok then
    return result
  elseif type(result) == "table" and result.problem then
    return nil, result.problem
  end
  error(result, 0)
end

--- A text as a string of Lua, in one line.
---@param text string
---@return string
expression.quote = quote

return expression
