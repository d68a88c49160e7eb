--- Where in a config something stands: what is wrong there is raised with file, line, service and key.
--- Not for scripts.
local place = {}

---@class moonwire.config.fault
---@field fault string "conf.lua:3: …"

---@class moonwire.config.place
---@field file string path
---@field line? integer nil: the file as a whole
---@field service? string the name
---@field key? string the path to a value: "limits.connections"
local Place = {}
Place.__index = Place

--- A line of a file.
---@param file string
---@param line? integer
---@return moonwire.config.place
function place.new(file, line)
  return setmetatable({ file = file, line = line }, Place)
end

--- The place of what stands in a service.
---@param name string
---@return moonwire.config.place
function Place:of_service(name)
  return setmetatable({ file = self.file, line = self.line, service = name }, Place)
end

--- The place of a key below this one.
---@param key string|integer
---@return moonwire.config.place
function Place:below(key)
  local path = math.type(key) == "integer" and ("%s[%d]"):format(self.key or "", key)
    or self.key and self.key .. "." .. key or key
  return setmetatable({ file = self.file, line = self.line, service = self.service, key = path }, Place)
end

--- "conf.lua:3"
function Place:__tostring()
  return self.line and self.line > 0 and ("%s:%d"):format(self.file, self.line) or self.file
end

--- Raises what is wrong here.
---@param message string
function Place:fail(message, ...)
  local service = self.service and ('service "%s": '):format(self.service) or ""
  error({ fault = ("%s: %s%s"):format(self, service, message:format(...)) }, 0)
end

-- What was found, in a message.
local function describe(value)
  if value == nil then
    return "nothing"
  elseif type(value) == "string" then
    return ("%q"):format(value):gsub("\\\n", "\\n")
  elseif type(value) == "number" or type(value) == "boolean" then
    return tostring(value)
  end
  return "a " .. type(value)
end

--- Raises that something else was expected for this key.
---@param expected string
---@param value any what is there
function Place:expect(expected, value)
  self:fail("%s: %s expected, got %s", self.key, expected, describe(value))
end

return place
