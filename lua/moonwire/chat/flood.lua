--- A bucket of acts that fills with time. Scripts get it from moonwire.chat.
local guard = require "moonwire.chat.guard"
local timer = require "moonwire.timer"

---@class moonwire.flood
---@field private rate number acts a second
---@field private burst number
---@field private left number acts; below 0 when more was done than may be
---@field private at number when `left` was so
local Flood = { __name = "moonwire.flood" }
Flood.__index = Flood

---@param rate number
---@param burst number
---@return moonwire.flood
function Flood.new(rate, burst)
  return setmetatable({ rate = rate, burst = burst, left = burst, at = timer.now() }, Flood)
end

--- Counts an act, and says how long whoever did it should not be listened to. Never waits itself.
---@param cost? number acts that it counts as; default 1
---@return number seconds 0: go on at once
function Flood:spend(cost)
  local now = timer.now()
  self.left = math.min(self.burst, self.left + (now - self.at) * self.rate) - (cost or 1)
  self.at = now
  return math.max(0, -self.left / self.rate)
end

return guard.methods(Flood, { spend = { "cost?" } })
