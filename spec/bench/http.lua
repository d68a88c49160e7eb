-- spec/bench/http.lua — the HTTP server of the benchmarks.
--   moonwire run spec/bench/http.lua --listen tcp://127.0.0.1:8080
local server = require "moonwire.http.server"

return server.service(function(_, response)
  response:send("Hello, World!\n")
end, { keep_alive = 300 })
