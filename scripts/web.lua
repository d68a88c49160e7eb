-- scripts/web.lua — a small site, or several by their names: files, and if wanted a form to upload with, a
-- board that its readers write together (WebSocket), and a page that shows requests as they come (events).
--
--   build/moonwire run scripts/web.lua --listen tcp://127.0.0.1:8080 --set root=docs
-- Open http://127.0.0.1:8080/ in a browser, or type in another terminal:
--   curl -s --compressed http://127.0.0.1:8080/errors.md
--
-- Settings (ctx.config). Those of the first part may stand below hosts.N, too, for that site alone:
--   root            path, none          the files; without it a page that says what there is
--   listing         boolean, false      a folder without index.html is shown as a list
--   cache           text, "no-cache"    Cache-Control of files; a digest in the name: it is kept for ever
--   redirects.PATH  path or URL         what has moved: redirects = { ["/old"] = "/new" }
--   users.NAME      password            or a hash of http.auth.hash_password
--   private         list, { "/" }       the paths that only these users may see, and all below them
--   upload          path, none          /upload: a form for files, which go there
--   upload_max      bytes, 104857600    of one form
--   board           boolean, false      /board: a text that everybody who has the page open writes on
--   status          boolean, false      /status: requests as they come, but not who makes them
--   headers.NAME    text or false       fields of answers, beside or instead of those in HEADERS
--   hosts.N         table               the site for the host N; "*.N": for those below it. On the command
--                                       line: --set hosts.1.name=N --set hosts.1.root=PATH
--   hosts.N.redirect  URL, none         instead of all that: the same path there
--   default         name, none          the host whose site others get; without it they get that of `root`
--   https           boolean or port     clear requests are sent to https, at this port; default false
--   hsts            seconds, none       for which browsers are to use https alone
--   compress        boolean, true       answers are compressed
--   rate            a second, none      requests of one address, counted in each worker
--   access_log      boolean or path     true: entries of the log; a path: lines of that file; default true
--   log_format      text, "combined"    of the file; or "vhost_combined", "json"
local board = require "web.board"
local check = require "moonwire.check"
local files = require "web.files"
local http = require "moonwire.http"
local metrics = require "moonwire.metrics"
local pages = require "web.pages"
local record = require "web.record"
local status = require "web.status"
local timer = require "moonwire.timer"
local upload = require "web.upload"

local OF_SITE <const> = {
  root = "string", listing = "boolean", cache = "string", redirects = "table", users = "table",
  private = "table", upload = "string", upload_max = "integer", board = "boolean", status = "boolean",
  headers = "table",
}
local OF_HOST <const> = { name = "string", redirect = "string" }
local OF_ALL <const> = {
  hosts = "table", default = "string", https = "any", hsts = "integer", compress = "boolean", rate = "number",
  access_log = "any", log_format = { combined = true, vhost_combined = true, json = true },
}
for name, kind in pairs(OF_SITE) do
  OF_HOST[name], OF_ALL[name] = kind, kind
end

local HEADERS <const> = {
  ["X-Content-Type-Options"] = "nosniff", ["X-Frame-Options"] = "SAMEORIGIN",
  ["Referrer-Policy"] = "strict-origin-when-cross-origin",
}
local PAGES <const> = {
  { key = "upload", path = "/upload", name = "Upload", about = "A form for files, and those that came.",
    module = upload },
  { key = "board", path = "/board", name = "Board", about = "A text that all who see it write together.",
    module = board },
  { key = "status", path = "/status", name = "Requests", about = "What this server answers, as it comes.",
    module = status },
}

local answered = metrics.counter("web_requests_total", "Requests by site and status.",
  { labels = { "site", "status" } })

local sites = {} -- host → site; "": what others get
local settings, note -- of all; the access log, when it is a file

-- --- what stands before the files of a site

-- The passwords as hashes, which takes a moment for each that is none.
local function hashes_of(users)
  local hashes = {}
  for name, password in pairs(users) do
    assert(type(password) == "string", ("settings: users.%s: a text expected"):format(name))
    hashes[name] = password:find "^%$scrypt%$" and password or assert(http.auth.hash_password(password))
  end
  return hashes
end

local function is_below(path, prefix)
  return (path .. "/"):find(("/" .. prefix .. "/"):gsub("/+", "/"), 1, true) == 1
end

local function guard(site)
  assert(site.users, "settings: private = … needs users.NAME = a password")
  local ask = http.auth.basic { realm = site.title, users = hashes_of(site.users) }
  local private = site.private or { "/" }
  return function(next_handler)
    local asked = ask(next_handler)
    return function(request, response, ctx)
      for _, prefix in ipairs(private) do
        if is_below(request.path, prefix) then
          return asked(request, response, ctx)
        end
      end
      return next_handler(request, response, ctx)
    end
  end
