--- Reads the annotations of Lua files and the headings of documentation pages,
--- for the spec that holds them together.
local annotations = {}

---@class spec.parameter
---@field name string
---@field optional boolean

---@class spec.annotated_function
---@field receiver string module, or class without "moonwire."
---@field name string
---@field is_method boolean
---@field text string description; "" when there is none
---@field parameters spec.parameter[] as ---@param lines name them
---@field signature string[]? the names in the code; nil for `module.name = other`
---@field hidden boolean marked ---@private
---@field codes string[] the words in quotes of the line `---@return … code`
---@field place string file:line

---@class spec.annotated_class
---@field name string without "moonwire."
---@field parent string? likewise
---@field fields string[]
---@field place string

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local function names_of(text)
  local names = {}
  for name in text:gmatch("[%w_.]+") do
    names[#names + 1] = name
  end
  return names
end

-- What a comment above a function tells.
local function read_comment(comment)
  local read_here = { text = "", parameters = {}, hidden = false, codes = {} }
  for _, line in ipairs(comment) do
    local name, mark = line:match("^%-%-%-@param ([%w_.]+)(%??)")
    if name then
      table.insert(read_here.parameters, { name = name, optional = mark == "?" })
    elseif line:find("^%-%-%-@private") then
      read_here.hidden = true
    elseif line:find("^%-%-%-@return .*code") then
      for code in line:gmatch('"([%l_]+)"') do
        table.insert(read_here.codes, code)
      end
    elseif line:find("^%-%-%- ") then
      read_here.text = read_here.text .. line:sub(5) .. "\n"
    end
  end
  return read_here
end

local function read_function(line)
  local receiver, separator, name, signature = line:match("^function ([%w_.]+)([.:])([%w_]+)(%b())")
  if receiver then
    return receiver, separator == ":", name, names_of(signature)
  end
  receiver, name = line:match("^([%l_]+)%.([%w_]+) = core%.[%w_.]+$")
  return receiver, false, name
end

local function add_class(found, line, place)
  local name, rest = line:match("^%-%-%-@class moonwire%.([%w_.]+)(.*)$")
  local class = { name = name, parent = rest:match("^: moonwire%.([%w_.]+)"), fields = {}, place = place }
  found.classes[name] = class
  return class
end

local function is_field_public(line)
  return line:find("^%-%-%-@field ") and not line:find("^%-%-%-@field private ")
end

---@class spec.annotations
---@field functions spec.annotated_function[]
---@field classes table<string, spec.annotated_class>

--- Reads a Lua file.
---@param path string
---@return spec.annotations
function annotations.read_code(path)
  local found, comment, class, owners, number = { functions = {}, classes = {} }, {}, nil, {}, 0
  for line in read(path):gmatch("([^\n]*)\n") do
    number = number + 1
    local place = ("%s:%d"):format(path, number)
    local variable = line:match("^local ([%w_]+) = ")
    local receiver, is_method, name, signature = read_function(line)
    if line:find("^%-%-%-@class moonwire%.") then
      class = add_class(found, line, place)
    elseif class and is_field_public(line) then
      table.insert(class.fields, line:match("@field ([%w_]+)"))
    elseif variable then
      owners[variable], class = class and class.name or variable, nil
    elseif name and not name:find("^__") then
      local entry = read_comment(comment)
      entry.receiver, entry.is_method = owners[receiver] or receiver, is_method
      entry.name, entry.signature, entry.place = name, signature, place
      table.insert(found.functions, entry)
    end
    comment = line:find("^%-%-%-") and table.move({ line }, 1, 1, #comment + 1, comment) or {}
  end
  return found
end

local function read_parameters(text)
  local parameters, optional = {}, false
  for token in text:gmatch("[%[%w_.]+") do
    optional = optional or token:find("^%[") ~= nil
    local name = token:match("[%w_.]+")
    if name then
      table.insert(parameters, { name = name, optional = optional })
    end
  end
  return parameters
end

---@class spec.heading
---@field receiver string
---@field is_method boolean
---@field name string
---@field parameters spec.parameter[]
---@field text string what stands below it
---@field place string

---@class spec.page
---@field headings spec.heading[] of functions: ### `module.name(parameter [, optional])`
---@field blocks { text: string, place: string }[] of Lua code
---@field text string

--- Reads a page of docs/api.
---@param path string
---@return spec.page
function annotations.read_page(path)
  local page, heading, block, number = { headings = {}, blocks = {}, text = read(path) }, nil, nil, 0
  for line in page.text:gmatch("([^\n]*)\n") do
    number = number + 1
    local receiver, separator, name, parameters = line:match("^### `([%w_]+)([.:])([%w_]+)(%b())`$")
    if block and line == "```" then
      table.insert(page.blocks, block)
      block = nil
    elseif block then
      block.text = block.text .. line .. "\n"
    elseif line == "```lua" then
      block = { text = "", place = ("%s:%d"):format(path, number) }
    elseif name then
      heading = {
        receiver = receiver, is_method = separator == ":", name = name, text = "",
        parameters = read_parameters(parameters), place = ("%s:%d"):format(path, number),
      }
      table.insert(page.headings, heading)
    elseif line:find("^#") then
      heading = nil
    elseif heading then
      heading.text = heading.text .. line .. "\n"
    end
  end
  return page
end

return annotations
