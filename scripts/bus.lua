-- scripts/bus.lua — joins the bus of this daemon to those of others, over a server of Redis.
--
-- The daemon runs it by itself where the config says bus = "redis://cache.example": docs/api/bus.md. One in
-- each daemon is enough, for the workers of a daemon are joined anyhow.
--
-- Settings:
--   url   "redis://user:password@host:6379?prefix=moonwire", or rediss://… over TLS
local bridge = require "moonwire.bus.bridge"

local JOIN_SECONDS <const> = 2 -- that a start waits for the server
local LEAVE_SECONDS <const> = 2 -- that a stop waits for what has not left

local service, open = {}, nil

function service.start(ctx)
  local url = ctx.config.url
  local problem
  if type(url) == "string" then
    open, problem = bridge.open(url)
  end
  if not open then
    error("url: " .. (problem or "the URL of a bus expected"), 0)
  end
  open:join(JOIN_SECONDS)
end

function service.handoff()
  return open:handoff()
end

function service.adopt(data)
  open:adopt(data)
end

function service.stop()
  open:close(LEAVE_SECONDS)
end

return service
