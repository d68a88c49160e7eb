-- examples/rpc.lua — remote calls in frames: four bytes of length, the highest first, then as many of text.
-- Requests read "METHOD ARGUMENT…", answers "ok RESULT" or "error REASON". Server and client in one file.
--
--   build/moonwire run examples/rpc.lua --listen tcp://127.0.0.1:7005
-- In another terminal; without --listen it is the client:
--   build/moonwire run examples/rpc.lua --set server=tcp://127.0.0.1:7005 -- add 2 40
--   build/moonwire run examples/rpc.lua --set server=tcp://127.0.0.1:7005 -- upper hello
local net = require "moonwire.net"

local MAX <const> = 65536 -- bytes in a frame: a length that the other side sends is not to be trusted

local request = table.concat({ ... }, " ")
local methods, rpc = { upper = string.upper }, {}

function methods.add(text)
  local sum = 0
  for word in text:gmatch("%S+") do
    sum = sum + assert(tonumber(word), "add takes numbers")
  end
  return sum
end

local function read_frame(conn)
  local head, err = conn:read(4)
  if not head then
    return nil, err
  end
  local length = string.unpack(">I4", head)
  if length > MAX then
    return nil, "too_large"
  end
  return conn:read(length)
end

local function answer(text)
  local name, arguments = text:match("^(%S+)%s*(.*)$")
  if not methods[name] then
    return "error no such method"
  end
  local ok, result = pcall(methods[name], arguments)
  return (ok and "ok " or "error ") .. tostring(result)
end

function rpc.connect(conn)
  for text in function() return read_frame(conn) end do
    conn:write(string.pack(">s4", answer(text)))
  end
end

function rpc.start(ctx)
  if ctx.config.server then
    local conn <close> = assert(net.connect(ctx.config.server))
    conn:write(string.pack(">s4", request))
    io.write(assert(read_frame(conn)), "\n")
  end
end

return rpc
