--- Events. Scripts get them from moonwire.sync.
local Gate = require "moonwire.sync.gate"
local List = require "moonwire.sync.list"
local check = require "moonwire.check"

---@class moonwire.event
---@field private gate table
local Event = { __name = "moonwire.event" }
Event.__index = Event

-- A gate that lets everybody through while it is open, without permits.
local Door = {}
Door.__index = Door

function Door:try()
  return self.open
end

function Door:release() -- luacheck: ignore 212
end

---@return moonwire.event
function Event.new()
  return setmetatable({ gate = setmetatable({ open = false, line = List.new() }, Door) }, Event)
end

--- Sets the event: all who wait go on, and nobody waits from now on.
function Event:set()
  check.object(self, Event, "set")
  local door = self.gate
  door.open = true
  for place in door.line.first, door.line do
    place.waiter:call(place, true)
  end
end

--- Clears the event: who comes now waits. Those whom `set` has woken already go on.
function Event:clear()
  check.object(self, Event, "clear")
  self.gate.open = false
end

--- Whether it is set.
---@return boolean
function Event:is_set()
  check.object(self, Event, "is_set")
  return self.gate.open
end

--- Waits until it is set.
---@param seconds? number how long at most; 0: does not wait; default: for ever
---@return true? set
---@return string? err
---@return moonwire.code? code "timeout"
function Event:wait(seconds)
  check.object(self, Event, "wait")
  check.optional_seconds(seconds, 1, "wait")
  if Gate.enter(self.gate, seconds, "event") then
    return true
  end
  return nil, "timeout", "timeout"
end

local function collect()
  return true
end

-- For select: the gate, and what it gives.
function Event:__source()
  return self.gate, collect
end

function Event:__tostring()
  return "moonwire.event: " .. (self.gate.open and "set" or "clear")
end

return Event
