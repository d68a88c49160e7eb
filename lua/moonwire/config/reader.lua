--- The language of a config: Lua without all that reaches anything, and the words that are defined here.
--- Not for scripts.
local core = require "moonwire.core"
local kind = require "moonwire.config.kind"
local message = require "moonwire.probe.message"
local nearest = require "moonwire.config.nearest"
local place = require "moonwire.config.place"
local schema = require "moonwire.config.schema"

local reader = {}

local SIZE_MOST <const> = 16 * 1024 * 1024 -- of a file of a config
local SECONDS <const> = 1 -- of the processor, for all of it
local DEPTH_MOST <const> = 20 -- of files that include files
local NAME_MOST <const> = 63 -- bytes of the name of a service

-- What is harmless of Lua: it works with values, and reaches nothing.
local FUNCTIONS <const> = {
  assert = assert, error = error, ipairs = ipairs, next = next, pairs = pairs, select = select,
  tonumber = tonumber, tostring = tostring, type = type,
}
local LIBRARIES <const> = { string = string, table = table, math = math }

---@class moonwire.config.setting
---@field value any
---@field at moonwire.config.place

---@class moonwire.config.service_table
---@field name string
---@field value table
---@field at moonwire.config.place
---@field folder string of the file it stands in

---@class moonwire.config.reading
---@field options table<string, moonwire.config.setting>
---@field services moonwire.config.service_table[]
---@field files string[] that were read, the first first
---@field private lenient boolean what the environment does not have is empty
---@field private open string[] paths of the files that are being read, the innermost last
---@field private pending? moonwire.config.place of a service whose table is still to come
---@field private env table what the code of the config sees
local Reading = {}
Reading.__index = Reading

local words = {} -- name → function(reading, …)

-- --- places ---

function Reading:has_read(path)
  for _, file in ipairs(self.files) do
    if file == path then
      return true
    end
  end
end

