--- What a script returned, judged: the same for all who run scripts. Not for scripts.
local service_table = {}

local FIELDS <const> = {
  start = "function", connect = "function", request = "function", datagram = "function", resume = "function",
  handoff = "function", adopt = "function", stop = "function", options = "table", doors = "table",
}

local OF_A_DOOR <const> = { connect = "function", request = "function", options = "table" }

service_table.DOOR_MAX = 15 -- characters of a door's name

--- Whether a door may have that name.
---@param name any
---@return boolean
function service_table.is_door(name)
  return type(name) == "string" and #name <= service_table.DOOR_MAX and name:find("^%a[%w_-]*$") ~= nil
end

local function check_fields(fields, known, of)
  for name, field in pairs(fields) do
    local expected = known[name]
    if not expected then
      error(("unknown field '%s' in the table %s"):format(tostring(name), of.table), 0)
    end
    if type(field) ~= expected then
      local text = "the field '%s' of the %s must be a %s, not a %s"
      error(text:format(name, of.name, expected, type(field)), 0)
    end
  end
  if fields.connect and fields.request then
    error(("a %s has a 'connect' or a 'request' function, not both"):format(of.name), 0)
  end
end

local function check_doors(doors)
  for name, door in pairs(doors or {}) do
    if not service_table.is_door(name) then
      local text = "a door is named by a letter and up to 14 letters, digits, '_' or '-', not '%s'"
      error(text:format(tostring(name)), 0)
    elseif type(door) ~= "table" then
      error(("the door '%s' must be a table, not a %s"):format(name, type(door)), 0)
    end
    local called = ("door '%s'"):format(name)
    check_fields(door, OF_A_DOOR, { table = "of the " .. called, name = called })
    if not (door.connect or door.request) then
      error(("the door '%s' has no 'connect' or 'request' function"):format(name), 0)
    end
  end
end

--- The table of functions that a script's value stands for; nil for a program, which returned
--- nothing. Raises, without a place, for what is neither.
---@param value any what the script returned
---@return moonwire.service?
function service_table.of(value)
  if value == nil then
    return nil
  end
  if type(value) == "function" then
    return { connect = value }
  end
  if type(value) ~= "table" then
    error(("a script returns a function, a table of them or nothing, not a %s"):format(type(value)), 0)
  end
  check_fields(value, FIELDS, { table = "that the script returned", name = "service" })
  check_doors(value.doors)
  return value
end

return service_table