end

-- Fields that all answers of a site have.
local function add_headers(site)
  local headers = {}
  for _, fields in ipairs { HEADERS, site.headers } do
    for name, value in pairs(fields) do
      headers[name:lower()] = value or nil
    end
  end
  return function(next_handler)
    return function(request, response, ctx)
      for name, value in pairs(headers) do
        response:header(name, value)
      end
      if settings.hsts and response:is_secure() then
        response:header("Strict-Transport-Security", ("max-age=%d"):format(settings.hsts))
      end
      return next_handler(request, response, ctx)
    end
  end
end

-- --- sites

local function path_of(request)
  return (request.target:gsub("^%a+://[^/?]*", ""):gsub("^/*", "/"))
end

local function redirect_of(site)
  return function(request, response)
    response:redirect(site.redirect:gsub("/$", "") .. path_of(request), 308)
  end
end

local function answer_of(site)
  local app = http.router()
  app:use(add_headers(site))
  if settings.rate then
    app:use(http.limit.rate { rate = settings.rate, burst = math.ceil(settings.rate * 10) })
  end
  if settings.compress ~= false then
    app:use(http.compress())
  end
  if site.users or site.private then
    app:use(guard(site))
  end
  for _, page in ipairs(site.pages) do
    page.module.add(site, app)
  end
  for from, to in pairs(site.redirects or {}) do
    app:get(from, function(_, response) response:redirect(to, 308) end)
  end
  app:any("/*path", site.redirect and redirect_of(site) or files.of(site))
  return app:handler()
end

local function add_site(host, own, ctx)
  local site = setmetatable({ host = host, pages = {} }, { __index = own })
  site.title = host ~= "" and host or ctx.name
  site.key = ("web/%s/%s"):format(ctx.name, host)
  for _, page in ipairs(PAGES) do
    site.pages[#site.pages + 1] = own[page.key] and page or nil
  end
  site.answer = answer_of(site)
  sites[host] = site
end

local function read_settings(config, ctx)
  check.options(config, OF_ALL, 1, "settings")
  local port = type(config.https or true) == "boolean" and 443 or math.tointeger(config.https)
  assert(port and port > 0 and port < 65536, "settings: https = true or a port expected")
  settings = config
  pages.load()
  for key, own in pairs(config.hosts or {}) do
    check.options(own, OF_HOST, 1, "settings")
    local host = own.name or key
    assert(type(host) == "string", ("settings: hosts.%s.name = a host expected"):format(key))
    add_site(host:lower(), own, ctx)
  end
  if config.root or not config.hosts then
    add_site("", config, ctx)
  end
  assert(not config.default or sites[config.default], "settings: default = a name of hosts expected")
end

local function site_of(host)
  local site = sites[host]
  while not site and host:find(".", 1, true) do
    host = host:match "^[^.]*%.(.*)$"
    site = sites["*." .. host]
  end
  return site or sites[settings.default or ""]
end

-- --- requests

local function to_https(request, response)
  local port = settings.https == true and "" or ":" .. settings.https
  response:redirect(("https://%s%s%s"):format(request.host, port, path_of(request)), 308)
end

-- Notes a request when it is over, however it ends.
local noting = { __close = function(entry, err)
  local request, response = entry.request, entry.response
  local code = err and not response:is_started() and 500 or response:status()
  answered:add(1, entry.site and entry.site.title or "none", ("%d"):format(code))
  local seconds = math.floor((timer.now() - entry.begun) * 1e6) / 1e6
  if entry.site and entry.site.status then
    status.tell(entry.site, request, response, code)
  end
  if note then
    note(request, response, code, seconds)
  end
end }

local function answer(request, response, ctx)
  local site = site_of(request.host:gsub("%.$", "")) -- with a dot at its end it is the same name
  local entry <close> = setmetatable({ -- luacheck: ignore 211
    request = request, response = response, site = site, begun = timer.now(),
  }, noting)
  local is_clear = settings.https and not response:is_secure()
  if not site or is_clear and request.host == "" then
    return response:status(421):send "421: this is not the server of that site\n"
  elseif is_clear and not request.path:find "^/%.well%-known/" then
    return to_https(request, response)
  end
  return site.answer(request, response, ctx)
end

local service = http.service(answer)

function service.start(ctx)
  read_settings(ctx.config, ctx)
  local path = settings.access_log
  service.options.http.access_log = path == nil or path == true
  if type(path) == "string" then
    note = record.new(path, settings.log_format or "combined")
  end
  board.start(ctx.name)
  status.start(ctx.name)
end

service.resume = board.talk

return service
