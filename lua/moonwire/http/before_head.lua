--- Work that is left until the head of a response goes out: fields that depend on
--- what the handler has done. Not for scripts.
local core = require "moonwire.core"

local STARTERS <const> = { "send", "write", "flush", "finish", "send_file", "upgrade" }

--- Calls a function once, before the first call that sends something of the
--- response. It must not wait.
---@param response moonwire.http.response
---@param fn fun(response: moonwire.http.response)
local function before_head(response, fn)
  local methods, others, due = {}, nil, fn
  for _, name in ipairs(STARTERS) do
    methods[name] = function(self, ...)
      if due then
        due = nil
        fn(self)
      end
      return others[name](self, ...)
    end
  end
  others = core.http.override(response, methods)
  setmetatable(methods, { __index = others })
end

return before_head
