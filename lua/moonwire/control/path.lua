--- Where the control socket is. Not for scripts.
local path = {}

local DEFAULT_CONFIG <const> = "/etc/moonwire/moonwire.lua"
local DEFAULT <const> = "/run/moonwire/control.sock"

-- What a config calls and reads, when nothing of it is of interest.
local nothing = setmetatable({}, {
  __index = function(self) return self end,
  __call = function(self) return self end,
  __concat = function(_, _) return "" end,
})

--- The control socket that a config names.
---@param file string
---@return string? path
---@return string? message why the config cannot be read
function path.of_config(file)
  local env = setmetatable({}, { __index = function() return nothing end })
  local chunk, message = loadfile(file, "t", env)
  if not chunk then
    return nil, message
  end
  local ok, fault = pcall(chunk)
  if not ok then
    return nil, tostring(fault)
  end
  local named = rawget(env, "control")
  return type(named) == "string" and named or DEFAULT
end

--- The control socket that a command line means: as it says, or the environment,
--- or the config of this machine.
---@param values { control?: string, config?: string } the options
---@return string? path
---@return string? message why the config that is named cannot be read
function path.find(values)
  if values.control or values.config then
    if not values.control then
      return path.of_config(values.config)
    end
    return values.control
  end
  local named = os.getenv "MOONWIRE_CONTROL"
  if named and named ~= "" then
    return named
  end
  return path.of_config(DEFAULT_CONFIG) or DEFAULT
end

return path
