--- What tasks stand in line for: permits, handed out first come, first served.
--- Semaphores and queues are made of it. Not for scripts.
---
--- A gate has a `line` of those who wait, `try` and `release`; `ended` tells
--- that it will not open any more. Nobody stands in line while permits are free.
local List = require "moonwire.sync.list"
local Waiter = require "moonwire.sync.waiter"

local Gate = {}
Gate.__index = Gate

--- A gate with so many permits.
---@param free integer
---@return table
function Gate.new(free)
  return setmetatable({ free = free, line = List.new(), ended = false }, Gate)
end

--- Takes a permit if one is free.
---@return boolean
function Gate:try()
  if self.free == 0 then
    return false
  end
  self.free = self.free - 1
  return true
end

--- Gives a permit to the first in line, or lays it down for whoever comes.
function Gate:release()
  local place = self.line:first()
  if place then
    place.waiter:call(place, true)
  else
    self.free = self.free + 1
  end
end

--- Sends everybody home who is in line, and who comes later and finds no permit.
function Gate:finish()
  self.ended = true
  for place in self.line.first, self.line do
    place.waiter:call(place, false)
  end
end

--- Takes a permit of a gate of any kind; waits for it when there is none.
---@param gate table
---@param seconds? number 0: does not wait
---@param name string what the task waits for, as task:waits_for() tells
---@return boolean? granted false: it will not open any more; nil: time is up
function Gate.enter(gate, seconds, name)
  if gate:try() then
    return true
  end
  if gate.ended then
    return false
  end
  if seconds == 0 then
    return nil
  end
  local waiter <close> = Waiter.new(name)
  waiter:stand_at(gate)
  return (waiter:wait(seconds))
end

return Gate
