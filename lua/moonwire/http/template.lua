--- Templates of pages: text with values that are escaped for HTML wherever they
--- stand. They reach nothing but the values that they are given, and are
--- translated to Lua once.
---
---     <ul>
---     {% for user in users %}
---       <li title="{{ user.name }}">{{ user.name | upper }}</li>
---     {% end %}
---     </ul>
local check = require "moonwire.check"
local codec = require "moonwire.codec"
local file = require "moonwire.file"
local json = require "moonwire.json"
local template_code = require "moonwire.http.template_code"

local template = {}

local load = load
local BYTES_MOST <const> = 1048576 -- of a template
local DEPTH_MOST <const> = 32 -- templates within each other
local EXTENDS_MOST <const> = 32

local HTML <const> = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

-- The text of a value; nothing for nil. Blames the caller of its caller.
local function text_of(value)
  if type(value) == "string" then
    return value
  elseif value == nil then
    return ""
  elseif type(value) == "number" or type(value) == "boolean" then
    return tostring(value)
  end
  local metatable = getmetatable(value)
  if type(metatable) == "table" and metatable.__tostring then
    return tostring(value)
  end
  error(("a %s cannot be shown"):format(type(value)), 3)
end

-- Called by the code of templates, whose line errors name.
local function escape(value)
  return (text_of(value):gsub("[&<>\"']", HTML))
end

local function raw(value)
  return (text_of(value))
end

local function expect_table(value)
  if type(value) ~= "table" then
    error(("a table to go through expected, got %s"):format(type(value)), 3)
  end
  return value
end

local function each(list)
  return ipairs(expect_table(list))
end

local function before(a, b)
  local kind_a, kind_b = type(a), type(b)
  if kind_a == kind_b and (kind_a == "number" or kind_a == "string") then
    return a < b
  end
  return kind_a < kind_b
end

