--- Receives a file in windows of blocks (RFC 1350, RFC 7440). Not for scripts.
local netascii = require "moonwire.tftp.netascii"
local packet = require "moonwire.tftp.packet"

local receiver = {}

local CHUNK <const> = 64 * 1024 -- bytes that are gathered before they are written

---@class moonwire.tftp.inlet
---@field sink table with write(chunk), commit() and abort()
---@field max integer bytes
---@field bytes integer that were written or are gathered
local Inlet = {}
Inlet.__index = Inlet

---@param sink table with write(chunk) → true | nil, err, code; commit() likewise
---@param mode string
---@param max integer bytes at most
---@return moonwire.tftp.inlet
function receiver.inlet(sink, mode, max)
  return setmetatable({
    sink = sink, max = max, bytes = 0, pieces = {}, gathered = 0,
    decode = mode == "netascii" and netascii.decoder() or function(data) return data or "" end,
  }, Inlet)
end

local function flush(self)
  local data = table.concat(self.pieces)
  self.pieces, self.gathered = {}, 0
  if data == "" then
    return true
  end
  return self.sink:write(data)
end

---@private
function Inlet:take(data)
  local piece = self.decode(data)
  self.bytes, self.gathered = self.bytes + #piece, self.gathered + #piece
  self.pieces[#self.pieces + 1] = piece
  if self.bytes > self.max then
    return nil, "the file is too large", "too_large"
  elseif self.gathered < CHUNK then
    return true
  end
  return flush(self)
end

---@private
function Inlet:finish()
  local ok, err, code = self:take(nil)
  if ok then
    ok, err, code = flush(self)
  end
  if not ok then
    return nil, err, code
  end
  return self.sink:commit()
end

-- What a failure of ours is called for the peer: nothing of the system.
local SAID <const> = {
  too_large = "the file is too large", full = "no space is left", exists = "there is such a file",
  denied = "access violation",
}

local function acknowledge(link, state)
  state.since = 0
  link:send(packet.ack(state.last))
end

-- A block that is not the next one. Of a gap the sender is told once, and of the last block again when the
-- acknowledgement was lost: never for each packet, or everything would be doubled from then on.
local function judge_other(link, state, block)
  local is_gap = block > state.last and not state.told
  local is_lost = block == state.last and state.since == 0
  if is_gap or is_lost then
    state.told = state.told or is_gap
    acknowledge(link, state)
  end
end

local function take(link, state, received)
  if received.kind == "oack" and state.last == 0 then
    return acknowledge(link, state) -- doubled: ours was lost
  elseif received.kind == "oack" then
    return nil
  elseif received.kind ~= "data" then
    return nil, "a block of data expected", "protocol"
  elseif #received.data > state.size then
    return nil, "the block is too large", "protocol"
  end
  local block = packet.nearest(received.block, state.last + 1)
  if block == state.last + 1 then
    return received
  end
  return judge_other(link, state, block)
end

-- Returns whether it was the last block, or nil, err, code.
local function keep(state, inlet, data)
  state.last, state.since, state.told = state.last + 1, state.since + 1, false
  local ok, err, code = inlet:take(data)
  local is_last = #data < state.size
  if ok and is_last then
    ok, err, code = inlet:finish()
  end
  if not ok then
    return nil, err, code
  end
  return is_last
end

--- Receives all blocks, writes them, and commits the sink before the last one is acknowledged.
---@param link moonwire.tftp.link
---@param inlet moonwire.tftp.inlet
---@param terms moonwire.tftp.terms
---@param start { repeated: fun(), first?: moonwire.tftp.packet } repeats what the sender may have lost before
---  its first block; and this block, when it is there already
---@return true?
---@return string? err
---@return moonwire.code? code
---@return fun()? linger to be called when nothing else is to be done: serves a sender that lost the last ACK
function receiver.receive(link, inlet, terms, start)
  local state = { last = 0, since = 0, told = false, size = terms.block_size }
  local function again()
    if state.last == 0 then
      start.repeated()
    else
      state.told = false
      acknowledge(link, state)
    end
  end
  local function judge(received)
    return take(link, state, received)
  end
  local received, err, code = start.first, nil, nil
  while true do
    if not received then
      received, err, code = link:converse(again, judge)
    end
    if not received then
      return nil, err, code
    end
    local is_last
    is_last, err, code = keep(state, inlet, received.data)
    if is_last == nil then
      link:fail(code, SAID[code] or "the file cannot be written")
      return nil, err, code
    elseif is_last or state.since >= terms.window_size then
      acknowledge(link, state)
    end
    if is_last then
      return true, nil, nil, function()
        link:linger(again, function(other)
          return other.kind == "data" and other.block == state.last & 0xffff
        end)
      end
    end
    received = nil
  end
end

return receiver
