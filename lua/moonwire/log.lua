--- The log. Every entry knows service, connection and task by itself.
---
---     log.info("delivered", { recipient = name, size = #data })
local core = require "moonwire.core"

local log = {}

---@alias moonwire.level "debug"|"info"|"warn"|"error"

local write = core.log.write

--- Writes an entry for someone who looks for a fault. Off by default.
---@param message string constant text; what varies belongs into fields
---@param fields? table<string, any> at most 32; printed in the order of their names
function log.debug(message, fields)
  write("debug", message, fields)
end

--- Writes an entry about the normal course of things.
---@param message string
---@param fields? table<string, any>
function log.info(message, fields)
  write("info", message, fields)
end

--- Writes an entry about what should be looked at some day.
---@param message string
---@param fields? table<string, any>
function log.warn(message, fields)
  write("warn", message, fields)
end

--- Writes an entry about what went wrong.
---@param message string
---@param fields? table<string, any>
function log.error(message, fields)
  write("error", message, fields)
end

--- Writes entries of this level and above from now on.
---@param level moonwire.level default "info"
function log.set_level(level)
  core.log.set_level(level)
end

--- The level from which on entries are written.
---@return moonwire.level
function log.get_level()
  return core.log.get_level()
end

--- Whether an entry of this level would be written: ask before costly fields.
---@param level moonwire.level
---@return boolean
function log.is_enabled(level)
  return core.log.is_enabled(level)
end

return log