-- Where the code of the config runs that called the word or set the global. After a tail call it is not
-- on the stack any more, and only the file is known.
function Reading:here()
  for level = 2, math.huge do
    local info = debug.getinfo(level, "Sl")
    if not info then
      return place.new(self.open[#self.open])
    elseif info.source:sub(1, 1) == "@" and self:has_read(info.source:sub(2)) then
      return place.new(info.source:sub(2), info.currentline)
    end
  end
end

-- --- files ---

local function folder_of(path)
  return path:match("^(.*/)[^/]*$") or ""
end

local function read_text(path)
  local file <close>, why = io.open(path, "rb")
  if not file then
    return nil, (why:gsub("^.*: ", ""))
  end
  local text, problem = file:read(SIZE_MOST + 1)
  if problem then
    return nil, problem
  end
  return text or ""
end

-- Raises what is wrong with the file, or `at` the place that includes it when it cannot be read.
local function run_file(self, path, at)
  local text, why = read_text(path)
  if not text and at.line then
    at:fail("%s: %s", path, why)
  elseif not text then
    at:fail("%s", why)
  elseif #text > SIZE_MOST then
    at:fail("%s: a file of a config has at most %d bytes", path, SIZE_MOST)
  end
  self.files[#self.files + 1] = path
  self.open[#self.open + 1] = path
  local chunk, problem = load(text, "@" .. path, "t", self.env)
  if not chunk then
    error(problem, 0)
  end
  chunk()
  self:finish_service()
  self.open[#self.open] = nil
end

-- --- words ---

function Reading:finish_service()
  if self.pending then
    self.pending:fail('a table expected behind the name, as in: service "%s" { … }', self.pending.service)
  end
end

local function to_name(at, word, what, value)
  if type(value) ~= "string" or value == "" then
    at:below(word):expect(what, value)
  end
  return value
end

function words.service(self, name)
  local at = self:here()
  self:finish_service()
  if type(name) ~= "string" or not name:find("^%w[%w_.-]*$") or #name > NAME_MOST then
    local expected = "a name of at most %d letters, digits, '_', '-' and '.'"
    at:below("service"):expect(expected:format(NAME_MOST), name)
  end
  at = at:of_service(name)
  self.pending = at
  local folder = folder_of(self.open[#self.open])
  return function(value)
    self.pending = nil
    if type(value) ~= "table" then
      at:fail('a table expected behind the name, as in: service "%s" { … }', name)
    end
    table.insert(self.services, { name = name, value = value, at = at, folder = folder })
  end
end

local function paths_of(self, pattern)
  if pattern:sub(1, 1) ~= "/" then
    pattern = folder_of(self.open[#self.open]):gsub("[*?%[\\]", "\\%0") .. pattern
  end
  if pattern:find("[*?[]", 1) then
    return core.config.files(pattern)
  end
  return { (pattern:gsub("\\(.)", "%1")) }
end

function words.include(self, pattern)
  local at = self:here()
  to_name(at, "include", 'a path or a pattern (such as "conf.d/*.lua")', pattern)
  self:finish_service()
  for _, path in ipairs(paths_of(self, pattern)) do
    for _, open in ipairs(self.open) do
      if open == path then
        at:fail("include: %s includes itself", path)
      end
    end
    if #self.open == DEPTH_MOST then
      at:fail("include: files are included more than %d deep", DEPTH_MOST)
    end
    run_file(self, path, at)
  end
end

-- What a variable says, of the type that the default has.
local function like(value, default, at, name)
  local result = value
  if type(default) == "number" then
    result = math.tointeger(tonumber(value)) or tonumber(value)
  elseif type(default) == "boolean" then
    result = ({ ["true"] = true, ["false"] = false })[value]
  end
  if result == nil then
    at:fail('env: the variable %s must be a %s, as its default is, not "%s"', name, type(default), value)
  end
  return result
end

function words.env(self, name, default)
  local at = self:here()
  to_name(at, "env", "the name of a variable", name)
  local value = os.getenv(name)
  if value then
    return like(value, default, at, name)
  elseif default == nil and not self.lenient then
    at:fail('env: the environment has no variable %s; set it, or give a default: env("%s", "…")', name,
      name)
  end
  return default == nil and "" or default
end

function words.credential(self, name)
  local at = self:here()
  to_name(at, "credential", "the name of a credential", name)
  local folder = os.getenv "CREDENTIALS_DIRECTORY"
  if name:find("/", 1, true) or name == ".." or name == "." then
    at:fail("credential: %s: a name expected, not a path", name)
  elseif not folder and not self.lenient then
    local remedy = "systemd sets it for a unit with LoadCredential=" .. name .. ":FILE"
    at:fail("credential: %s: there is no $CREDENTIALS_DIRECTORY; %s", name, remedy)
  end
  local path = ("%s/%s"):format(folder, name)
  local text, why = read_text(path)
  if not text and not self.lenient then
    at:fail("credential: %s: %s; the unit needs LoadCredential=%s:FILE", path, why, name)
  end
  return ((text or ""):gsub("\r?\n$", ""))
end

-- --- the environment ---

local function read_only(library)
  local copy = {}
  for name, value in pairs(library) do
    copy[name] = value
  end
  local function refuse()
    error("a library cannot be changed in a config", 2)
  end
  return setmetatable({}, { __index = copy, __newindex = refuse, __metatable = false })
end

local function names_of_words()
  local names = {}
  for name in pairs(words) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function refuse_word(self, name)
  local names = names_of_words()
  local list = table.concat(names, ", ")
  for _, known in ipairs { FUNCTIONS, LIBRARIES } do
    for word in pairs(known) do
      names[#names + 1] = word
    end
  end
  local near = nearest.find(tostring(name), names)
  self:here():fail("there is no '%s' in a config%s", name,
    near and ("; did you mean '%s'?"):format(near) or (", which knows %s, and a little of Lua"):format(list))
end

local function environment(self)
  local known = {}
  for name, fn in pairs(FUNCTIONS) do
    known[name] = fn
  end
  for name, library in pairs(LIBRARIES) do
    known[name] = read_only(library)
  end
  for name, word in pairs(words) do
    known[name] = function(...)
      return word(self, ...)
    end
  end
  local function get(_, name)
    local option = self.options[name]
    if known[name] == nil and not option and not kind.field(schema.daemon, name) then
      refuse_word(self, name)
    end
    if option then
      return option.value
    end
    return known[name]
  end
  local function set(_, name, value)
    local at = self:here()
    if known[name] ~= nil then
      at:fail("'%s' is a word of the config, and cannot be set", name)
    elseif kind.field(schema.service, name) and not kind.field(schema.daemon, name) then
      at:fail('%s is an option of services: service "NAME" { %s = … }', name, name)
    elseif not kind.field(schema.daemon, name) then
      kind.refuse_key(name, schema.daemon, at)
    end
    self.options[name] = { value = value, at = at }
  end
  return setmetatable({}, { __index = get, __newindex = set, __metatable = false })
end

-- --- reading ---

--- Reads a config and what it includes. Raises a fault.
---@param path string
---@param lenient? boolean variables and credentials that are missing are empty
---@return moonwire.config.reading
function reader.read(path, lenient)
  local self = setmetatable({ options = {}, services = {}, files = {}, open = {} }, Reading)
  self.lenient = lenient
  self.env = environment(self)
  local ok, problem = core.attempt(SECONDS, run_file, self, path, place.new(path))
  if not ok then
    local fault = type(problem) == "table" and problem.fault
    fault = fault or message.whole(problem, self.open[#self.open] or path, self.files)
    error({ fault = fault, files = #self.files > 0 and self.files or { path } }, 0)
  end
  return self
end

return reader
