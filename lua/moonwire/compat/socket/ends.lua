--- Sources and sinks (ltn12) over sockets. Not for scripts: they come from
--- moonwire.compat.socket.
local ends = {}

local BLOCK_BYTES <const> = 2048

-- Something to call that select takes for the socket.
local function over(socket, call)
  return setmetatable({
    getfd = function() return socket:getfd() end,
    dirty = function() return socket:dirty() end,
  }, { __call = function(_, ...) return call(...) end })
end

local sinks = {}

sinks["keep-open"] = function(socket)
  return over(socket, function(chunk)
    if chunk then
      return socket:send(chunk)
    end
    return 1
  end)
end

sinks["close-when-done"] = function(socket)
  return over(socket, function(chunk)
    if chunk then
      return socket:send(chunk)
    end
    return socket:close()
  end)
end

sinks.default = sinks["keep-open"]

local sources = {}

sources["by-length"] = function(socket, length)
  return over(socket, function()
    if length <= 0 then
      return nil
    end
    local chunk, message = socket:receive(math.min(BLOCK_BYTES, length))
    if not chunk then
      return nil, message
    end
    length = length - #chunk
    return chunk
  end)
end

sources["until-closed"] = function(socket)
  local done = false
  return over(socket, function()
    if done then
      return nil
    end
    local chunk, message, partial = socket:receive(BLOCK_BYTES)
    if chunk then
      return chunk
    elseif message ~= "closed" then
      return nil, message
    end
    done = true
    socket:close()
    return partial ~= "" and partial or nil
  end)
end

sources.default = sources["until-closed"]

--- A function that makes what the table has under a name; the name may be left out.
---@param makers table<string, function>
function ends.choose(makers)
  return function(name, ...)
    if type(name) ~= "string" then
      return makers.default(name, ...)
    end
    local make = makers[name]
    if not make then
      error(("unknown key (%s)"):format(name), 2)
    end
    return make(...)
  end
end

ends.sinks, ends.sources, ends.block_bytes = sinks, sources, BLOCK_BYTES

return ends
