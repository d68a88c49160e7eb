--- A channel of Redis, to which one connection listens and publishes. Not for scripts.
---
--- It speaks RESP3, in which a connection that listens may publish.
local command = require "moonwire.redis.command"
local core = require "moonwire.core"
local dial = require "moonwire.redis.dial"

local channel = {}

local PING <const> = command.encode { "PING" }
local DEFAULTS <const> = {
  name = "moonwire-bus", protocol = 3, timeout = 5, connect_timeout = 5,
  max = 4 << 20, -- bytes of a reply
}
local PING_SECONDS <const> = 15 -- of silence after which the server is asked whether it is there

---@class moonwire.bus.channel
---@field link moonwire.redis.link
---@field private writing boolean
local Channel = {}
Channel.__index = Channel

-- Until what it says comes back: that it listens alone does not tell whether it may publish.
local function join(self, probe, is_confirmed)
  local due = core.now() + DEFAULTS.timeout
  self.link:send(command.encode { "SUBSCRIBE", self.name })
  self:publish(probe)
  while not is_confirmed() and not self.link.fault do
    if not self.link:listen(math.max(due - core.now(), 0)) then
      self.link:break_off("no reply in time", "timeout")
    end
  end
  return not self.link.fault
end

--- Connects and listens.
---@param target moonwire.bus.target
---@param probe string the first that it publishes, which all get
---@param on_message fun(bytes: string) must not wait
---@return moonwire.bus.channel?
---@return string? err
function channel.open(target, probe, on_message)
  local settings, confirmed = setmetatable({}, { __index = DEFAULTS }), false
  for key, value in next, target do
    settings[key] = value
  end
  local link, err = dial.open(settings)
  if not link then
    return nil, err
  end
  local self, is_open = setmetatable({ link = link, name = target.channel, writing = false }, Channel), nil
  local _ <close> = setmetatable({}, { __close = function() return not is_open and link:close() end })
  link.listener = function(push)
    if push[1] == "message" then
      confirmed = confirmed or push[3] == probe
      on_message(push[3])
    end
  end
  is_open = join(self, probe, function() return confirmed end)
  if not is_open then
    return nil, link.fault.err
  end
  return self
end

--- Publishes. Waits while much is queued; one task may at a time.
---@param bytes string
function Channel:publish(bytes)
  self.writing = true
  self.link:send(command.encode { "PUBLISH", self.name, bytes })
  self.writing = false
end

--- Whether it is of use.
---@return boolean
function Channel:is_open()
  return self.link.fault == nil
end

-- Whether a server that is asked, or owes an answer anyhow, said anything in time.
local function hear_in_time(self)
  if not self.writing then
    self.link:send(PING)
  end
  return self.link.fault or self.link:listen(DEFAULTS.timeout) or self.writing
end

--- Hands out messages until the connection is lost.
---@return string err
function Channel:listen()
  while not self.link.fault do
    if not self.link:listen(PING_SECONDS) and not hear_in_time(self) then
      self.link:break_off("no reply in time", "timeout")
    end
  end
  return self.link.fault.err
end

--- Ends it.
function Channel:close()
  self.link:close()
end

return channel
