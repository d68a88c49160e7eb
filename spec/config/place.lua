--- Configs in folders of their own, for specs.
local config = require "moonwire.config"
local folder = require "spec.support.folder"

local place = {}

--- The script of the services in these configs.
place.ECHO = "return function(conn) for data in conn:chunks() do conn:write(data) end end\n"

--- Reads a config, which lies beside echo.lua and further files.
---@param text string
---@param files? table<string, string> name → content
---@return table? whole
---@return string? fault, where the folder is written as DIR
---@return string path of the folder, which is gone
function place.read(text, files)
  local here <close> = folder.new()
  here:write("echo.lua", place.ECHO)
  for name, content in pairs(files or {}) do
    here:write(name, content)
  end
  local whole, fault = config.read(here:write("moonwire.lua", text))
  return whole, fault and fault:gsub(here.path:gsub("%p", "%%%0"), "DIR"), here.path
end

--- What is read of a config that is good.
---@param text string
---@param files? table<string, string>
---@return table whole
---@return string path of the folder, which is gone
function place.good(text, files)
  local whole, fault, path = place.read(text, files)
  assert(whole, fault)
  return whole, path
end

--- The fault of a config that is not.
---@param text string
---@param files? table<string, string>
---@return string
function place.fault(text, files)
  local whole, fault = place.read(text, files)
  assert(not whole, "the config is taken for good")
  return fault
end

return place
