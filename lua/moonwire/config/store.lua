--- The kind of option that is the URL of a store. Not for scripts.
local backend = require "moonwire.store.backend"

local store = {}

store.kind = { expected = 'the URL of a store (such as "lmdb:///var/lib/moonwire/store")' }

---@param value any
---@param at moonwire.config.place
---@return string
function store.kind.read(value, at)
  if type(value) ~= "string" then
    at:expect(store.kind.expected, value)
  end
  local module, problem = backend.find(value)
  if not module then
    at:fail("%s: %s", at.key, problem)
  elseif not module.shared then
    at:fail("%s: %s is not shared by workers", at.key, value)
  end
  return value
end

return store
