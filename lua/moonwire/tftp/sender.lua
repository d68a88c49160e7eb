--- Sends a file in windows of blocks (RFC 1350, RFC 7440). Not for scripts.
---
--- All blocks that are not acknowledged are kept and, when the time is up or the receiver tells of a gap,
--- sent again. A doubled acknowledgement alone makes nothing be sent again: it would double all that follows.
local netascii = require "moonwire.tftp.netascii"
local packet = require "moonwire.tftp.packet"

local sender = {}

local CHUNK <const> = 64 * 1024

---@class moonwire.tftp.blocks
---@field source { read: fun(self, n: integer): string?, string?, string? }
---@field size integer of a block
---@field is_text boolean
---@field bytes integer that were read
local Blocks = {}
Blocks.__index = Blocks

---@param source { read: fun(self, n: integer): string?, string?, string? } as a file; "eof" is its end
---@param terms moonwire.tftp.terms
---@param mode string
---@return moonwire.tftp.blocks
function sender.blocks(source, terms, mode)
  return setmetatable({
    source = source, size = terms.block_size, is_text = mode == "netascii", bytes = 0, held = "", at = 1,
    is_over = false,
  }, Blocks)
end

-- The next block; true behind the one that is shorter than a block, as the last one is; or nil, err, code.
function Blocks:next()
  if self.is_over then
    return true
  end
  while #self.held - self.at + 1 < self.size do
    local data, err, code = self.source:read(CHUNK)
    if not data and code == "eof" then
      self.is_over = true
      break
    elseif not data then
      return nil, err, code
    end
    self.bytes = self.bytes + #data
    self.held, self.at = self.held:sub(self.at) .. (self.is_text and netascii.encode(data) or data), 1
  end
  local block = self.held:sub(self.at, self.at + self.size - 1)
  self.at = self.at + self.size
  return block
end

-- Fills the window. Returns true, or nil, err, code.
local function fill(state, blocks, window)
  while #state.packets < window do
    local block, err, code = blocks:next()
    if not block then
      return nil, err, code
    elseif block == true then
      return true
    end
    state.packets[#state.packets + 1] = packet.data(state.acknowledged + #state.packets + 1, block)
  end
  return true
end

-- How many blocks an acknowledgement is about; nil: it means nothing. Of a gap before the first block of a
-- window the receiver can only tell by acknowledging the last window again, which is heeded once.
local function judge(state, received, window)
  if received.kind == "oack" then
    return nil -- doubled
  elseif received.kind ~= "ack" then
    return nil, "an acknowledgement expected", "protocol"
  end
  local count = packet.nearest(received.block, state.acknowledged) - state.acknowledged
  if count > 0 and count <= #state.packets then
    return count
  elseif count == 0 and window > 1 and not state.went_back then
    return 0
  end
end

local function advance(state, count)
  state.went_back = count == 0
  state.acknowledged = state.acknowledged + count
  table.move(state.packets, count + 1, #state.packets + count, 1)
end

--- Sends all blocks and waits until they are acknowledged.
---@param link moonwire.tftp.link
---@param blocks moonwire.tftp.blocks
---@param terms moonwire.tftp.terms
---@return true?
---@return string? err
---@return moonwire.code? code
function sender.send(link, blocks, terms)
  local state = { acknowledged = 0, packets = {}, went_back = false }
  local function send_window()
    for _, datagram in ipairs(state.packets) do
      link:send(datagram)
    end
  end
  local function take(received)
    return judge(state, received, terms.window_size)
  end
  while true do
    local ok, err, code = fill(state, blocks, terms.window_size)
    if not ok then
      link:fail(code, "the file cannot be read")
      return nil, err, code
    elseif #state.packets == 0 then
      return true
    end
    send_window()
    local count
    count, err, code = link:converse(send_window, take)
    if not count then
      return nil, err, code
    end
    advance(state, count)
  end
end

return sender
