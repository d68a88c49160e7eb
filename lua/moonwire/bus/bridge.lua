--- A bridge from the bus of this daemon to those of others, over a channel of Redis. Not for scripts.
---
--- Each message that goes out has an origin, drawn when the bridge was opened, and a number. It comes back to
--- its bridge, too, which tells what has arrived. Who hears one whose number is not above the last of that
--- origin has had it already. So the bridge of a new generation sends what is still under way once more, and
--- listens beside the old one before it takes over: nothing is lost, and nothing comes twice.
local channel = require "moonwire.bus.channel"
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local dial = require "moonwire.redis.dial"
local frame = require "moonwire.bus.frame"
local log = require "moonwire.log"
local metrics = require "moonwire.metrics"
local target = require "moonwire.bus.target"
local task = require "moonwire.task"
local window = require "moonwire.bus.window"

local QUEUE <const> = 100000 -- messages that wait to leave, at most
local UNDER_WAY <const> = 8 << 20 -- bytes that were sent and have not come back, at most
local HELD <const> = 8 << 20 -- bytes that a bridge keeps until it takes over, at most
local ORIGINS <const> = 4096 -- whose last numbers are remembered
local DELAY_MOST <const> = 10 -- seconds until a server that fails is tried again
local STEADY <const> = 10 -- seconds after which a connection counts as one that holds

local sent = metrics.counter("bus_bridge_sent_total", "Messages that have left for other daemons.")
local dropped = metrics.counter("bus_bridge_dropped_total", "Messages that other daemons do not get.")
local received = metrics.counter("bus_bridge_received_total", "Messages of other daemons.")
local missed = metrics.counter("bus_bridge_missed_total", "Messages of other daemons that never came.")
local connected = metrics.gauge("bus_bridge_connected", "Whether other daemons can be reached.")

local bridge = {}

---@class moonwire.bus.bridge
---@field private target moonwire.bus.target
---@field private origin string
---@field private number integer of the last message that was to go out
---@field private window moonwire.bus.window
---@field private seen table<string, integer> origin → last number
---@field private subscription? moonwire.subscription nil: an older bridge serves, this one will take over
---@field private channel? moonwire.bus.channel nil: the server is away
---@field private outage? { since: number, dropped: integer }
---@field private held string[] frames that came before it took over, from `first` to `last`
local Bridge = {}
Bridge.__index = Bridge

local function serves(self)
  return self.subscription and core.bus.serves(self.subscription)
end

local function drop(self, count)
  if count > 0 and serves(self) then
    dropped:add(count)
    if self.outage then
      self.outage.dropped = self.outage.dropped + count
    end
  end
end

-- --- what comes

local function hold(self, bytes)
  local held = self.held
  held.last = held.last + 1
  held[held.last] = bytes
  held.bytes = held.bytes + #bytes
  while held.bytes > HELD do
    held.bytes = held.bytes - #held[held.first]
    held[held.first] = nil
    held.first = held.first + 1
  end
end

-- One of our own has come back.
local function confirm(self, number)
  self.number = math.max(self.number, number)
  self.failures = 0
  local count = self.window:confirm(number)
  if serves(self) then
    sent:add(count)
  end
  self.news:wake_all()
end

-- Whether this is one that was not there before.
local function is_new(self, origin, number)
  local last = self.seen[origin]
  if last and number <= last then
    return false
  elseif last then
    missed:add(number - last - 1)
  else
    self.origins = self.origins + 1
    if self.origins > ORIGINS then
      self.seen, self.origins = {}, 1
    end
  end
  self.seen[origin] = number
  return true
end

