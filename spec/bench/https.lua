-- spec/bench/https.lua — a short answer for "/", files below --set root=DIR for all else, with the
-- certificate that is below --set tls=DIR.
--   moonwire run spec/bench/https.lua --listen tls://127.0.0.1:8443 --set root=build/bench/www \
--     --set tls=build/bench/tls
local server = require "moonwire.http.server"
local static = require "moonwire.http.static"

local site
local tls = {}

local service = server.service(function(request, response, ctx)
  if request.path == "/" then
    return response:send("Hello, World!\n")
  end
  return site(request, response, ctx)
end, { keep_alive = 300, tls = tls })

function service.start(ctx)
  site = assert(static.new(ctx.config.root))
  tls.certificate, tls.key = ctx.config.tls .. "/certificate.pem", ctx.config.tls .. "/key.pem"
end

return service
