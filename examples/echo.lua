-- examples/echo.lua — sends every byte back as it comes.
--
--   build/moonwire run examples/echo.lua --listen tcp://127.0.0.1:7000
-- In another terminal; what you type comes back, and any file does unchanged:
--   nc 127.0.0.1 7000
--   nc -N 127.0.0.1 7000 < build/moonwire | cmp - build/moonwire
return function(conn)
  for data in conn:chunks() do
    conn:write(data)
  end
end