local function accept(self, bytes)
  local origin, number, message = frame.unpack(bytes)
  if not self.subscription then
    hold(self, bytes)
  elseif not origin then
    log.debug("bus: no message of a daemon", { bytes = #bytes })
  elseif origin == self.origin then
    confirm(self, number)
  elseif is_new(self, origin, number) and message ~= "" and serves(self) and core.bus.inject(message) then
    received:add(1)
  end
end

-- --- the connection

local function note_outage(self, err)
  self.failures = self.failures + 1
  self.channel = nil
  if not self.outage then
    log.warn("bus: other daemons cannot be reached; what is published stays here",
      { address = self.target.address, error = err })
    self.outage = { since = core.now(), dropped = 0 }
  end
  drop(self, self.window:clear())
  connected:set(0)
  self.news:wake_all()
end

local function note_reach(self, opened)
  local outage = self.outage
  if outage then
    log.info("bus: other daemons can be reached again", {
      address = self.target.address, dropped = outage.dropped,
      seconds = math.floor(core.now() - outage.since + 0.5),
    })
  else
    log.info("bus: joined", { address = self.target.address })
  end
  self.outage, self.channel, self.joined = nil, opened, core.now()
  connected:set(1)
  self.news:wake_all()
end

local function connect(self)
  local probe = frame.pack(self.origin, 0, "")
  local opened, err = channel.open(self.target, probe, function(bytes) accept(self, bytes) end)
  if opened then
    note_reach(self, opened)
    err = opened:listen()
    self.failures = core.now() - self.joined > STEADY and 0 or self.failures
  end
  if not self.closed then
    note_outage(self, err)
  end
end

local function stay_connected(self)
  core.main.step_aside()
  while not self.closed do
    connect(self)
    task.sleep(dial.delay(math.max(self.failures, 1), DELAY_MOST))
  end
end

-- --- what goes out

-- Numbers a message that is to leave.
local function add(self, bytes)
  self.number = self.number + 1
  self.window:add(self.number, frame.pack(self.origin, self.number, bytes))
end

local function is_connected(self)
  return self.channel and self.channel:is_open()
end

-- Until it is known whether others can be reached: a bridge that has taken over may not be connected yet.
local function await_outcome(self)
  while serves(self) and not self.channel and not self.outage do
    self.news:wait()
  end
end

-- Takes what is published. While nobody can be reached it is dropped; its number is missed by others.
local function collect(self)
  core.main.step_aside()
  while not self.subscription do
    self.news:wait()
  end
  for bytes in self.subscription do
    await_outcome(self)
    if serves(self) and is_connected(self) then
      add(self, bytes)
      self.news:wake_all()
      while is_connected(self) and self.window.bytes > UNDER_WAY do
        self.news:wait()
      end
    elseif serves(self) then
      self.number = self.number + 1
      drop(self, 1)
    end
  end
end

local function send(self)
  core.main.step_aside()
  while true do
    local text = serves(self) and is_connected(self) and self.window:take()
    if text then
      self.channel:publish(text)
    else
      self.news:wait()
    end
  end
end

-- --- as an object

-- From now on this one passes on what is published.
local function take_over(self)
  self.subscription = core.bus.bridge(QUEUE):keep()
  self.news:wake_all()
end

--- Opens one; when another is open in this process, it waits until it is told to `adopt`.
---@param url string
---@return moonwire.bus.bridge?
---@return string? problem
function bridge.open(url)
  local to, problem = target.parse(url)
  if not to then
    return nil, problem
  end
  local self = setmetatable({
    target = to, origin = crypto.random_bytes(frame.ORIGIN), number = 0, window = window.new(),
    seen = {}, origins = 0, held = { first = 1, last = 0, bytes = 0 }, failures = 0, closed = false,
    news = core.waiters.new "bridge of the bus",
  }, Bridge)
  if not core.bus.serves() then
    take_over(self)
  end
  self.tasks = { task.spawn(stay_connected, self), task.spawn(collect, self), task.spawn(send, self) }
  return self
end

--- Waits until it is connected, or is known not to be.
---@param seconds number
function Bridge:join(seconds)
  local due = core.now() + seconds
  while not self.channel and not self.outage and core.now() < due do
    self.news:wait(math.max(due - core.now(), 0))
  end
end

--- What its successor must know. If there is none after all, this one goes on.
---@return table? data
function Bridge:handoff()
  if not serves(self) then
    return nil
  end
  for bytes in function() return (self.subscription:next(0)) end do
    add(self, bytes)
  end
  self.news:wake_all()
  return { origin = self.origin, number = self.number, seen = self.seen, pending = self.window:frames() }
end

--- Goes on where an older bridge was.
---@param data? table
function Bridge:adopt(data)
  if data then
    self.origin, self.number, self.seen = data.origin, data.number, data.seen
    for _ in pairs(self.seen) do
      self.origins = self.origins + 1
    end
    for _, text in ipairs(data.pending) do
      local _, number = frame.unpack(text)
      self.window:add(number, text)
    end
  end
  if not self.subscription then
    take_over(self)
  end
  local held = self.held
  self.held = { first = 1, last = 0, bytes = 0 }
  for index = held.first, held.last do
    accept(self, held[index])
  end
end

-- How many messages are still to leave, or have not come back.
local function count_left(self)
  return serves(self) and self.subscription:counters().queued + self.window:count() or 0
end

--- Ends it. One that serves sends what was published, for so many seconds at most.
---@param seconds number
function Bridge:close(seconds)
  local due = core.now() + seconds
  while is_connected(self) and count_left(self) > 0 and core.now() < due do
    self.news:wait(math.max(math.min(due - core.now(), 0.1), 0))
  end
  local left = count_left(self)
  if left > 0 then
    log.warn("bus: the last messages may not have arrived", { count = left })
  end
  self.closed = true
  for _, one in ipairs(self.tasks) do
    one:cancel()
  end
  if self.subscription then
    self.subscription:close()
  end
  if self.channel then
    self.channel:close()
  end
end

return bridge
