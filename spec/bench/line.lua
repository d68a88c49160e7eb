-- What is measured as "line": sends every line back. As in echo.lua, the client
-- speaks first.
--   moonwire run spec/bench/line.lua --listen tcp://127.0.0.1:7000
local function echo_lines(conn)
  for line in conn:lines { max = 4096 } do
    conn:write(line, "\n")
  end
end

return { connect = echo_lines, options = { defer = true } }
