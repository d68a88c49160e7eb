-- spec/bench/echo.lua — sends every byte back as it comes: the echo jobs, churn and idle of `make bench`.
-- build/moonwire run spec/bench/echo.lua --listen tcp://127.0.0.1:7000
return function(conn)
  for data in conn:chunks() do
    conn:write(data)
  end
end
