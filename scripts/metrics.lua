-- scripts/metrics.lua — answers GET /metrics with all metrics of the process, for Prometheus and the like.
--
--   build/moonwire run scripts/metrics.lua --listen tcp://127.0.0.1:9464
-- In another terminal:
--   curl http://127.0.0.1:9464/metrics
local http = require "moonwire.http"
local metrics = require "moonwire.metrics"

local EXPOSITION <const> = "text/plain; version=0.0.4; charset=utf-8"

local app = http.router()

app:get("/metrics", function(_, response)
  response:header("Content-Type", EXPOSITION)
  response:header("Cache-Control", "no-store")
  response:send(metrics.text())
end)

return http.service(app, { head_max = 8192, body_max = 0 })
