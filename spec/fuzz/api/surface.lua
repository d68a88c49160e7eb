--- What there is to call: the functions of all modules, core's too, and the methods of objects as they
--- appear. The annotations tell which arguments a function expects; without any, it gets what comes.
local lfs = require "lfs"
local rules = require "spec.fuzz.api.rules"

---@class spec.fuzz.callable
---@field name string "net.listen", "stream:read"
---@field fn function
---@field self? any of a method: the object it was found on
---@field parameters? { name: string, type: string }[]

local Surface = {}
Surface.__index = Surface

-- Reads the annotations of one file into `known`: parameters of functions, fields of options.
local function read_annotations(path, known)
  local parameters, class, owners = {}, nil, {}
  for line in io.lines(path) do
    local name, kind = line:match("^%-%-%-@param ([%w_.]+)%?? (%S+)")
    local field, field_kind = line:match("^%-%-%-@field ([%l_]+)%?? (%S+)")
    local new_class, parent = line:match("^%-%-%-@class moonwire%.([%w_.]+):? ?m?o?o?n?w?i?r?e?%.?([%w_]*)")
    local variable = line:match("^local ([%w_]+) =")
    local receiver, separator, called = line:match("^function ([%w_.]+)([.:])([%w_]+)")
    if not receiver then
      receiver, called = line:match("^([%l_]+)%.([%w_]+) = core%.")
      separator = "."
    end
    if name then
      parameters[#parameters + 1] = { name = name, type = kind }
    elseif new_class then
      class = { parent = parent, fields = {} }
      known.classes[new_class], class.name = class, new_class
    elseif field and class then
      class.fields[#class.fields + 1] = { name = field, type = field_kind }
    elseif variable then
      owners[variable], class = class and class.name or variable, nil
    elseif receiver then
      known.functions[(owners[receiver] or receiver) .. separator .. called] = parameters
    end
    if not line:find("^%-%-%-") then
      parameters = {}
    end
  end
end

local function lua_files(folder)
  local found = {}
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if name:find("%.lua$") then
      found[#found + 1] = path
    elseif name:find("^%w") and lfs.attributes(path, "mode") == "directory" then
      table.move(lua_files(path), 1, 1000, #found + 1, found)
    end
  end
  table.sort(found)
  return found
end

local function read_all_annotations()
  local known = { functions = {}, classes = {} }
  for _, path in ipairs(lua_files("lua")) do
    read_annotations(path, known)
  end
  return known
end

function Surface:add(name, fn, object)
  if not self.names[name] and rules.takes(name) and (not self.only or name:find(self.only)) then
    self.names[name] = true
    self.entries[#self.entries + 1] = {
      name = name, fn = fn, self = object, parameters = self.known.functions[name:gsub("^core%.", "")]
    }
  end
end

function Surface:add_table(name, members)
  local sorted = {}
  for key in pairs(members) do
    sorted[#sorted + 1] = key
  end
  table.sort(sorted)
  for _, key in ipairs(sorted) do
    local member = members[key]
    if type(member) == "function" then
      self:add(name .. "." .. key, member)
    elseif type(member) == "table" and not getmetatable(member) and not member.__index then
      self:add_table(name .. "." .. key, member)
    end
  end
end

local function add_modules(self)
  for _, path in ipairs(lua_files("lua/moonwire")) do
    local name = path:match("^lua/moonwire/([%l_]+)%.lua$")
    if name and rules.takes_module(name) then
      self:add_table(name, require("moonwire." .. name))
    end
  end
  self:add_table("core", require "moonwire.core")
end

--- The modules, and from then on every kind of object that `learn` meets.
---@param only? string pattern for names
function Surface.new(only)
  local self = setmetatable({
    names = {}, entries = {}, only = only, known = read_all_annotations(),
  }, Surface)
  add_modules(self)
  return self
end

local function is_method(metatable, key, member, is_userdata)
  return type(member) == "function" and type(key) == "string" and key ~= "new" and key ~= "__gc"
    and (is_userdata and metatable.__metatable ~= nil or not key:find("^__"))
end

--- Adds the methods of an object the first time its kind is met; metamethods too, of our own userdata.
---@param object any
function Surface:learn(object)
  local metatable = debug.getmetatable(object)
  local kind = metatable and rawget(metatable, "__name")
  if type(kind) ~= "string" or not kind:find("^moonwire%.") or self.names[kind] then
    return
  end
  self.names[kind] = true
  local methods, is_userdata = rawget(metatable, "__index"), type(object) == "userdata"
  local short = kind:gsub("^moonwire%.", "")
  for _, members in ipairs { type(methods) == "table" and methods or {}, metatable } do
    for key, member in pairs(members) do
      if is_method(metatable, key, member, is_userdata) then
        self:add(short .. ":" .. key, member, object)
      end
    end
  end
  table.sort(self.entries, function(a, b) return a.name < b.name end)
end

--- Something to call.
---@return spec.fuzz.callable
function Surface:pick()
  return self.entries[math.random(#self.entries)]
end

--- The fields of an options class, those of its parents included.
---@param name string "listen_options"
---@return { name: string, type: string }[]
function Surface:fields(name)
  local fields, class = {}, self.known.classes[name]
  while class do
    table.move(class.fields, 1, #class.fields, #fields + 1, fields)
    class = self.known.classes[class.parent]
  end
  return fields
end

--- How many functions and methods are known.
---@return integer
function Surface:count()
  return #self.entries
end

return Surface
