-- examples/reverse_proxy.lua — passes requests on to other servers, by turns.
--
--   build/moonwire run examples/reverse_proxy.lua --listen tcp://127.0.0.1:8080 \
--     --set upstreams.1=http://127.0.0.1:8081 --set upstreams.2=http://127.0.0.1:8082
--   curl http://127.0.0.1:8080/
local proxy = require "moonwire.http.proxy"
local server = require "moonwire.http.server"

local handler

local service = server.service(function(request, response, ctx)
  handler = handler or proxy.new { upstreams = ctx.config.upstreams }
  return handler(request, response)
end)

return service
