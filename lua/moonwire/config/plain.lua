--- Plain data: what `settings` may hold, and what can go from one process to another. Not for scripts.
local plain = {}

local DEPTH_MOST <const> = 90 -- of tables in tables; a message has 100, with what is around these

local SIMPLE <const> = { string = true, number = true, boolean = true }

local copy -- forward

local function copy_table(value, at, above)
  if above[value] then
    at:fail("%s: the table contains itself", at.key)
  elseif #above == DEPTH_MOST then
    at:fail("%s: tables are nested more than %d deep", at.key, DEPTH_MOST)
  elseif debug.getmetatable(value) then
    at:fail("%s: strings, numbers, booleans and tables of these expected, got a library", at.key)
  end
  above[value], above[#above + 1] = true, value
  local result = {}
  for key, element in pairs(value) do
    if not SIMPLE[type(key)] or type(key) == "boolean" then
      at:fail("%s: the key of a table must be a string or a number, not a %s", at.key, type(key))
    end
    local name = math.type(key) == "float" and tostring(key) or key
    result[key] = copy(element, at:below(name), above)
  end
  above[value], above[#above] = nil, nil
  return result
end

function copy(value, at, above)
  if SIMPLE[type(value)] then
    return value
  elseif type(value) == "table" then
    return copy_table(value, at, above)
  end
  at:fail("%s: strings, numbers, booleans and tables of these expected, got a %s", at.key, type(value))
end

--- A kind of option.
---@type moonwire.config.kind
plain.table = {
  expected = "a table of plain data",
  read = function(value, at)
    if type(value) ~= "table" then
      at:expect(plain.table.expected, value)
    end
    return copy(value, at, {})
  end,
}

return plain
