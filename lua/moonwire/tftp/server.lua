--- Answers a request of TFTP by a transfer from a socket of its own. Not for scripts.
local link = require "moonwire.tftp.link"
local net = require "moonwire.net"
local options = require "moonwire.tftp.options"
local packet = require "moonwire.tftp.packet"
local receiver = require "moonwire.tftp.receiver"
local sender = require "moonwire.tftp.sender"
local timer = require "moonwire.timer"

local server = {}

local MODES <const> = { octet = true, netascii = true }

-- What a failure is called for the peer: nothing of the system.
local SAID <const> = {
  not_found = "file not found", denied = "access violation", invalid = "access violation",
  exists = "there is such a file", full = "no space is left", too_large = "the file is too large",
}

-- Reads a string as a file is read.
local function string_source(text)
  local at = 1
  return {
    read = function(_, count)
      if at > #text then
        return nil, "eof", "eof"
      end
      at = at + count
      return text:sub(at - count, at - 1)
    end,
  }
end

--- What a source is read from: a string, or whatever has `read`.
---@param source any
---@return any
function server.source(source)
  return type(source) == "string" and string_source(source) or source
end

local function closing(source)
  return setmetatable({}, { __close = function()
    if source.close then
      source:close()
    end
  end })
end

-- What is wrong with a request; nil: nothing.
local function problem_of(request)
  if request.is_twice then
    return "option", "an option stands there twice"
  elseif not MODES[request.mode] then
    return "protocol", "no such mode"
  elseif request.name == "" or request.name:find("%c") then
    return "denied", "no such name"
  end
end

-- Tells the peer what was granted, and waits until it says that it has heard.
local function confirm(self, granted)
  local function send()
    self.link:send(packet.oack(granted))
  end
  send()
  return self.link:converse(send, function(received)
    if received.kind ~= "ack" then
      return nil, "an acknowledgement expected", "protocol"
    end
    return received.block == 0 or nil
  end)
end

local function refuse(self, err, code)
  self.link:fail(code, SAID[code] or "the request failed")
  return nil, err, code
end

local function take_terms(self, limits)
  local terms, granted = options.grant(self.request.options, limits)
  self.link:agree(terms)
  self.transfer.block_size, self.transfer.window_size = terms.block_size, terms.window_size
  return terms, granted
end

local function send_file(self, policy, limits)
  local source, size, code = policy.read(self.transfer)
  if not source then
    return refuse(self, size, code)
  end
  local given = server.source(source)
  local _ <close> = closing(given)
  local terms, granted = take_terms(self, limits)
  size = size or type(source) == "string" and #source
  if terms.size and size and self.transfer.mode == "octet" then
    granted.tsize = size
  end
  local ok, err = true, nil
  if next(granted) then
    ok, err, code = confirm(self, granted)
  end
  if ok then
    self.blocks = sender.blocks(given, terms, self.transfer.mode)
    ok, err, code = sender.send(self.link, self.blocks, terms)
  end
  return ok, err, code
end

-- What begins a transfer to us.
local function begin(self, granted)
  local datagram = next(granted) and packet.oack(granted) or packet.ack(0)
  local function repeated()
    self.link:send(datagram)
  end
  repeated()
  return { repeated = repeated }
end

local function receive_file(self, policy, limits)
  local terms, granted = take_terms(self, limits)
  self.transfer.size, granted.tsize = terms.size, terms.size
  if (terms.size or 0) > limits.max then
    return refuse(self, "too_large", "too_large")
  end
  local sink, problem, problem_code = policy.write(self.transfer)
  if not sink then
    return refuse(self, problem, problem_code)
  end
  local is_whole = false
  local _ <close> = setmetatable({}, { __close = function()
    if not is_whole then
      sink:abort()
    end
  end })
  self.blocks = receiver.inlet(sink, self.transfer.mode, limits.max)
  local ok, err, code, linger = receiver.receive(self.link, self.blocks, terms, begin(self, granted))
  is_whole = ok or false
  return ok, err, code, linger
end

local function open(self, socket, peer, limits)
  local host = link.host(assert(socket:local_address()))
  local own, err, code = net.datagram(("udp://%s:0"):format(host))
  if not own then
    return nil, err, code
  end
  self.link = link.new(own, {
    peer = peer, timeout = limits.timeout, retries = limits.retries, duration = limits.duration,
  })
  return own
end

-- Completes what is known of a transfer, and says that it is over.
local function finish(self, policy, err, code)
  local transfer = self.transfer
  transfer.bytes = self.blocks and self.blocks.bytes or 0
  transfer.retransmissions = self.link and self.link.retransmissions or 0
  transfer.seconds = timer.now() - self.began
  transfer.err, transfer.code = err, code
  if policy.ended then
    policy.ended(transfer)
  end
end

--- A request, from a datagram that came to the well-known port; nil for all else, of which others than errors
--- are answered with one: so two servers never answer each other for ever.
---@param socket moonwire.datagram
---@param datagram string
---@param peer string
---@return moonwire.tftp.packet?
function server.request(socket, datagram, peer)
  local request = packet.decode(datagram)
  if request and (request.kind == "read" or request.kind == "write") then
    return request
  elseif datagram:sub(1, 2) ~= "\0\5" then
    socket:send(packet.error("protocol", "a request expected"), peer)
  end
end

--- What `ended` is told of a request.
---@param request moonwire.tftp.packet
---@param peer string
---@return moonwire.tftp_transfer
function server.transfer(request, peer)
  return {
    peer = peer, kind = request.kind, name = request.name, mode = request.mode,
    block_size = 512, window_size = 1,
  }
end

--- Turns a request down without a transfer.
---@param socket moonwire.datagram
---@param transfer moonwire.tftp_transfer
---@param policy moonwire.tftp_policy
---@param code string
---@param message string for the peer and for the log
function server.turn_down(socket, transfer, policy, code, message)
  socket:send(packet.error(code, message), transfer.peer)
  code = code == "option" and "protocol" or code
  finish({ transfer = transfer, began = timer.now() }, policy, message, code)
end

--- Serves a request to its end. Waits. `release` is called when the transfer is over, before a peer is waited
--- for that may have lost the last acknowledgement.
---@param socket moonwire.datagram of the well-known port
---@param request moonwire.tftp.packet
---@param transfer moonwire.tftp_transfer
---@param policy moonwire.tftp_policy
---@param limits table options of the server
---@param release fun()
function server.serve(socket, request, transfer, policy, limits, release)
  local problem, message = problem_of(request)
  if problem then
    release()
    return server.turn_down(socket, transfer, policy, problem, message)
  end
  local self = { request = request, transfer = transfer, began = timer.now() }
  local own, _, failure = open(self, socket, transfer.peer, limits)
  if not own then
    release()
    return server.turn_down(socket, transfer, policy, failure, "the request failed")
  end
  local _ <close> = own
  local serve_it = request.kind == "read" and send_file or receive_file
  local ok, err, code, linger = serve_it(self, policy, limits)
  release()
  finish(self, policy, err, code)
  if ok and linger then
    linger()
  end
end

return server
