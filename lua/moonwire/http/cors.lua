--- Requests from pages of other sites: those that may read what is answered
--- (CORS, Fetch standard §3.2), and those that are refused.
local check = require "moonwire.check"
local log = require "moonwire.log"

local cors = {}

local TOKEN <const> = "^[%w!#$%%&'*+.^_`|~-]+$"
local ANY <const> = setmetatable({}, { __index = function() return true end }) -- checked elsewhere
local KNOWN <const> = {
  origins = ANY, methods = "table", headers = "table", expose = "table", credentials = "boolean",
  max_age = "integer",
}
local METHODS <const> = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" }
local SAFE <const> = { GET = true, HEAD = true, OPTIONS = true }

---@class moonwire.http.cors_options
--- Whose pages may read: a list such as { "https://app.example" }, "*" for all, or a function of the origin
--- and the request. Required.
---@field origins string[]|"*"|fun(origin: string, request: moonwire.http.request): boolean
---@field methods? string[] default: GET, HEAD, POST, PUT, PATCH, DELETE
---@field headers? string[] fields that they may send besides the plain ones: "authorization"; default: none
---@field expose? string[] fields of responses that they may read besides the plain ones; default: none
---@field credentials? boolean with cookies and passwords; never with "*". Default false
---@field max_age? integer seconds that browsers may remember the permission; default 600

local function check_tokens(list, name)
  for _, text in ipairs(list or {}) do
    if type(text) ~= "string" or not text:find(TOKEN) then
      return ("option '%s': '%s' is no name"):format(name, tostring(text))
    end
  end
end

-- A function that tells whether an origin is one of those.
local function read_origins(origins)
  if origins == "*" or type(origins) == "function" then
    return origins
  elseif type(origins) ~= "table" or not origins[1] then
    return nil, "option 'origins': a list, \"*\" or a function expected"
  end
  local set = {}
  for _, origin in ipairs(origins) do
    if type(origin) ~= "string" or not origin:find("^%a[%w+.-]*://[^/%s]+$") then
      return nil, ("option 'origins': '%s' is none, as in \"https://app.example\""):format(tostring(origin))
    end
    set[origin:lower()] = true
  end
  return function(origin)
    return set[origin:lower()] or false
  end
end

local function read_settings(options)
  local is_allowed, problem = read_origins(options.origins)
  problem = problem or check_tokens(options.methods, "methods") or check_tokens(options.headers, "headers")
    or check_tokens(options.expose, "expose")
  if not problem and is_allowed == "*" and options.credentials then
    problem = "credentials and origins \"*\" exclude each other: any page could act for its visitors"
  end
  return not problem and {
    is_allowed = is_allowed, credentials = options.credentials,
    methods = table.concat(options.methods or METHODS, ", "),
    headers = options.headers and table.concat(options.headers, ", "),
    expose = options.expose and table.concat(options.expose, ", "),
    max_age = tostring(options.max_age or 600),
  }, problem
end

-- Whether the page may read the answer; the fields that say so are set.
local function permit(self, request, response, origin)
  if self.is_allowed == "*" then
    response:header("Access-Control-Allow-Origin", "*")
    return true
  end
  response:add_header("Vary", "Origin")
  if not self.is_allowed(origin, request) then
    return false
  end
  response:header("Access-Control-Allow-Origin", origin)
  if self.credentials then
    response:header("Access-Control-Allow-Credentials", "true")
  end
  return true
end

local function answer_preflight(self, request, response, origin)
  response:add_header("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
  if permit(self, request, response, origin) then
    response:header("Access-Control-Allow-Methods", self.methods)
    if self.headers then
      response:header("Access-Control-Allow-Headers", self.headers)
    end
    response:header("Access-Control-Max-Age", self.max_age)
  end
  response:status(204)
  response:send()
end

local function serve(self, next_handler, request, response, ctx)
  local origin = request:header("origin")
  if origin and request.method == "OPTIONS" and request:header("access-control-request-method") then
    return answer_preflight(self, request, response, origin)
  elseif origin and permit(self, request, response, origin) and self.expose then
    response:header("Access-Control-Expose-Headers", self.expose)
  elseif not origin and self.is_allowed ~= "*" then
    response:add_header("Vary", "Origin")
  end
  return next_handler(request, response, ctx)
end

--- A middleware that lets pages of other origins read what is answered. It
--- answers their preflight requests itself. It refuses nothing: a page that may
--- not read can still send, see cors.protect.
---@param options moonwire.http.cors_options
---@return moonwire.http.middleware
function cors.new(options)
  check.type(options, "table", 1, "new")
  check.options(options, KNOWN, 1, "new")
  local self, problem = read_settings(options)
  if not self then
    check.refuse(1, "new", problem)
  end
  return function(next_handler)
    return function(request, response, ctx)
      return serve(self, next_handler, request, response, ctx)
    end
  end
end

-- Whether a request that changes something was made by a page of this site, or by no page at all.
local function is_own(request, trusted)
  local origin = request:header("origin")
  if SAFE[request.method] or origin and trusted(origin) then
    return true
  end
  local site = request:header("sec-fetch-site")
  if site then
    return site == "same-origin" or site == "none"
  end
  return not origin or origin:lower() == (request.scheme .. "://" .. request.authority):lower()
end

local PROTECT_KNOWN <const> = { origins = "table" }

---@class moonwire.http.protect_options
---@field origins? string[] of other sites whose pages may send all the same; default: none

--- A middleware that refuses with 403 what pages of other sites make their
--- visitors send, by what browsers tell of it ("Sec-Fetch-Site", "Origin"): all
--- but GET, HEAD and OPTIONS, which therefore must not change anything.
---@param options? moonwire.http.protect_options
---@return moonwire.http.middleware
function cors.protect(options)
  check.options(options, PROTECT_KNOWN, 1, "protect")
  local trusted, problem = function() return false end, nil
  if options and options.origins then
    trusted, problem = read_origins(options.origins)
  end
  if not trusted then
    check.refuse(1, "protect", problem)
  end
  return function(next_handler)
    return function(request, response, ctx)
      if is_own(request, trusted) then
        return next_handler(request, response, ctx)
      end
      log.info("refused a request from a page of another site", {
        origin = request:header("origin"), path = request.path,
      })
      response:status(403)
      response:send("403: from a page of another site\n")
    end
  end
end

return cors
