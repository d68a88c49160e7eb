--- LuaSocket's select over our tasks. Not for scripts: it comes from
--- moonwire.compat.socket.
local stream = require "moonwire.compat.socket.stream"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

-- The sockets behind what LuaSocket lets stand in such a list: whatever has getfd.
local function sockets_of(list)
  local sockets = {}
  for i, object in ipairs(list or {}) do
    sockets[i] = stream.is_socket(object) and object or object:getfd()
    if not stream.is_socket(sockets[i]) then
      error("select: there is no socket of moonwire.compat.socket at place " .. i, 3)
    end
  end
  return sockets
end

local function add(ready, object)
  if not ready[object] then
    ready[#ready + 1] = object
    ready[object] = #ready
  end
end

local function await(object, socket, ready, news)
  socket:await_input()
  add(ready, object)
  news:set()
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
  local can_read, can_write, news = {}, {}, sync.event()
  for i, socket in ipairs(sockets_of(writers)) do
    if socket:has_room() then
      add(can_write, writers[i])
    end
  end
  local limit = seconds and seconds >= 0 and seconds or nil
  limit = can_write[1] and 0 or limit
  local sockets = sockets_of(readers)
  do
    local group <close> = task.group()
    for i, socket in ipairs(sockets) do
      group:spawn(await, readers[i], socket, can_read, news)
    end
    if limit == 0 then
      task.sleep(0) -- one turn of the loop shows what is there
    else
      news:wait(limit)
    end
  end
  if not can_read[1] and not can_write[1] then
    return can_read, can_write, "timeout"
  end
  return can_read, can_write
end

return select_sockets