-- In the order of the keys.
local function sorted(map)
  local keys = {}
  for key in pairs(expect_table(map)) do
    keys[#keys + 1] = key
  end
  table.sort(keys, before)
  local i = 0
  return function()
    i = i + 1
    local key = keys[i]
    if key ~= nil then
      return key, map[key]
    end
  end
end

local function within(values, more)
  return setmetatable(more, { __index = values })
end

local SCRIPT <const> = {
  ["<"] = "\\u003c", [">"] = "\\u003e", ["&"] = "\\u0026",
  ["\xE2\x80\xA8"] = "\\u2028", ["\xE2\x80\xA9"] = "\\u2029",
}

local FILTERS <const> = {
  upper = function(value) return text_of(value):upper() end,
  lower = function(value) return text_of(value):lower() end,
  trim = function(value) return text_of(value):match("^%s*(.-)%s*$") end,
  url = function(value) return codec.url_encode(text_of(value)) end,
  json = function(value)
    local text = json.encode(value == nil and json.null or value, { sorted = true }):gsub("[<>&]", SCRIPT)
    return (text:gsub("\xE2\x80[\xA8\xA9]", SCRIPT))
  end,
  join = function(list, separator) return table.concat(expect_table(list), separator or ", ") end,
  fixed = function(value, digits) return ("%%.%df"):format(digits or 2):format(value) end,
  date = function(value, format) return os.date("!" .. (format or "%Y-%m-%d %H:%M:%S"), value) end,
}

-- A filter whose errors name the line of the template that uses it.
local function placed(name, filter)
  return function(...)
    local ok, value = pcall(filter, ...)
    if not ok then
      error(type(value) == "string" and ("filter '%s': %s"):format(name, value) or value, 2)
    end
    return value
  end
end

local function read_filters(own)
  local filters = {}
  for _, list in ipairs { FILTERS, own or {} } do
    for name, filter in pairs(list) do
      filters[name] = placed(name, filter)
    end
  end
  return filters
end

---@class moonwire.http.template
---@field private name string
---@field private run fun(values: table, out: string[], n: integer, own: table, include: function): integer
---@field private parent? string
---@field private pages? moonwire.http.template_folder
local Template = { __name = "moonwire.http.template" }
Template.__index = Template

---@class moonwire.http.template_folder
---@field private folder moonwire.folder
---@field private filters table<string, function>
---@field private fresh boolean
---@field private loaded table<string, moonwire.http.template>
local Folder = { __name = "moonwire.http.template_folder" }
Folder.__index = Folder

-- A template, or what is wrong with its text, with its name and line.
local function compile(source, name, filters)
  local code, problem, line = template_code.compile(source, filters)
  if not code then
    return nil, ("%s:%d: %s"):format(name, line, problem)
  end
  local chunk, message = load(code.lua, "=" .. name, "t", {})
  if not chunk then
    return nil, message
  end
  local run = chunk(escape, raw, each, sorted, within, filters)
  return setmetatable({ name = name, run = run, parent = code.parent }, Template)
end

---@class moonwire.http.template_options
---@field name? string what errors call it; default "template"
--- More filters: they get the value and the arguments, and return a value.
---@field filters? table<string, function>

local KNOWN <const> = { name = "string", filters = "table" }

--- A template from its text. Raises for what is none, with its name and line.
---@param text string
---@param options? moonwire.http.template_options
---@return moonwire.http.template
function template.compile(text, options)
  check.type(text, "string", 1, "compile")
  check.options(options, KNOWN, 2, "compile")
  local name = options and options.name or "template"
  local made, problem = compile(text, name, read_filters(options and options.filters))
  if not made then
    error(problem, 2)
  end
  if made.parent then
    check.refuse(1, "compile", "'extends' and 'include' are for templates of a folder")
  end
  return made
end

-- The template with another's name: of the same folder.
local function related(self, name)
  if not self.pages then
    error(("%s: 'include' is for templates of a folder"):format(self.name), 0)
  end
  local found, err = self.pages:get(name)
  return found or error(("%s: %s"):format(self.name, err), 0)
end

local function run(self, values, out, n, depth)
  if depth > DEPTH_MOST then
    error(("%s: more than %d templates within each other"):format(self.name, DEPTH_MOST), 0)
  end
  local own, top = {}, self
  local function include(name, scope, pieces, count)
    return run(related(top, name), scope, pieces, count, depth + 1)
  end
  for _ = 1, EXTENDS_MOST do
    n = top.run(values, out, n, own, include)
    if not top.parent then
      return n
    end
    top = related(top, top.parent)
  end
  error(("%s: more than %d templates that extend each other"):format(self.name, EXTENDS_MOST), 0)
end

--- The text of a template with values. Waits, when it includes or extends
--- templates that were not read yet. Raises what goes wrong in it, with its name
--- and line.
---@param values? table<string, any>
---@return string text
function Template:render(values)
  check.object(self, Template, "render")
  check.type(values or {}, "table", 1, "render")
  local out = {}
  run(self, values or {}, out, 0, 1)
  return table.concat(out)
end

---@class moonwire.http.template_folder_options
---@field filters? table<string, function> more filters, as of compile
--- Whether each rendering reads the files anew, for those who write them; default false: each is read once.
---@field fresh? boolean

local FOLDER_KNOWN <const> = { filters = "table", fresh = "boolean" }

--- The templates below a folder. Their names are paths below it; nothing leads
--- out of it. Does not wait: a module may have one at its top level.
---@param path string|moonwire.folder
---@param options? moonwire.http.template_folder_options
---@return moonwire.http.template_folder?
---@return string? err
---@return moonwire.code? code as of file.root
function template.folder(path, options)
  check.options(options, FOLDER_KNOWN, 2, "folder")
  local root, err, code = path, nil, nil
  if type(path) == "string" then
    root, err, code = file.root(path)
  end
  if not root then
    return nil, err, code
  end
  return setmetatable({
    folder = root, filters = read_filters(options and options.filters), loaded = {},
    fresh = options and options.fresh or false,
  }, Folder)
end

--- A template of the folder. Waits when it was not read yet. Raises when it is
--- none, with its name and line.
---@param name string
---@return moonwire.http.template?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "too_large" (above 1 MiB)
function Folder:get(name)
  check.object(self, Folder, "get")
  check.type(name, "string", 1, "get")
  local known = not self.fresh and self.loaded[name]
  if known then
    return known
  end
  local source, err, code = self.folder:read(name, { max = BYTES_MOST })
  if not source then
    return nil, err, code
  end
  local made, problem = compile(source, name, self.filters)
  if not made then
    error(problem, 0)
  end
  made.pages = self
  self.loaded[name] = made
  return made
end

--- The text of a template of the folder with values. Raises what goes wrong, also
--- when there is no such file: names of templates come from scripts.
---@param name string
---@param values? table<string, any>
---@return string text
function Folder:render(name, values)
  check.object(self, Folder, "render")
  check.type(name, "string", 1, "render")
  check.type(values or {}, "table", 2, "render")
  local found, err = self:get(name)
  if not found then
    error(err, 2)
  end
  return found:render(values)
end

--- A text with the five characters escaped that mean something in HTML: good
--- between tags, and within the quotes of attributes.
---@param value any nil is no text
---@return string
function template.escape(value)
  return escape(value)
end

return template
