--- How the sockets of LuaSocket send, receive and keep time, over our streams.
--- Not for scripts: they come from moonwire.compat.socket.
local core = require "moonwire.core"

local transfer = {}

local LINE_BYTES <const> = 1024 * 1024 -- of a line at most
local ALL_BYTES <const> = 64 * 1024 * 1024 -- of receive("*a")
local PIECE_BYTES <const> = 64 * 1024

transfer.NOT_KNOWN = "host or service not provided, or not known"

-- What LuaSocket says for our codes; others keep our message.
local WORDS <const> = {
  eof = "closed", reset = "closed", closed = "closed", timeout = "timeout", refused = "connection refused",
  in_use = "address already in use", denied = "permission denied", not_found = transfer.NOT_KNOWN,
}

function transfer.word(message, code)
  return WORDS[code] or message
end

function transfer.due_of(self)
  return self.total and core.now() + self.total
end

-- What the next wait may take; false: no limit.
function transfer.left(self, due)
  local rest = due and math.max(due - core.now(), 0)
  if rest and self.block then
    return math.min(rest, self.block)
  end
  return rest or self.block
end

function transfer.set_limit(self, seconds)
  if self.limit ~= seconds then
    self.stream:configure { read_timeout = seconds, write_timeout = seconds }
    self.limit = seconds
  end
end

--- Whether there is a connection.
---@param self moonwire.compat.socket
---@return boolean
function transfer.is_connected(self)
  return self.state == "client" and not self.broken and self.stream:is_open()
end

-- What LuaSocket says, of a fault in reading or writing.
local function fault(self, message, code)
  self.broken = self.broken or code == "reset"
  return transfer.word(message, code)
end

--- Sends bytes i to j, and returns the index of the last one sent.
function transfer.send(self, data, i, j)
  data = tostring(data)
  i, j = i or 1, j or -1
  i = i < 0 and math.max(#data + i + 1, 1) or math.max(i, 1)
  j = j < 0 and #data + j + 1 or math.min(j, #data)
  if not transfer.is_connected(self) then
    return nil, "closed", i - 1
  end
  local due, sent = transfer.due_of(self), i - 1
  while sent < j do
    transfer.set_limit(self, transfer.left(self, due))
    local last = math.min(sent + PIECE_BYTES, j)
    local ok, message, code = self.stream:write(data:sub(sent + 1, last))
    if not ok and code ~= "timeout" then
      return nil, fault(self, message, code), sent
    end
    sent = last -- after a timeout it is queued still
    if not ok and sent < j then
      return nil, "timeout", sent
    end
  end
  return sent
end

-- What is there, without waiting.
local function pending(self, max)
  if not self.stream:is_open() then
    return ""
  end
  transfer.set_limit(self, 0)
  return self.stream:read_some(max) or ""
end

-- Pieces until there are `size` bytes, or until the end of data.
local function receive_pieces(self, size, to_end, prefix)
  local pieces, have, due = { prefix }, #prefix, transfer.due_of(self)
  while have < size do
    transfer.set_limit(self, transfer.left(self, due))
    local piece, message, code = self.stream:read_some(math.min(size - have, PIECE_BYTES))
    if code == "eof" and to_end then
      return table.concat(pieces)
    elseif not piece then
      return nil, fault(self, message, code), table.concat(pieces)
    end
    pieces[#pieces + 1] = piece
    have = have + #piece
  end
  if to_end then
    return nil, "too_large", table.concat(pieces)
  end
  return table.concat(pieces)
end

-- A limit on single waits begins anew with every byte that comes.
local function receive_line(self, prefix)
  local due = transfer.due_of(self)
  repeat
    local before = self.stream:counters().received
    transfer.set_limit(self, transfer.left(self, due))
    local line, message, code = self.stream:read_line(LINE_BYTES)
    if line then
      return prefix .. line:gsub("\r", "")
    end
    local open_still = code == "timeout" and self.stream:is_open()
    local moves = open_still and self.stream:counters().received > before and transfer.left(self, due) ~= 0
    if not moves then
      local partial = code == "too_large" and "" or pending(self, LINE_BYTES):gsub("\r", "")
      return nil, fault(self, message, code), prefix .. partial
    end
  until false
end

--- Receives a line ("*l"), all data to its end ("*a"), or so many bytes. What came
--- before a fault is the third result.
function transfer.receive(self, pattern, prefix)
  prefix = prefix or ""
  if not transfer.is_connected(self) then
    return nil, "closed", prefix
  end
  pattern = pattern or "*l"
  if type(pattern) == "number" then
    return receive_pieces(self, pattern, false, prefix)
  end
  local letter = tostring(pattern):gsub("^%*", ""):sub(1, 1)
  if letter == "l" then
    return receive_line(self, prefix)
  elseif letter == "a" then
    return receive_pieces(self, ALL_BYTES, true, prefix)
  end
  error(("bad argument #1 to 'receive' (invalid receive pattern '%s')"):format(pattern), 2)
end

return transfer
