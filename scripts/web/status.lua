-- A page of scripts/web.lua: requests as they come, as events. It does not tell who makes them, nor their
-- queries.
local bus = require "moonwire.bus"
local pages = require "web.pages"

local status = {}

--- Says on which topic of the bus requests are told.
---@param topic string
function status.start(topic)
  status.topic = topic .. ".requests"
end

--- Tells all who look of a request that was answered.
---@param site table
---@param request moonwire.http.request
---@param response moonwire.http.response
---@param code integer its status
function status.tell(site, request, response, code)
  bus.publish(status.topic, {
    key = site.key, time = os.time(), method = request.method, path = request.target:match "^[^?]*",
    status = code, bytes = response:bytes_sent(),
  })
end

--- Adds the page to a site.
---@param site table
---@param app moonwire.http.router
function status.add(site, app)
  app:get("/status", function(request, response)
    pages.send(request, response, "status", site, { title = "Requests" })
  end)
  app:get("/status/events", function(_, response)
    local requests <close> = bus.subscribe(status.topic)
    local events <close> = response:sse { retry = 2 }
    for entry in requests do
      if entry.key == site.key and not events:send { event = "request", data = entry } then
        return
      end
    end
  end)
end

return status
