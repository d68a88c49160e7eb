--- One end of a transfer: a socket of its own, the peer's address once it is known, and the time that is
--- left. Not for scripts.
local packet = require "moonwire.tftp.packet"
local task = require "moonwire.task"
local timer = require "moonwire.timer"

local LONGEST_PAUSE <const> = 8 -- seconds that the pauses between repetitions grow to
local LINGER_PAUSES <const> = 3 -- times the first pause
local STRAYS_AT_ONCE <const> = 32 -- packets that mean nothing, after which others have their turn

---@class moonwire.tftp.link
---@field socket moonwire.datagram bound, without a fixed peer
---@field peer string? its address: packets of others are not for us; nil: any port of `host`
---@field host string? whose first answer tells the port
---@field seconds number until the first repetition
---@field is_fixed boolean pauses do not grow: the peers have agreed on them
---@field retries integer repetitions without progress
---@field due number when all must be over
---@field retransmissions integer
local Link = {}
Link.__index = Link

local link = {}

--- The host of an address, with brackets if it has any.
---@param address string "127.0.0.1:69"
---@return string
function link.host(address)
  return address:match("^(.*):%d+$") or address
end

---@param socket moonwire.datagram
---@param options { peer?: string, host?: string, timeout: number, retries: integer, duration: number|false }
---@return moonwire.tftp.link
function link.new(socket, options)
  return setmetatable({
    socket = socket, peer = options.peer, host = options.host, seconds = options.timeout,
    retries = options.retries, is_fixed = false, retransmissions = 0, strays = 0,
    due = timer.now() + (options.duration or math.huge),
  }, Link)
end

--- Takes over what the peers have agreed on.
---@param terms moonwire.tftp.terms
function Link:agree(terms)
  if terms.seconds then
    self.seconds, self.is_fixed = terms.seconds, true
  end
end

---@param datagram string
function Link:send(datagram)
  return self.socket:send(datagram, self.peer)
end

--- Ends the transfer by telling the peer why; without a peer nobody is told.
---@param code string
---@param message string
function Link:fail(code, message)
  if self.peer then
    self:send(packet.error(code, message))
  end
end

-- Whether a sender is the peer. The first answer decides on the port.
local function is_peer(self, from)
  if not self.peer and link.host(from) == self.host then
    self.peer = from
  end
  return self.peer == from
end

-- A packet of somebody else, which must not disturb us (RFC 1350 section 4). Errors are not answered.
local function turn_away(self, datagram, from)
  if self.peer and datagram:sub(1, 2) ~= "\0\5" then
    self.socket:send(packet.error("stranger", "unknown transfer ID"), from)
  end
end

-- A flood of packets that mean nothing is read while they come: others have their turn too.
local function count_stray(self)
  self.strays = self.strays + 1
  if self.strays % STRAYS_AT_ONCE == 0 then
    task.yield()
  end
end

-- The next packet of the peer until a time; nil, err, code, "protocol" when it sends none.
local function receive(self, due)
  while true do
    local datagram, from, code = self.socket:receive(math.max(0, due - timer.now()))
    if not datagram then
      return nil, from, code
    elseif is_peer(self, from) then
      local received = packet.decode(datagram)
      if received then
        return received
      end
      return nil, "no packet of TFTP", "protocol"
    end
    turn_away(self, datagram, from)
    count_stray(self)
  end
end

-- One packet, or a repetition when it is time. Returns what `take` made of the packet, or nil, err, code.
local function step(self, state, again, take)
  local received, err, code = receive(self, math.min(state.due, self.due))
  if received and received.kind == "error" then
    return nil, received.message, received.code, true
  elseif received then
    local result, problem, problem_code = take(received)
    if problem then
      return nil, problem, problem_code
    end
    count_stray(self)
    return result
  elseif code ~= "timeout" then
    return nil, err, code
  elseif state.tries == self.retries or timer.now() >= self.due then
    return nil, "timeout", "timeout"
  end
  state.tries, self.retransmissions = state.tries + 1, self.retransmissions + 1
  state.pause = self.is_fixed and state.pause or math.min(2 * state.pause, LONGEST_PAUSE)
  state.due = timer.now() + state.pause
  again()
end

--- Waits for a packet that brings the transfer on. `take` returns something for it, nil for what means
--- nothing (old or doubled), or nil, err, code for what ends the transfer. `again` repeats what the peer may
--- have lost. The peer is told of failures that are not its own.
---@generic T
---@param again fun()
---@param take fun(received: moonwire.tftp.packet): T?, string?, string?
---@return T?
---@return string? err
---@return moonwire.code? code
function Link:converse(again, take)
  local pause = math.max(self.seconds, 0.001)
  local state = { tries = 0, pause = pause, due = timer.now() + pause }
  repeat
    local result, err, code, is_told = step(self, state, again, take)
    if result ~= nil then
      return result
    elseif code and not is_told then
      self:fail(code, err)
    end
    if code then
      return nil, err, code == "option" and "protocol" or code
    end
  until false
end

--- Repeats the last acknowledgement to a peer that has lost it, until it has been quiet for longer than its
--- pauses are likely to be. Heeds nothing else.
---@param again fun()
---@param is_asking fun(received: moonwire.tftp.packet): boolean
function Link:linger(again, is_asking)
  local due = timer.now() + LINGER_PAUSES * self.seconds
  while timer.now() < math.min(due, self.due) do
    local received, _, code = receive(self, math.min(due, self.due))
    if received and is_asking(received) then
      again()
      due = timer.now() + LINGER_PAUSES * self.seconds
    elseif not received and code ~= "protocol" then
      return
    end
    count_stray(self)
  end
end

return link
