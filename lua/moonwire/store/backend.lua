--- Finds the backend of a URL by its scheme: a module moonwire.store.SCHEME. Not for scripts.
local address = require "moonwire.store.address"

local backend = {}

local function load_module(scheme)
  local name = "moonwire.store." .. scheme
  local found, module = pcall(require, name)
  if found then
    return type(module) == "table" and module.check and module.open and module
  elseif not tostring(module):find(("module '%s' not found"):format(name), 1, true) then
    error(module, 0)
  end
end

--- The module and the parts of the URL; nil and what is wrong with it. Nothing is opened.
---@param url string
---@return table? module as the head of moonwire.store.handle says
---@return moonwire.store.address|string
function backend.find(url)
  local of, problem = address.split(url)
  if not of then
    return nil, problem
  end
  local module = load_module(of.scheme)
  if not module then
    return nil, ("there is no store of the kind '%s:'"):format(of.scheme)
  end
  problem = module.check(of)
  if problem then
    return nil, problem
  end
  return module, of
end

return backend
