--- Work that is left until the head of a response goes out: fields that depend on
--- what the handler has done. Not for scripts.
local core = require "moonwire.core"

local STARTERS <const> = { "send", "write", "flush", "finish", "send_file", "upgrade" }

local standard <const> = core.http.response_methods

-- Methods that stand before others, for all responses that have these: `due` has the functions that are to
-- be called.
---@class moonwire.http.hook
---@field methods table<string, function>
---@field due table<moonwire.http.response, function>

local hooks = setmetatable({}, { __mode = "k" }) -- by the methods that they stand before

local function new_hook(others)
  local methods, due = setmetatable({}, { __index = others }), setmetatable({}, { __mode = "k" })
  for _, name in ipairs(STARTERS) do
    methods[name] = function(self, ...)
      local fn = due[self]
      if fn then
        due[self] = nil
        fn(self)
      end
      return others[name](self, ...)
    end
  end
  return { methods = methods, due = due }
end

local function hook_before(others)
  local hook = hooks[others] or new_hook(others)
  hooks[others] = hook
  return hook
end

--- Calls a function once, before the first call that sends something of the
--- response. It must not wait.
---@param response moonwire.http.response
---@param fn fun(response: moonwire.http.response)
local function before_head(response, fn)
  local hook = hook_before(standard)
  local others = core.http.override(response, hook.methods)
  if others ~= standard then
    hook = hook_before(others)
    core.http.override(response, hook.methods)
  end
  hook.due[response] = fn
end

return before_head
