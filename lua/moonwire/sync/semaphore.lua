--- Semaphores. Scripts get them from moonwire.sync.
local Gate = require "moonwire.sync.gate"
local check = require "moonwire.check"

---@class moonwire.semaphore
---@field private gate table
---@field private limit integer
local Semaphore = { __name = "moonwire.semaphore" }
Semaphore.__index = Semaphore

---@param permits integer
---@return moonwire.semaphore
function Semaphore.new(permits)
  return setmetatable({ gate = Gate.new(permits), limit = permits }, Semaphore)
end

--- Takes a permit. Waits until one is released when there is none; who came
--- first gets it first.
---@param seconds? number how long to wait at most; 0: does not wait; default: for ever
---@return true? taken
---@return string? err
---@return moonwire.code? code "timeout"
function Semaphore:acquire(seconds)
  check.object(self, Semaphore, "acquire")
  check.optional_seconds(seconds, 1, "acquire")
  if Gate.enter(self.gate, seconds, "semaphore") then
    return true
  end
  return nil, "timeout", "timeout"
end

--- Lays a permit down. Any task may do it; raises when all are there already.
function Semaphore:release()
  check.object(self, Semaphore, "release")
  if self.gate.free == self.limit then
    error("semaphore released more often than acquired", 2)
  end
  self.gate:release()
end

-- Releases at the end of the block, whichever way it is left.
local holding = { __close = function(held) held.gate:release() end }

--- Calls a function while it holds a permit, which it lays down however the
--- function ends.
---@param fn function called with the other arguments
---@param ... any
---@return any ... what the function returned
function Semaphore:with(fn, ...)
  check.object(self, Semaphore, "with")
  check.callable(fn, 1, "with")
  Gate.enter(self.gate, nil, "semaphore")
  local held <close> = setmetatable({ gate = self.gate }, holding) -- luacheck: ignore 211
  return fn(...)
end

--- How many permits are free.
---@return integer
function Semaphore:available()
  check.object(self, Semaphore, "available")
  return self.gate.free
end

local function collect()
  return true
end

-- For select: the gate, and what it gives.
function Semaphore:__source()
  return self.gate, collect
end

function Semaphore:__tostring()
  return ("moonwire.semaphore: %d of %d free"):format(self.gate.free, self.limit)
end

return Semaphore
