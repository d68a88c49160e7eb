-- The files of a site of scripts/web.lua, and what is answered where there are none.
local file = require "moonwire.file"
local http = require "moonwire.http"
local pages = require "web.pages"

-- A name with a digest in it, as in main.4f2a91c0.js, never gets another content.
local function cache_of(site)
  return function(name)
    return name:find "[.-]%x%x%x%x%x%x%x%x+%.%a+$" and "public, max-age=31536000, immutable"
      or site.cache or "no-cache"
  end
end

-- What answers for refused requests: the site's own 404.html, or a page of ours.
local function refuse_of(site, folder)
  return function(request, response)
    local own = response:status() == 404 and folder and folder:read "404.html"
    if own then
      return response:html(own)
    end
    return pages.refuse(request, response, site)
  end
end

local files = {}

--- A handler for what is no page of ours.
---@param site table
---@return moonwire.http.handler
function files.of(site)
  if not site.root then
    return function(request, response)
      if request.path == "/" then
        return pages.send(request, response, "home", site, { title = site.title })
      end
      return pages.refuse(request, response:status(404), site)
    end
  end
  local folder = assert(file.root(site.root)):keep()
  return assert(http.static(folder, {
    listing = site.listing, precompressed = true, cache_control = cache_of(site),
    refuse = refuse_of(site, folder),
  }))
end

return files
