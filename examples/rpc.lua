-- examples/rpc.lua — remote calls in frames: four bytes of length, the highest first, then as many of text.
-- Requests read "METHOD ARGUMENT…", answers "ok RESULT" or "error REASON". Server and client in one file.
--
--   build/moonwire run examples/rpc.lua --listen tcp://127.0.0.1:7005
-- In another terminal; without --listen it is the client:
--   build/moonwire run examples/rpc.lua --set server=tcp://127.0.0.1:7005 -- add 2 40
--   build/moonwire run examples/rpc.lua --set server=tcp://127.0.0.1:7005 -- upper hello
local frame = require "moonwire.frame"
local net = require "moonwire.net"

local request = table.concat({ ... }, " ")
local methods, rpc = { upper = string.upper }, {}

function methods.add(text)
  local sum = 0
  for word in text:gmatch("%S+") do
    sum = sum + assert(tonumber(word), "add takes numbers")
  end
  return sum
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
  for text in frame.frames(conn, { length = "u32be", max = 65536 }) do
    frame.write(conn, answer(text))
  end
end

function rpc.start(ctx)
  if ctx.config.server then
    local conn <close> = assert(net.connect(ctx.config.server))
    frame.write(conn, request)
    io.write(assert(frame.read(conn)), "\n")
  end
end

return rpc
