--- What the API fuzzer must not do: leave this machine, end or silence this process, touch anybody else's
--- files.
local core = require "moonwire.core"
local dns = require "moonwire.dns"
local log = require "moonwire.log"

local rules = {}

-- Modules whose purpose is the world outside of the process, and that of specs.
local SKIPPED_MODULES <const> = { test = true, repl = true, process = true, file = true, init = true }
local SKIPPED <const> = {
  ["core.main.exit"] = true, ["core.main.wait"] = true, ["core.main.set_strict"] = true,
  ["core.net.serve_standard"] = true,
  ["core.data.encode"] = true, -- blames whom it is told to
}

-- Nobody listens there, and it is refused at once.
local DEAD_NAME_SERVER <const> = { servers = { "127.0.0.1:1" }, timeout = 0.01, tries = 1 }

local level

-- The comment at the head of a file says so: it trusts its callers, who are ours.
local function is_internal(name)
  local file <close> = assert(io.open(("lua/moonwire/%s.lua"):format(name)))
  return file:read("a"):match("^(.-)\nlocal "):find("Not for scripts.", 1, true) ~= nil
end

--- Whether a module is called at all.
---@param name string "net"
---@return boolean
function rules.takes_module(name)
  return not SKIPPED_MODULES[name] and not is_internal(name)
end

-- Of the core: those of the terminal, for there is none, and those of the config's reader, which says in
-- words of its own what is wrong.
local SKIPPED_PARTS <const> = {
  "^core%.editor", "^core%.input", "^core%.terminal", "^core%.scratch", "^core%.attempt", "^core%.config",
}

--- Whether a function is called.
---@param name string "net.listen"
---@return boolean
function rules.takes(name)
  for _, pattern in ipairs(SKIPPED_PARTS) do
    if name:find(pattern) then
      return false
    end
  end
  return not SKIPPED[name]
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
