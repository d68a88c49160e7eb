--- The world of a sandboxed script: its global table, and what `require` finds.
--- Loaded in sandboxed states only. Not for scripts.
local core = require "moonwire.core"
local log = require "moonwire.log"
local net = require "moonwire.net"

local sandbox = {}

-- Of the global functions: those that reach nothing but what they are given.
local FUNCTIONS <const> = {
  "assert", "error", "ipairs", "pairs", "pcall", "rawequal", "select", "tonumber", "tostring", "type",
  "xpcall",
}

local LIBRARIES <const> = {
  string = string, table = table, math = math, utf8 = utf8, coroutine = coroutine,
  os = { clock = os.clock, date = os.date, difftime = os.difftime, time = os.time },
}

-- Modules that reach nothing but the network and the log; what is false is not
-- shown of them: it would hold for the whole process.
local MODULES <const> = {
  ["moonwire.task"] = {},
  ["moonwire.timer"] = {},
  ["moonwire.sync"] = {},
  ["moonwire.dns"] = {},
  ["moonwire.log"] = { set_level = false },
  ["moonwire.metrics"] = { text = false },
  ["moonwire.net"] = {
    listen = core.sandbox.network_only(net.listen),
    serve = core.sandbox.network_only(net.serve),
    connect = core.sandbox.network_only(net.connect),
    datagram = core.sandbox.network_only(net.datagram),
    connect_datagram = core.sandbox.network_only(net.connect_datagram),
  },
  ["moonwire.store"] = { open = false }, -- confined to keys of its own
  ["moonwire.json"] = {},
  ["moonwire.xml"] = {},
  ["moonwire.codec"] = {},
  ["moonwire.crypto"] = {},
  ["moonwire.frame"] = {},
  ["moonwire"] = {},
}

local read_only = core.sandbox.read_only

-- Print writes to the log, which escapes, cuts and limits.
local function print_to_log(...)
  local words = table.pack(...)
  for i = 1, words.n do
    words[i] = tostring(words[i])
  end
  log.info(table.concat(words, "\t"))
end

-- A module of ours as scripts see it.
local function import(name)
  local module, changes = {}, MODULES[name]
  for key, value in pairs(require(name)) do
    if changes[key] ~= nil then
      value = changes[key]
    end
    module[key] = value or nil
  end
  return read_only(module)
end

local function refuse(name, problem)
  return nil, ("module '%s' cannot be required in a sandbox: %s"):format(name, problem)
end

-- The text of a module below the folder, and its path there.
local function read(self, name)
  local path = name:gsub("%.", "/")
  for _, ending in ipairs { ".lua", "/init.lua" } do
    local place = self.folder .. "/" .. path .. ending
    local sources = self.sources or {}
    local text = sources[place] or core.sandbox.read_module(self.folder, path .. ending)
    if text then
      sources[place] = text
      return text, path .. ending
    end
  end
end

-- Loads what is not loaded yet; nil and the reason when it is refused. Nothing
-- can wait meanwhile, so there is no one else who could require the same.
local function load_module(self, name)
  if MODULES[name] then
    return import(name)
  end
  if not self.folder or not name:find "^[%w_-][%w_.-]*$" or name:find("..", 1, true) then
    return refuse(name, "it is none of those there are")
  end
  local text, path = read(self, name)
  if not text then
    return refuse(name, "it is not below the folder of the script")
  end
  local chunk, message = self.env.load(text, ("@%s/%s"):format(self.folder, path))
  if not chunk then
    error(message, 0)
  end
  local value = core.sandbox.call(chunk, name, path)
  return value == nil and true or value
end

local function new_require(self)
  local loading = {}
  return function(name)
    if type(name) ~= "string" then
      error(("bad argument #1 to 'require' (string expected, got %s)"):format(type(name)), 2)
    end
    if self.loaded[name] == nil then
      local ok, value, problem = true, refuse(name, "it requires itself")
      if not loading[name] then
        loading[name] = true
        ok, value, problem = pcall(load_module, self, name)
        loading[name] = nil
      end
      if not ok or value == nil then
        error(ok and problem or value, ok and 2 or 0)
      end
      self.loaded[name] = value
    end
    return self.loaded[name]
  end
end

local function refuse_global(_, name)
  error(("assignment to the undeclared global '%s'; declare it local, or set it with rawset(_G, …)"):format(
    tostring(name)), 2)
end

--- The global table of a script.
---@param folder? string of the script; nil: it has no modules of its own
--- Path → text of files that are taken as they were read before; what else is read is added.
---@param sources? table<string, string>
---@return table
function sandbox.environment(folder, sources)
  local env, loaded = {}, {}
  for _, name in ipairs(FUNCTIONS) do
    env[name] = _G[name]
  end
  for name, fn in pairs(core.sandbox.globals) do
    env[name] = fn
  end
  for name, library in pairs(LIBRARIES) do
    env[name] = read_only(library)
    loaded[name] = env[name]
  end
  env.print = print_to_log
  env.load = core.sandbox.load_with(env)
  env.require = new_require { env = env, folder = folder, sources = sources, loaded = loaded }
  env.package = read_only { loaded = read_only(loaded) }
  env._VERSION = _VERSION
  env._G = env
  loaded._G = env
  return setmetatable(env, { __newindex = refuse_global })
end

return sandbox
