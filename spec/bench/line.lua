-- spec/bench/line.lua — sends every line back: the line jobs of `make bench`.
-- build/moonwire run spec/bench/line.lua --listen tcp://127.0.0.1:7000
return function(conn)
  for line in conn:lines { max = 4096 } do
    conn:write(line, "\n")
  end
end
