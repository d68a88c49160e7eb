--- What a bridge is to send, or has sent and not yet heard itself, in the order of its numbers.
--- Not for scripts.
local window = {}

---@class moonwire.bus.window
---@field bytes integer
---@field private entries table[] number and frame, from `first` to `last`
---@field private sent integer the last that was
local Window = {}
Window.__index = Window

---@return moonwire.bus.window
function window.new()
  return setmetatable({ entries = {}, first = 1, last = 0, sent = 0, bytes = 0 }, Window)
end

---@param number integer
---@param frame string
function Window:add(number, frame)
  self.last = self.last + 1
  self.entries[self.last] = { number = number, frame = frame }
  self.bytes = self.bytes + #frame
end

--- Takes off all up to a number.
---@param number integer
---@return integer count
function Window:confirm(number)
  local first = self.first
  while self.first <= self.last and self.entries[self.first].number <= number do
    self.bytes = self.bytes - #self.entries[self.first].frame
    self.entries[self.first] = nil
    self.first = self.first + 1
  end
  self.sent = math.max(self.sent, self.first - 1)
  return self.first - first
end

--- Takes off all.
---@return integer count
function Window:clear()
  return self:confirm(math.maxinteger)
end

--- The first frame that was not sent, which counts as sent now; nil: there is none.
---@return string? frame
function Window:take()
  if self.sent < self.last then
    self.sent = self.sent + 1
    return self.entries[self.sent].frame
  end
end

---@return integer
function Window:count()
  return self.last - self.first + 1
end

--- The frames that are in it now.
---@return string[]
function Window:frames()
  local frames = {}
  for index = self.first, self.last do
    frames[#frames + 1] = self.entries[index].frame
  end
  return frames
end

return window
