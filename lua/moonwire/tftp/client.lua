--- Asks servers of TFTP for files, and gives them some. Not for scripts.
local check = require "moonwire.check"
local link = require "moonwire.tftp.link"
local net = require "moonwire.net"
local options = require "moonwire.tftp.options"
local packet = require "moonwire.tftp.packet"
local receiver = require "moonwire.tftp.receiver"
local sender = require "moonwire.tftp.sender"
local server = require "moonwire.tftp.server"
local timer = require "moonwire.timer"

local client = {}

local PORT <const> = 69
local IN_MEMORY <const> = 1024 * 1024 -- bytes of a file that is returned as a string

-- "host", "host:69", "[::1]", "udp://…" → what net.connect_datagram takes
local function complete(address)
  local place = address:gsub("^udp://", "")
  return "udp://" .. (place:find("[^:]:%d+$") and place or ("%s:%d"):format(place, PORT))
end

-- A socket where the answers can come from any port of the server: its transfer has one of its own. Of
-- what is no address it returns false and what is wrong with it.
local function open(address, wanted)
  local probe, err, code = check.try(net.connect_datagram, complete(address))
  if not probe then
    return probe, err, code
  end
  local peer, host = probe:peer_address(), link.host(assert(probe:local_address()))
  probe:close()
  local socket
  socket, err, code = net.datagram(("udp://%s:0"):format(host))
  if not socket then
    return nil, err, code
  end
  return {
    socket = socket, server = peer, began = timer.now(),
    link = link.new(socket, {
      host = link.host(peer), timeout = wanted.interval or wanted.timeout, retries = wanted.retries,
      duration = wanted.duration,
    }),
  }
end

-- Sends the request until it is answered. Returns the terms and the answer, or nil, err, code.
local function ask(self, datagram, asked, expected)
  local function send()
    self.socket:send(datagram, self.server)
  end
  send()
  local terms = { block_size = 512, window_size = 1 }
  local answer, err, code = self.link:converse(send, function(received)
    if received.kind == "oack" then
      terms = not received.is_twice and options.accept(received.options, asked)
      if not terms then
        return nil, "the server grants what was not asked for", "option"
      end
      return received
    elseif received.kind ~= expected.kind then
      return nil, "an answer to the request expected", "protocol"
    end
    return received.block == expected.block and received or nil
  end)
  if not answer then
    return nil, err, code
  end
  self.link:agree(terms)
  return terms, answer
end

local function result_of(self, terms, blocks)
  return {
    bytes = blocks.bytes, block_size = terms.block_size, window_size = terms.window_size,
    retransmissions = self.link.retransmissions, seconds = timer.now() - self.began,
  }
end

-- Gathers a file in memory, or passes it on.
local function sink_of(into)
  local pieces = {}
  return {
    write = function(_, chunk)
      if into then
        return into:write(chunk)
      end
      pieces[#pieces + 1] = chunk
      return true
    end,
    commit = function() return true end,
    data = function() return table.concat(pieces) end,
  }
end

local function receive(self, wanted, terms, answer, sink)
  local limit = wanted.max or (wanted.into and math.maxinteger or IN_MEMORY)
  if (terms.size or 0) > limit then
    self.link:fail("too_large", "the file is too large")
    return nil, "too_large", "too_large"
  end
  local inlet = receiver.inlet(sink, wanted.mode, limit)
  local start = { first = answer.kind == "data" and answer or nil }
  function start.repeated()
    self.link:send(packet.ack(0))
  end
  if not start.first then
    start.repeated()
  end
  local ok, err, code, linger = receiver.receive(self.link, inlet, terms, start)
  return ok, err, code, linger, inlet
end

local function request_of(kind, name, wanted, size)
  local asked = options.ask { block_size = wanted.block_size, window_size = wanted.window_size,
    timeout = wanted.interval, size = wanted.mode == "octet" and size or nil }
  return packet.request(kind, name, wanted.mode, asked), asked
end

-- Asks a server, until there are terms: the dialogue, whose socket is to be closed, the terms and the
-- answer. Or nil (or false, see open), err, code.
local function begin(address, kind, name, wanted, size, expected)
  local datagram, asked = request_of(kind, name, wanted, size)
  if not datagram then
    return nil, "too_large", "too_large"
  end
  local self, err, code = open(address, wanted)
  if not self then
    return self, err, code
  end
  local terms, answer
  terms, answer, code = ask(self, datagram, asked, expected)
  if not terms then
    self.socket:close()
    return nil, answer, code
  end
  return self, terms, answer
end

--- Fetches a file.
---@param address string
---@param name string
---@param wanted table the options, complete
function client.get(address, name, wanted)
  local self, terms, answer = begin(address, "read", name, wanted, 0, { kind = "data", block = 1 })
  if not self then
    return self, terms, answer
  end
  local _ <close> = self.socket
  local sink = sink_of(wanted.into)
  local ok, err, code, linger, inlet = receive(self, wanted, terms, answer, sink)
  if not ok then
    return nil, err, code
  end
  local result = result_of(self, terms, inlet)
  if wanted.linger then
    linger()
  end
  return wanted.into and result.bytes or sink.data(), result
end

local function size_of(source)
  if type(source) == "string" then
    return #source
  end
  local is_sized, size = pcall(function() return source:size() end)
  return is_sized and math.type(size) == "integer" and size or nil
end

--- Gives a file.
---@param address string
---@param name string
---@param source any
---@param wanted table the options, complete
function client.put(address, name, source, wanted)
  local size, expected = size_of(source), { kind = "ack", block = 0 }
  local self, terms, answer = begin(address, "write", name, wanted, size, expected)
  if not self then
    return self, terms, answer
  end
  local _ <close> = self.socket
  local blocks = sender.blocks(server.source(source), terms, wanted.mode)
  local ok, err, code = sender.send(self.link, blocks, terms)
  if not ok then
    return nil, err, code
  end
  return blocks.bytes, result_of(self, terms, blocks)
end

return client
