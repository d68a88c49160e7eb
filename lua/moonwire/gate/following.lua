--- Streams that end as soon as their clients are banned.
local check = require "moonwire.check"

---@class moonwire.gate_following
---@field private followed table<string, table<moonwire.stream, true>>
---@field private network string
---@field private stream moonwire.stream
local Following = { __name = "moonwire.gate_following" }
Following.__index = Following

--- A ban does nothing to the stream from now on. May be called again.
function Following:close()
  check.object(self, Following, "close")
  local streams = self.followed[self.network]
  if streams and streams[self.stream] then
    streams[self.stream] = nil
    self.followed[self.network] = next(streams) and streams or nil
  end
end

Following.__close = Following.close

---@param followed table<string, table<moonwire.stream, true>> by network
---@param network string
---@param stream moonwire.stream
---@return moonwire.gate_following
local function new(followed, network, stream)
  followed[network] = followed[network] or {}
  followed[network][stream] = true
  return setmetatable({ followed = followed, network = network, stream = stream }, Following)
end

--- Ends all of a network.
---@param followed table<string, table<moonwire.stream, true>>
---@param network string
local function cut(followed, network)
  local streams = followed[network]
  followed[network] = nil
  for stream in pairs(streams or {}) do
    stream:abort()
  end
end

return { new = new, cut = cut }
