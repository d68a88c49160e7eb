--- What a script returned, judged: the same for all who run scripts. Not for scripts.
local service_table = {}

local FIELDS <const> = {
  start = "function", connect = "function", request = "function", datagram = "function", resume = "function",
  handoff = "function", adopt = "function", stop = "function", options = "table",
}

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
  for name, field in pairs(value) do
    local expected = FIELDS[name]
    if not expected then
      error(("unknown field '%s' in the table that the script returned"):format(tostring(name)), 0)
    end
    if type(field) ~= expected then
      error(("the field '%s' of the service must be a %s, not a %s"):format(name, expected, type(field)), 0)
    end
  end
  if value.connect and value.request then
    error("a service has a 'connect' or a 'request' function, not both", 0)
  end
  return value
end

return service_table
