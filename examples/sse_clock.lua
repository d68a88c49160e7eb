-- examples/sse_clock.lua — a page whose clock is set by events that the server sends each second.
--
--   build/moonwire run examples/sse_clock.lua --listen tcp://127.0.0.1:7012
-- Open http://127.0.0.1:7012/ in a browser, or type in another terminal:
--   curl -sN http://127.0.0.1:7012/events
local http = require "moonwire.http"
local task = require "moonwire.task"

local PAGE <const> = [[
<!DOCTYPE html>
<html lang="en">
<title>Clock</title>
<style>time { display: block; margin: 20vh auto; text-align: center; font: 20vmin/1 monospace }</style>
<time>--:--:--</time>
<script>
  const clock = document.querySelector("time");
  const events = new EventSource("/events");
  events.addEventListener("time", event => clock.textContent = event.data);
  events.onerror = () => clock.textContent = "--:--:--";
</script>
</html>
]]

local app = http.router()

app:get("/", function(_, response)
  response:html(PAGE)
end)

app:get("/events", function(request, response)
  local count = tonumber(request:header "last-event-id") or 0
  local events <close> = response:sse { retry = 1 }
  repeat
    count = count + 1
    local ok = events:send { event = "time", data = os.date("!%H:%M:%S"), id = ("%d"):format(count) }
    task.sleep(1)
  until not ok
end)

return http.service(app)
