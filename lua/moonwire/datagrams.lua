--- Serving datagrams: each is a task. Not for scripts.
local net = require "moonwire.net"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

local datagrams = {}

local MOST <const> = 1000 -- tasks at the same time, of one address

--- Serves an address. Tasks are bounded: what comes while all are busy waits in the
--- kernel, which drops what it cannot keep. When the socket is closed those that
--- run go on to their end.
---@param address string "udp://127.0.0.1:53", "fd://3"
---@param service moonwire.service whose functions `datagram` and options are taken
---@param ctx moonwire.ctx
---@return moonwire.datagram? socket
---@return moonwire.task|string? receiver ends when the last of them has; on failure err
---@return moonwire.code? code as of net.datagram
function datagrams.serve(address, service, ctx)
  local socket, message, code = net.datagram(address, service.options)
  if not socket then
    return nil, message, code
  end
  local places = sync.semaphore(MOST)
  local leave = setmetatable({}, { __close = function() places:release() end })
  local function answer(...)
    local _ <close> = leave
    service.datagram(socket, ...)
  end
  return socket, task.spawn(function()
    for data, peer in socket:datagrams() do
      places:acquire()
      task.spawn(answer, data, peer, ctx)
    end
    for _ = 1, MOST do
      places:acquire()
    end
  end)
end

return datagrams
