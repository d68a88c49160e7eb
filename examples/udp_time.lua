-- examples/udp_time.lua — answers a datagram with the time, in UTC.
--
--   build/moonwire run examples/udp_time.lua --listen udp://127.0.0.1:7004
-- In another terminal:
--   echo | nc -u -w 1 127.0.0.1 7004
local time = {}

-- What is as long as an answer gets none: a forged sender must not set two such services talking for ever.
function time.datagram(socket, data, peer)
  if #data < 20 then
    socket:send(os.date "!%Y-%m-%dT%H:%M:%SZ\n", peer)
  end
end

return time
