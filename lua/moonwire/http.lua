--- All of HTTP in one table, whose parts are loaded when they are first used.
---
---     local http = require "moonwire.http"
---
---     local app = http.router()
---     app:get("/", function(request, response)
---       response:send("Hello, World!\n")
---     end)
---     return http.service(app)

-- What the fields are: functions of modules, or whole modules.
local FUNCTIONS <const> = {
  serve = { "server", "serve" }, service = { "server", "service" },
  router = { "router", "new" }, session = { "session", "new" }, cors = { "cors", "new" },
  static = { "static", "new" }, compress = { "compression", "new" }, proxy = { "proxy", "new" },
  get = { "client", "get" }, head = { "client", "head" }, post = { "client", "post" },
  request = { "client", "request" }, download = { "client", "download" }, events = { "client", "events" },
}
local MODULES <const> = {
  auth = true, client = true, compression = true, cookie = true, limit = true, media = true,
  digest = true, multipart = true, query = true, receiver = true, template = true,
}

---@alias moonwire.http.serve fun(address: string, handler: moonwire.http.handler, options?: table): any, any
---@alias moonwire.http.service fun(handler: moonwire.http.handler, options?: table): moonwire.service

---@class moonwire.http
---@field serve moonwire.http.serve
---@field service moonwire.http.service
---@field router fun(options?: moonwire.http.router_options): moonwire.http.router
---@field session fun(options: moonwire.http.session_options): moonwire.http.middleware
---@field cors fun(options: moonwire.http.cors_options): moonwire.http.middleware
---@field get function moonwire.http.client.get
---@field head function moonwire.http.client.head
---@field post function moonwire.http.client.post
---@field request function moonwire.http.client.request
---@field download function moonwire.http.client.download
---@field events function moonwire.http.client.events
---@field static fun(root: string|moonwire.folder, options?: moonwire.http.static_options): any, any, any
---@field compress fun(options?: moonwire.http.compression_options): moonwire.http.middleware
---@field auth moonwire.http.auth
---@field client moonwire.http.client
---@field cookie moonwire.http.cookie
---@field digest moonwire.http.digest
---@field limit moonwire.http.limit
---@field media moonwire.http.media
---@field multipart moonwire.http.multipart
---@field query moonwire.http.query
---@field receiver moonwire.http.receiver
---@field template table moonwire.http.template
local http = {}

local function load_part(self, name)
  local place = FUNCTIONS[name]
  if place then
    self[name] = require("moonwire.http." .. place[1])[place[2]]
  elseif MODULES[name] then
    self[name] = require("moonwire.http." .. name)
  else
    error(("moonwire.http has no '%s'"):format(tostring(name)), 2)
  end
  return self[name]
end

return setmetatable(http, { __index = load_part })
