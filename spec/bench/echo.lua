-- What is measured as "echo": sends every byte back as it came. An echo client
-- speaks first, so a connection has no task until it does (defer).
--   moonwire run spec/bench/echo.lua --listen tcp://127.0.0.1:7000
local function echo(conn)
  for data in conn:chunks() do
    conn:write(data)
  end
end

return { connect = echo, options = { defer = true } }
