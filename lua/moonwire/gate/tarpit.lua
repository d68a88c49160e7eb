--- Connections that are held to cost their clients time, and us next to nothing: what they send is taken so
--- slowly that they have to wait.
local check = require "moonwire.check"
local core = require "moonwire.core"
local task = require "moonwire.task"

local SIP_BYTES <const> = 16

---@class moonwire.gate_tarpit
---@field private held integer
---@field private most integer
---@field private seconds number
---@field private interval number
---@field private drip? string
local Tarpit = { __name = "moonwire.gate_tarpit" }
Tarpit.__index = Tarpit

---@param options table checked
---@return moonwire.gate_tarpit
local function new(options)
  return setmetatable({
    held = 0, most = options.most or 100, seconds = options.seconds or 60,
    interval = options.interval or 5, drip = options.drip,
  }, Tarpit)
end

local leaving = { __close = function(guard)
  guard.tarpit.held = guard.tarpit.held - 1
end }

-- A sip of what the client has sent; false when it is gone.
local function sip(self, conn)
  if self.drip and not conn:try_write(self.drip) then
    return false
  end
  local _, _, code = conn:read_some(SIP_BYTES)
  return not code or code == "timeout"
end

--- Holds a connection until its time is over or its client is gone.
---@param conn moonwire.stream
---@return boolean held false: there are `most` already
function Tarpit:hold(conn)
  check.object(self, Tarpit, "hold")
  check.stream(conn, 1, "hold")
  if self.held >= self.most then
    return false
  end
  self.held = self.held + 1
  local _ <close> = setmetatable({ tarpit = self }, leaving)
  local ends = core.now() + self.seconds
  conn:configure { input_mark = SIP_BYTES, read_timeout = self.interval }
  while core.now() < ends and sip(self, conn) do
    task.sleep(math.min(self.interval, math.max(0, ends - core.now())))
  end
  return true
end

--- How many are held.
---@return integer
function Tarpit:count()
  check.object(self, Tarpit, "count")
  return self.held
end

return { new = new }
