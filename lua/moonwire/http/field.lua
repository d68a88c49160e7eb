--- Fields of messages that scripts give, before they are sent. Not for scripts.
local field = {}

--- Fields that the client and the proxy set themselves.
local OURS <const> = { ["content-length"] = true, ["transfer-encoding"] = true, ["connection"] = true,
  ["upgrade"] = true, ["expect"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, te = true,
    trailer = true }

--- Whether bytes can be a method or the name of a field (RFC 9110 section 5.6.2).
---@param text any
function field.is_token(text)
  return type(text) == "string" and text ~= "" and not text:find("[^%w!#$%%&'*+%-.^_`|~]")
end

--- Whether bytes can be the value of a field: no control characters, no space around them.
---@param text string
function field.is_value(text)
  return not text:find("[%z\1-\8\10-\31\127]") and not text:find("^[ \t]") and not text:find("[ \t]$")
end

-- What is wrong with a field, or nil.
local function problem_of(name, value)
  if not field.is_token(name) then
    return ("option 'headers': %q is no name of a field"):format(tostring(name))
  end
  if OURS[name:lower()] then
    return ("option 'headers': the client sets %s itself"):format(name)
  end
  for _, one in ipairs(type(value) == "table" and value or { value }) do
    if type(one) ~= "string" and type(one) ~= "number" then
      return ("option 'headers': the value of %s is a %s"):format(name, type(one))
    end
    if not field.is_value(tostring(one)) then
      return ("option 'headers': the value of %s has control characters, or space around it"):format(name)
    end
  end
end

--- Adds what a script has given to `fields`, lower-case name → { name, value or list of values }.
---@param fields table
---@param headers? table<string, string|number|string[]|false> false takes away what would be sent by itself
---@return string? problem
function field.add(fields, headers)
  for name, value in next, headers or {} do
    local problem = value ~= false and problem_of(name, value)
    if problem then
      return problem
    end
    fields[tostring(name):lower()] = value and { name, value }
  end
end

--- The lines of a head.
---@param fields table as of add
---@return string
function field.lines(fields)
  local lines = {}
  for _, entry in next, fields do
    local name, value = entry and entry[1], entry and entry[2]
    if type(value) == "table" then
      for _, one in ipairs(value) do
        lines[#lines + 1] = name .. ": " .. one .. "\r\n"
      end
    elseif name then
      lines[#lines + 1] = name .. ": " .. value .. "\r\n"
    end
  end
  table.sort(lines) -- the same request gives the same bytes
  return table.concat(lines)
end

return field
