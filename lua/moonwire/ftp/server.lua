--- The server's side: a dialogue for each connection. Not for scripts.
local line = require "moonwire.ftp.line"
local session = require "moonwire.ftp.session"

local server = {}

---@class moonwire.ftp.command
---@field run fun(session: moonwire.ftp.session, argument: string): integer?, string?, string[]?
---@field needs_login? boolean
---@field writes? boolean
---@field argument? "required"
---@field data? boolean it needs a data connection

local DEFAULTS <const> = {
  greeting = "Ready", tls = "off", active = true, idle_timeout = 300, stall_timeout = 60,
  connect_timeout = 30, failure_delay = 1, names_most = 100000,
}
local FILES <const> = { "access", "data", "files", "list", "transfer" }

local commands = {}
for _, name in ipairs(FILES) do
  for verb, command in pairs(require("moonwire.ftp.command_" .. name)) do
    commands[verb] = command
  end
end

local function begin(conn, options, state)
  return {
    conn = conn, options = options, commands = commands, pending = {},
    state = state or session.fresh_state(conn:tls() ~= nil),
  }
end

local function connect(conn, options)
  if conn:write(line.reply(220, options.greeting)) then
    session.converse(begin(conn, options))
  end
end

local function resume(conn, state, options)
  local self = begin(conn, options, state)
  if state.name then
    self.account = options.resume and options.resume(state.name, conn)
    if not self.account then
      conn:write(line.reply(421, "Log in anew"))
      return
    end
  end
  session.converse(self)
end

--- The functions of a service.
---@param options moonwire.ftp_service_options checked
---@return moonwire.service
function server.service(options)
  local whole = setmetatable({}, { __index = function(_, key)
    local value = options[key]
    if value == nil then
      return DEFAULTS[key]
    end
    return value
  end })
  return {
    connect = function(conn) return connect(conn, whole) end,
    resume = function(conn, state) return resume(conn, state, whole) end,
  }
end

return server
