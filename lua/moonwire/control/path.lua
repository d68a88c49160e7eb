--- Where the control socket is. Not for scripts.
local path = {}

local DEFAULT_CONFIG <const> = "/etc/moonwire/moonwire.lua"
local DEFAULT <const> = "/run/moonwire/control.sock"

local function of_config(file)
  return require "moonwire.config".control(file)
end

--- The control socket that a command line means: as it says, or the environment,
--- or the config of this machine.
---@param values { control?: string, config?: string } the options
---@return string? path
---@return string? message why the config that is named cannot be read
function path.find(values)
  if values.control then
    return values.control
  elseif values.config then
    return of_config(values.config)
  end
  local named = os.getenv "MOONWIRE_CONTROL"
  if named and named ~= "" then
    return named
  end
  return of_config(DEFAULT_CONFIG) or DEFAULT
end

return path
