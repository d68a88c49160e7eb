--- What the API fuzzer must not do: leave this machine, end or silence this process, touch anybody else's
--- files.
local core = require "moonwire.core"
local dns = require "moonwire.dns"
local log = require "moonwire.log"

local rules = {}

-- Modules whose purpose is the world outside of the process; and what parts of the process are not for
-- scripts.
local SKIPPED_MODULES <const> = {
  check = true, run = true, test = true, repl = true, process = true, file = true, watch = true,
  socket = true, library = true, sandbox = true, init = true,

}
local SKIPPED <const> = {
  ["core.main.exit"] = true, ["core.main.wait"] = true, ["core.main.set_strict"] = true,
  ["core.net.standard"] = true,
}

-- Nobody listens there, and it is refused at once.
local DEAD_NAME_SERVER <const> = { servers = { "127.0.0.1:1" }, timeout = 0.01, tries = 1 }

local level

--- Whether a module is called at all.
---@param name string "net"
---@return boolean
function rules.takes_module(name)
  return not SKIPPED_MODULES[name]
end

--- Whether a function is called. Those of the terminal are not: there is none.
---@param name string "net.listen"
---@return boolean
function rules.takes(name)
  return not SKIPPED[name] and not name:find("^core%.editor") and not name:find("^core%.input")
end

--- Before the first call.
function rules.prepare()
  level = log.get_level()
  dns.configure(DEAD_NAME_SERVER)
end

--- After each call: what it may have changed for all.
---@param name string of the function
function rules.after(name)
  if name:find("configure", 1, true) then
    dns.configure(DEAD_NAME_SERVER)
  elseif name:find("set_level", 1, true) then
    log.set_level(level)
  end
end

--- After the last call.
function rules.restore()
  dns.configure {}
  assert(core.log.get_level() == level)
end

return rules
