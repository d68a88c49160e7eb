--- The connections of a client of Redis: the one that all tasks share, and those that one task has for
--- itself. A server that has failed is left alone for a while. Not for scripts.
local core = require "moonwire.core"
local dial = require "moonwire.redis.dial"
local log = require "moonwire.log"
local sync = require "moonwire.sync"

---@class moonwire.redis.connections
---@field closed boolean
---@field private link? moonwire.redis.link that all share
---@field private idle moonwire.redis.link[]
---@field private taken table<moonwire.redis.link, true>
---@field private failures integer in a row
---@field private failure? table the last
---@field private due number until when it stands for new attempts
local Connections = {}
Connections.__index = Connections

---@param settings table
---@return moonwire.redis.connections
function Connections.new(settings)
  return setmetatable({
    settings = settings, closed = false, idle = {}, taken = {}, failures = 0, due = -math.huge,
    connecting = sync.semaphore(1), permits = sync.semaphore(settings.connections),
  }, Connections)
end

-- Who let somebody wait is left alone for longer than that was: a server that hangs would else have all who
-- come wait in turn.
local function note_failure(self, err, code, waited)
  if self.failures == 0 then
    log.warn("redis does not answer", { address = self.settings.address, error = err })
  end
  self.failures = self.failures + 1
  self.failure = { err = err, code = code }
  local delay_most = self.settings.delay_most
  self.due = core.now() + math.max(dial.delay(self.failures, delay_most), math.min(2 * waited, delay_most))
end

local function note_success(self)
  if self.failures > 0 then
    log.info("redis answers again", { address = self.settings.address })
  end
  self.failures, self.failure, self.due = 0, nil, -math.huge
end

--- Whether it answered when it was last asked, or was not yet.
---@return boolean
function Connections:is_well()
  return self.failures == 0
end

local function open(self)
  if self.closed then
    return nil, "closed", "closed"
  elseif core.now() < self.due then
    return nil, self.failure.err, self.failure.code
  end
  local began = core.now()
  local link, err, code = dial.open(self.settings)
  if not link then
    note_failure(self, err, code, core.now() - began)
    return nil, err, code
  elseif self.closed then
    link:close()
    return nil, "closed", "closed"
  end
  note_success(self)
  return link
end

-- Somebody else may have connected while this one waited for its turn.
local function open_shared(self)
  if self.link and not self.link.fault then
    return self.link
  end
  local link, err, code = open(self)
  self.link = link
  return link, err, code
end

--- The connection for everybody. One task connects, the others wait for that.
---@return moonwire.redis.link?
---@return string? err
---@return moonwire.code? code
function Connections:shared()
  local link = self.link
  if link and link:is_alive() then
    return link
  end
  return self.connecting:with(open_shared, self)
end

--- Waits for a place for one more connection of a task. Hold it in a <close> variable.
---@return table? permit nil: time is up
function Connections:permit()
  if not self.permits:acquire(self.settings.timeout) then
    return nil
  end
  return setmetatable({}, { __close = function() self.permits:release() end })
end

--- A connection for one task.
---@return moonwire.redis.link?
---@return string? err
---@return moonwire.code? code
function Connections:take()
  local link, err, code = table.remove(self.idle), nil, nil
  while link and not link:is_alive() do
    link = table.remove(self.idle)
  end
  if not link then
    link, err, code = open(self)
  end
  if link then
    self.taken[link] = true
  end
  return link, err, code
end

--- Gives it back.
---@param link moonwire.redis.link
---@param is_clean boolean whether the next one may have it
function Connections:give(link, is_clean)
  self.taken[link] = nil
  if is_clean and not self.closed and not link.fault and link:is_idle() then
    self.idle[#self.idle + 1] = link
  else
    link:close()
  end
end

--- Closes all.
function Connections:close()
  self.closed = true
  if self.link then
    self.link:close()
  end
  for link in next, self.taken do
    link:close()
  end
  for _, link in ipairs(self.idle) do
    link:close()
  end
  self.idle = {}
end

return Connections
