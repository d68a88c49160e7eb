--- One connection to a server of Redis, for any number of tasks. Not for scripts.
---
--- No task reads while nobody waits for a reply. Of those that wait one reads for all and hands out the
--- replies, which come in the order of the commands; when it leaves, the next one reads. Who is cancelled
--- leaves its replies owed: they are dropped when they come.
local core = require "moonwire.core"
local reply = require "moonwire.redis.reply"
local sync = require "moonwire.sync"

---@class moonwire.redis.link
---@field fault? { err: string, code: moonwire.code } why it is of no use any more
---@field listener? fun(push: table) takes what the server says unasked; replies do not count then
---@field private owed table requests in the order of their replies, from `first` to `last`
---@field private reading boolean somebody does
local Link = {}
Link.__index = Link

-- Of RESP2, where they look like replies.
local PUSHES <const> = { message = true, pmessage = true, subscribe = true, psubscribe = true, pong = true }

--- Over a stream, which it closes with itself, or when nobody refers to it.
---@param stream moonwire.stream kept
---@param max integer bytes that a reply may count
---@return moonwire.redis.link
function Link.new(stream, max)
  return setmetatable({
    stream = stream, parser = reply.parser(max), owed = {}, first = 1, last = 0, reading = false,
    used = core.now(), turn = sync.semaphore(1), address = stream:peer_address(),
  }, Link)
end

--- Ends it: all who wait get the fault.
---@param err string
---@param code moonwire.code
function Link:break_off(err, code)
  if self.fault then
    return
  end
  self.fault = { err = ("redis %s: %s"):format(self.address, err), code = code }
  self.stream:close()
  for index = self.first, self.last do
    local waiters = self.owed[index].waiters
    if waiters then
      waiters:wake()
    end
  end
end

--- Closes it.
function Link:close()
  self:break_off("closed", "closed")
end

Link.__gc = Link.close

-- --- what comes

local function deliver(self, value)
  local request = self.owed[self.first]
  if not request then
    local what = reply.is_error(value) and tostring(value) or "a reply that nobody waits for"
    return self:break_off(what, "protocol")
  end
  if not request.abandoned then
    request.replies[#request.replies + 1] = value
  end
  request.left = request.left - 1
  if request.left == 0 then
    self.owed[self.first] = nil
    self.first = self.first + 1
    if request.waiters then
      request.waiters:wake()
    end
  end
end

local function accept(self, kind, value, code)
  local listener = self.listener
  if kind == "fault" then
    self:break_off(value, code)
  elseif listener and reply.is_error(value) then
    self:break_off(tostring(value), "denied")
  elseif kind == "push" or listener and type(value) == "table" and PUSHES[value[1]] then
    if listener then
      listener(value)
    end
  elseif not listener then
    deliver(self, value)
  end
end

-- Reads what is there, and waits when there is nothing. False: time is up.
local function read(self, seconds)
  self.stream:configure { read_timeout = seconds < math.huge and math.max(seconds, 0) or false }
  local bytes, err, code = self.stream:read_some()
  if not bytes then
    return code ~= "timeout" and self:break_off(err, code)
  end
  self.used = core.now()
  self.parser:feed(bytes)
  repeat
    local kind, value, problem = self.parser:next()
    if kind then
      accept(self, kind, value, problem)
    end
  until not kind or self.fault
end

--- For a link with a listener: reads once.
---@param seconds number
---@return boolean came false: time is up
function Link:listen(seconds)
  return read(self, seconds) ~= false
end

-- --- who reads

-- The first that waits reads from now on.
local function pass_on(self)
  self.reading = false
  for index = self.first, self.last do
    local waiters = self.owed[index].waiters
    if waiters and waiters:wake() then
      return
    end
  end
end

-- Held by who waits for replies.
local Guard = {}

function Guard:__close(problem)
  local link, request = self.link, self.request
  if problem ~= nil then
    request.abandoned, request.replies = true, {}
  end
  if request.leads or problem ~= nil and not link.reading then
    pass_on(link)
  end
end

local function lead(self, request)
  self.reading, request.leads = true, true
  while request.left > 0 and not self.fault do
    if read(self, request.due - core.now()) == false then
      self:break_off("no reply in time", "timeout")
    end
  end
end

local function follow(self, request)
  request.waiters = request.waiters or core.waiters.new("reply of Redis")
  local seconds = request.due - core.now()
  local _, _, code = request.waiters:wait(seconds < math.huge and math.max(seconds, 0) or nil)
  if code == "timeout" then
    self:break_off("no reply in time", "timeout")
  end
end

-- --- commands

-- In turns, so that the commands leave in the order of their requests. They are queued by a write that
-- fails for time, too, whose replies are owed then.
local function write(self, request, bytes)
  if self.fault then
    return
  end
  self.last = self.last + 1
  self.owed[self.last] = request
  local ok, err, code = self.stream:write(bytes)
  if not ok then
    self:break_off(err, code)
  end
end

--- Sends commands and waits for their replies.
---@param bytes string
---@param count integer of the commands in it
---@param seconds number until all replies are there; past it the connection is broken off
---@return any[]? replies
---@return string? err
---@return moonwire.code? code
function Link:exchange(bytes, count, seconds)
  local request = { left = count, replies = {}, due = core.now() + seconds }
  local _ <close> = setmetatable({ link = self, request = request }, Guard)
  self.turn:with(write, self, request, bytes)
  while request.left > 0 and not self.fault do
    if self.reading then
      follow(self, request)
    else
      lead(self, request)
    end
  end
  if request.left > 0 then
    return nil, self.fault.err, self.fault.code
  end
  return request.replies
end

--- Sends what no reply is waited for.
---@param bytes string
function Link:send(bytes)
  local ok, err, code = self.stream:write(bytes)
  if not ok then
    self:break_off(err, code)
  end
end

--- Whether no reply is owed.
---@return boolean
function Link:is_idle()
  return self.first > self.last
end

local function rests(self)
  return not self.fault and not self.reading and self:is_idle() and core.now() > self.used
end

local function look(self)
  if rests(self) then
    local _ <close> = setmetatable({ link = self, request = { leads = true } }, Guard)
    self.reading, self.used = true, core.now()
    read(self, 0)
  end
end

--- Whether commands can be sent. One that rests is looked at: its server may have left meanwhile. Nobody
--- sends until that is known.
---@return boolean
function Link:is_alive()
  if rests(self) then
    self.turn:with(look, self)
  end
  return self.fault == nil
end

return Link
