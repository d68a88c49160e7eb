-- examples/static_site.lua — the files of a folder as a web site: compressed for clients that take it, with
-- conditions, parts of files, and lists of what is in a folder.
--
--   build/moonwire run examples/static_site.lua --listen tcp://127.0.0.1:7010 --set root=docs
-- In another terminal:
--   curl -s --compressed http://127.0.0.1:7010/errors.md
local http = require "moonwire.http"

-- A name with a digest in it, as in main.4f2a91c0.js, never gets another content.
local function cache_control(name)
  return name:find "%.%x%x%x%x%x%x+%.%a+$" and "public, max-age=31536000, immutable" or "no-cache"
end

local answer -- made when the folder is known

local service = http.service(function(request, response, ctx)
  return answer(request, response, ctx)
end, { access_log = true })

function service.start(ctx)
  local options = { listing = true, precompressed = true, cache_control = cache_control }
  answer = http.compress()(assert(http.static(ctx.config.root or ".", options)))
end

return service
