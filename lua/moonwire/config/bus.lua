--- The kind of option that is the URL of a bus. Not for scripts.
local target = require "moonwire.bus.target"

local bus = {}

bus.kind = { expected = 'the URL of a bus (such as "redis://cache.example:6379")' }

--- What is wrong is told without the URL, which may hold a password.
---@param value any
---@param at moonwire.config.place
---@return string
function bus.kind.read(value, at)
  if type(value) ~= "string" then
    at:expect(bus.kind.expected, value)
  end
  local _, problem = target.parse(value)
  if problem then
    at:fail("%s: %s", at.key, problem)
  end
  return value
end

return bus
