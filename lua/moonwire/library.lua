--- Loads a module of others that one of Moonwire's stands on. Not for scripts.
local library = {}

--- Like require; when the module is missing the error says which Debian package has it.
---@param name string
---@param package_name string
---@return any module
function library.require(name, package_name)
  local ok, module = pcall(require, name)
  if ok then
    return module
  elseif package.searchpath(name, package.cpath) or package.searchpath(name, package.path) then
    error(module, 0)
  end
  error(("the module '%s' is missing: install the Debian package %s"):format(name, package_name), 0)
end

return library
