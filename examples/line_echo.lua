-- examples/line_echo.lua — says each line back.
--
--   build/moonwire run examples/line_echo.lua --listen tcp://127.0.0.1:7001
-- In another terminal:
--   nc 127.0.0.1 7001
return function(conn)
  for line in conn:lines { max = 4096 } do
    conn:write(line, "\n")
  end
end
