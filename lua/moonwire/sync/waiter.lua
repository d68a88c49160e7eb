--- One call that waits at one gate or at several. Not for scripts.
---
--- Nothing is handed over when it is woken: the gate keeps the permit for it
--- until it runs. A task that is cancelled in between leaves through `__close`,
--- which gives the permit to whoever stands behind it.
local List = require "moonwire.sync.list"
local core = require "moonwire.core"

local Waiter = {}
Waiter.__index = Waiter

--- Hold it in a <close> variable.
---@param name string what the task waits for, as task:waits_for() tells
---@return table
function Waiter.new(name)
  return setmetatable({
    wakeup = core.waiters.new(name), places = {}, called = false, granted = false, taken = false,
  }, Waiter)
end

--- Stands in line at one more gate.
---@param gate table
function Waiter:stand_at(gate)
  local index = #self.places + 1
  -- The links of the list are there from the start, so that the table never grows.
  local place = { waiter = self, gate = gate, index = index, list = false, before = false, behind = false }
  self.places[index] = place
  gate.line:append(place)
end

local function leave_all(waiter)
  for _, place in ipairs(waiter.places) do
    List.leave(place)
  end
end

--- Called by a gate, once: the wait is over.
---@param place table where it stood
---@param granted boolean false: that gate will not open any more
function Waiter:call(place, granted)
  leave_all(self)
  self.called, self.granted = place, granted
  self.wakeup:wake()
end

--- Waits until a gate calls. From here on the permit is the caller's.
---@param seconds? number
---@return boolean? granted false: a gate that will not open any more; nil: time is up
---@return integer? index which gate, counted as they were stood at
function Waiter:wait(seconds)
  if not self.called then
    self.wakeup:wait(seconds)
  end
  if not self.called then
    return nil
  end
  self.taken = true
  return self.granted, self.called.index
end

function Waiter:__close()
  if not self.called then
    leave_all(self)
  elseif self.granted and not self.taken then
    self.called.gate:release()
  end
end

return Waiter
