--- LuaSocket's select over our tasks. Not for scripts: it comes from
--- moonwire.compat.socket.
local stream = require "moonwire.compat.socket.stream"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

-- The socket behind what LuaSocket lets stand in such a list: whatever has getfd.
local function socket_of(object)
  local socket = stream.is_socket(object) and object or object:getfd()
  if not stream.is_socket(socket) then
    error("select: this is no socket of moonwire.compat.socket", 3)
  end
  return socket
end

local function add(ready, object)
  if not ready[object] then
    ready[#ready + 1] = object
    ready[object] = #ready
  end
end

local function await(object, ready, news)
  socket_of(object):await_input()
  add(ready, object)
  news:set()
end

local function writable(list)
  local ready = {}
  for _, object in ipairs(list or {}) do
    if socket_of(object):has_room() then
      add(ready, object)
    end
  end
  return ready
end

--- Waits until one of the sockets can be read or written. Writing counts as
--- possible while less than 64 KiB are queued, and is not awaited.
---@param readers any[]?
---@param writers any[]?
---@param seconds number? negative or nil: for ever
---@return table readable sockets as a list, and each as a key
---@return table writable
---@return string? err "timeout"
local function select_sockets(readers, writers, seconds)
  local can_read, can_write, news = {}, writable(writers), sync.event()
  local limit = seconds and seconds >= 0 and seconds or nil
  if can_write[1] then
    limit = 0
  end
  do
    local group <close> = task.group()
    for _, object in ipairs(readers or {}) do
      group:spawn(await, object, can_read, news)
    end
    news:wait(limit)
  end
  if not can_read[1] and not can_write[1] then
    return can_read, can_write, "timeout"
  end
  return can_read, can_write
end

return select_sockets
