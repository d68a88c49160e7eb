-- examples/reverse_proxy.lua — passes requests on to other servers, by turns, and leaves alone those that
-- fail.
--
--   build/moonwire run examples/static_site.lua --listen tcp://127.0.0.1:7031 --set root=docs
--   build/moonwire run examples/reverse_proxy.lua --listen tcp://127.0.0.1:7030
-- In another terminal:
--   curl -s http://127.0.0.1:7030/errors.md
-- Other servers: --set upstreams.1=http://127.0.0.1:8081 --set upstreams.2=http://127.0.0.1:8082
local http = require "moonwire.http"

local handler

return http.service(function(request, response, ctx)
  handler = handler or http.proxy { upstreams = ctx.config.upstreams or { "http://127.0.0.1:7031" },
    via = "moonwire" }
  return handler(request, response)
end)
