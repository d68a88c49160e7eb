--- Subscriptions to channels of Redis. Scripts get them from clients.
---
--- A subscription has a connection of its own, which is read by who receives. A lost one is replaced.
local check = require "moonwire.check"
local command = require "moonwire.redis.command"
local core = require "moonwire.core"
local dial = require "moonwire.redis.dial"
local log = require "moonwire.log"
local task = require "moonwire.task"

local PING <const> = command.encode { "PING" }

---@class moonwire.redis_subscription
---@field private link? moonwire.redis.link
---@field private queue table[] that have come, from `first` to `last`
---@field private gaps_seen integer
---@field private receiving boolean
---@field private closed boolean
local Subscription = { __name = "moonwire.redis_subscription" }
Subscription.__index = Subscription

-- Of what the server says: messages, and how many channels it has confirmed.
local function note(self, push)
  local kind = push[1]
  if kind == "message" then
    self.last = self.last + 1
    self.queue[self.last] = { push[3], push[2] }
  elseif kind == "pmessage" then
    self.last = self.last + 1
    self.queue[self.last] = { push[4], push[3], push[2] }
  elseif kind == "subscribe" or kind == "psubscribe" then
    self.confirmed = self.confirmed + 1
  end
end

-- Connects, subscribes, and waits until all is confirmed.
local function connect(self)
  local link, err, code = dial.open(self.settings)
  if not link then
    return nil, err, code
  end
  local _ <close> = setmetatable({}, { __close = function() return self.link ~= link and link:close() end })
  self.confirmed = 0
  link.listener = function(push) note(self, push) end
  link:send(self.request)
  local due = core.now() + self.settings.timeout
  while self.confirmed < self.count and not link.fault do
    if not link:listen(due - core.now()) then
      link:break_off("no reply in time", "timeout")
    end
  end
  if link.fault then
    return nil, link.fault.err, link.fault.code
  elseif self.closed then
    return nil, "closed", "closed"
  end
  self.link, self.is_asked = link, false
  return true
end

-- Tries until it succeeds or time is up.
local function reconnect(self, due)
  local fault, failures = self.link.fault, 0
  log.warn("redis: subscription interrupted", { address = self.settings.address, error = fault.err })
  repeat
    local ok, err = connect(self)
    if not ok then
      failures = failures + 1
      log.debug("redis: subscription not renewed", { address = self.settings.address, error = err })
      task.sleep(math.max(0, math.min(dial.delay(failures, self.settings.delay_most), due - core.now())))
    end
  until ok or self.closed or core.now() >= due
  if self.link.fault == nil then
    self.gaps_seen = self.gaps_seen + 1
    log.info("redis: subscription renewed", { address = self.settings.address })
  end
end

-- Reads once. A server that is silent is asked, and given up when it stays silent.
local function listen(self, due)
  local silence = self.is_asked and self.settings.timeout or self.settings.ping_interval
  self.silent_since = self.silent_since or core.now()
  local end_of_silence = self.silent_since + silence
  if self.link:listen(math.min(due, end_of_silence) - core.now()) then
    self.silent_since, self.is_asked = nil, false
  elseif core.now() < end_of_silence then
    return
  elseif self.is_asked then
    self.link:break_off("no reply in time", "timeout")
  else
    self.link:send(PING)
    self.silent_since, self.is_asked = core.now(), true
  end
end

local function take(self)
  local message = self.queue[self.first]
  self.queue[self.first] = nil
  self.first = self.first + 1
  return table.unpack(message, 1, 3)
end

local function receive(self, due)
  while true do
    if self.first <= self.last then
      return take(self)
    elseif self.closed then
      return nil, "closed", "closed"
    elseif self.link.fault then
      self.silent_since = nil
      reconnect(self, due)
    else
      listen(self, due)
    end
    if self.first > self.last and not self.closed and core.now() >= due then
      return nil, "timeout", "timeout"
    end
  end
end

--- Waits for the next message. A connection that is lost is replaced meanwhile, for as long as it takes;
--- what was published until then is lost: see `gaps`.
---@param seconds? number default: for ever
---@return string? message
---@return string? channel or err
---@return string|moonwire.code? pattern the one that the channel fits; or code "timeout", "closed", "busy"
function Subscription:receive(seconds)
  check.object(self, Subscription, "receive")
  check.optional_seconds(seconds, 1, "receive")
  if self.receiving then
    return nil, "busy", "busy"
  end
  self.receiving = true
  local _ <close> = setmetatable({}, { __close = function() self.receiving = false end })
  return receive(self, core.now() + (seconds or math.huge))
end

local function next_message(self)
  local message, channel, pattern = self:receive()
  if message == nil and pattern ~= "closed" then
    error(core.fault(pattern, channel), 0)
  end
  return message, channel, pattern
end

--- Iterates over messages with their channels and patterns, until it is closed.
---@return fun(): string?, string?, string?
function Subscription:messages()
  check.object(self, Subscription, "messages")
  return next_message, self
end

--- How often the connection was lost and replaced so far: each time messages may have been lost.
---@return integer
function Subscription:gaps()
  check.object(self, Subscription, "gaps")
  return self.gaps_seen
end

--- Ends it: who waits gets `closed`. So does the end of the block of its <close> variable. May be called
--- again.
function Subscription:close()
  check.object(self, Subscription, "close")
  self.closed = true
  if self.link then
    self.link:close()
  end
end

Subscription.__close = Subscription.close

--- Connects and subscribes.
---@param settings table of the client
---@param word "SUBSCRIBE"|"PSUBSCRIBE"
---@param names string[]
---@return moonwire.redis_subscription?
---@return string? err
---@return moonwire.code? code
function Subscription.new(settings, word, names)
  local self = setmetatable({
    settings = settings, request = command.encode { word, table.unpack(names, 1, names.n) }, count = names.n,
    queue = {}, first = 1, last = 0, gaps_seen = 0, receiving = false, closed = false,
  }, Subscription)
  local ok, err, code = connect(self)
  if not ok then
    return nil, err, code
  end
  return self
end

return Subscription
