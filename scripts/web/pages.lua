-- The pages of scripts/web.lua: the files beside this one, read when the service starts.
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"
local file = require "moonwire.file"
local http = require "moonwire.http"

local REASONS <const> = {
  [400] = { "Bad request", "This could not be understood." },
  [403] = { "Forbidden", "This is not for you." },
  [404] = { "Not found", "There is nothing at this address." },
  [405] = { "Not allowed", "That cannot be done here." },
  [409] = { "Exists already", "Something of that name is here already." },
  [413] = { "Too large", "That is more than is taken here." },
  [421] = { "Misdirected", "This is not the server of that site." },
  [503] = { "Try again", "There is too much to do just now." },
}
local OTHERWISE <const> = { "An error", "Something went wrong." }

local pages = {}

local templates, style
local scripts = {} -- of pages, by their names

-- Where modules beside the script are found, these are too.
local function find_folder()
  local places = package.path:gsub("%.lua%f[;\0]", ".html")
  return assert(package.searchpath("web.layout", places)):match "^(.*)/[^/]*$"
end

--- Reads the files. Waits.
function pages.load()
  local folder <close> = assert(file.root(find_folder()))
  style = assert(folder:read "style.css")
  for _, name in ipairs { "board", "status" } do
    scripts[name] = assert(folder:read(name .. ".js"))
  end
  templates = assert(http.template.folder(folder:folder "."))
end

-- What a policy calls a style or script that stands in the page itself.
local function source_of(text)
  return text and ("'sha256-%s'"):format(codec.base64_encode(crypto.digest("sha256", text))) or "'none'"
end

local function policy_for(script)
  return ("default-src 'none'; img-src data:; style-src %s; script-src %s; connect-src 'self'; form-action "
    .. "'self'; base-uri 'none'; frame-ancestors 'none'"):format(source_of(style), source_of(script))
end

--- Sends a page.
---@param request moonwire.http.request
---@param response moonwire.http.response
---@param name string of the file
---@param site table
---@param values table for the template
function pages.send(request, response, name, site, values)
  values.style, values.script, values.path = style, scripts[name], request.path
  values.site, values.pages = site.title, site.pages
  response:header("Content-Security-Policy", policy_for(scripts[name]))
  response:header("Cache-Control", "no-store")
  response:html(templates:render(name .. ".html", values))
end

--- Answers with what is refused: as a page for browsers, else as a line of text.
---@param request moonwire.http.request
---@param response moonwire.http.response its status is set
---@param site table
function pages.refuse(request, response, site)
  local status = response:status()
  local words = REASONS[status] or OTHERWISE
  if request:accepts("text/plain", "text/html") ~= "text/html" then
    response:header("Content-Type", "text/plain; charset=utf-8")
    return response:send(("%d: %s\n"):format(status, words[1]))
  end
  pages.send(request, response, "error", site, {
    title = words[1], status = status, reason = words[1], about = words[2],
  })
end

return pages
