-- spec/bench/file.lua — files below --set root=DIR.
--   moonwire run spec/bench/file.lua --listen tcp://127.0.0.1:8080 --set root=build/bench/www
local server = require "moonwire.http.server"
local static = require "moonwire.http.static"

local site

local service = server.service(function(request, response, ctx)
  return site(request, response, ctx)
end, { keep_alive = 300 })

function service.start(ctx)
  site = assert(static.new(ctx.config.root))
end

return service
