--- The log. Every entry knows service, connection and task by itself.
---
---     log.info("delivered", { recipient = name, size = #data })
local core = require "moonwire.core"

local log = {}

---@alias moonwire.level "debug"|"info"|"warn"|"error"

--- Writes an entry for someone who looks for a fault. Off by default.
---@param message string constant text; what varies belongs into fields
---@param fields? table<string, any> at most 32; printed in the order of their names
log.debug = core.log.debug

--- Writes an entry about the normal course of things.
---@param message string
---@param fields? table<string, any>
log.info = core.log.info

--- Writes an entry about what should be looked at some day.
---@param message string
---@param fields? table<string, any>
log.warn = core.log.warn

--- Writes an entry about what went wrong.
---@param message string
---@param fields? table<string, any>
log.error = core.log.error

--- Writes entries of this level and above from now on.
---@param level moonwire.level default "info"
log.set_level = core.log.set_level

--- The level from which on entries are written.
---@return moonwire.level
log.get_level = core.log.get_level

--- Whether an entry of this level would be written: ask before costly fields.
---@param level moonwire.level
---@return boolean
log.is_enabled = core.log.is_enabled

return log
