--- Routers: which function answers a request, by its method and path.
---
---     local app = router.new()
---     app:get("/users/:id<integer>", function(request, response)
---       response:json(find_user(request.parameters.id))
---     end)
---     return http.service(app:handler())
local check = require "moonwire.check"
local codec = require "moonwire.codec"
local dispatch = require "moonwire.http.dispatch"
local pattern = require "moonwire.http.pattern"
local tree = require "moonwire.http.tree"

local router = {}

---@alias moonwire.http.middleware fun(next: moonwire.http.handler): moonwire.http.handler

---@class moonwire.http.router_options
--- Answers requests for paths that no route has; default: 404 with a line of text.
---@field not_found? moonwire.http.handler
--- Answers requests with a method that no route of the path has; the field "Allow" is set then. Default:
--- 405 with a line of text.
---@field not_allowed? moonwire.http.handler
--- What becomes of a path that has a slash at its end too many or too few. "strict", the default: it is
--- another path. "redirect": GET and HEAD are answered with 308 and the path that there is a route for.
---@field slash? "strict"|"redirect"
--- More kinds of parameters by name: functions that get the text and return the value, or nil when it is
--- none. They must not wait.
---@field kinds? table<string, fun(text: string): any>

local KNOWN <const> = {
  not_found = "function", not_allowed = "function", kinds = "table",
  slash = { strict = true, redirect = true },
}
local KINDS <const> = {
  integer = function(text)
    return #text <= 18 and text:find("^%d+$") and math.tointeger(tonumber(text)) or nil
  end,
  hex = function(text)
    return text:find("^%x+$") and text or nil
  end,
}

-- What was defined, as it is told to the routers that this one is mounted into.
---@class moonwire.http.definition
---@field method string
---@field text string the pattern
---@field handler moonwire.http.handler
---@field kinds table<string, moonwire.http.kind>

---@class moonwire.http.router
---@field private tree moonwire.http.tree
---@field private middleware moonwire.http.middleware[]
---@field private parents { router: moonwire.http.router, prefix: string }[] into which this one is mounted
---@field private children { router: moonwire.http.router, prefix: string }[]
---@field private definitions moonwire.http.definition[] in their order
---@field private named table<string, moonwire.http.route>
---@field private kinds table<string, moonwire.http.kind>
---@field private settings moonwire.http.router_options
---@field private own_handler? moonwire.http.handler
local Router = { __name = "moonwire.http.router" }
Router.__index = Router

---@class moonwire.http.route
---@field private owner moonwire.http.router
---@field private segments moonwire.http.segment[]
local Route = { __name = "moonwire.http.route" }
Route.__index = Route

local function read_kinds(own)
  local kinds = {}
  for name, read in pairs(KINDS) do
    kinds[name] = read
  end
  for name, read in pairs(own or {}) do
    kinds[name] = read
  end
  return kinds
end

--- A router without routes.
---@param options? moonwire.http.router_options
---@return moonwire.http.router
function router.new(options)
  check.options(options, KNOWN, 1, "new")
  return setmetatable({
    tree = tree.new(), middleware = {}, parents = {}, children = {}, definitions = {}, named = {},
    kinds = read_kinds(options and options.kinds), settings = options or {},
  }, Router)
end

local function with(list, last)
  local longer = table.move(list, 1, #list, 1, {})
  longer[#longer + 1] = last
  return longer
end

-- Adds a route to a router and to those that it is mounted into. `owners`: those whose middleware stands
-- before it, the innermost first. Returns what is wrong.
local function add(self, definition, prefix, owners)
  local text = prefix .. definition.text
  local segments, problem = pattern.parse(text)
  for _, segment in ipairs(segments or {}) do
    if segment.kind and not definition.kinds[segment.kind] then
      return ("the pattern '%s': no kind '%s' of parameters"):format(text, segment.kind)
    end
  end
  if segments then
    local entry = { handler = definition.handler, owners = owners }
    problem = self.tree:add(text, segments, definition.kinds, definition.method, entry)
  end
  for _, parent in ipairs(problem and {} or self.parents) do
    problem = problem or add(parent.router, definition, parent.prefix .. prefix, with(owners, self))
  end
  return problem
end

local function define(self, method, text, handler)
  local definition = { method = method, text = text, handler = handler, kinds = self.kinds }
  local problem = add(self, definition, "", {})
  table.insert(self.definitions, definition)
  return problem
end

-- For a function that takes middleware and a handler behind its argument `position`, and that calls this
-- last: level 2 is its own caller.
local function define_for_caller(self, name, method, text, position, ...)
  local handlers = table.pack(...)
  for i = 1, math.max(handlers.n, 1) do
    if type(handlers[i]) ~= "function" then
      local problem = "bad argument #%d to '%s' (function expected, got %s)"
      error(problem:format(i + position, name, type(handlers[i])), 2)
    end
  end
  local problem = define(self, method, text, dispatch.wrap(table.remove(handlers), handlers))
  if problem then
    error(("bad argument #%d to '%s' (%s)"):format(position, name, problem), 2)
  end
  return setmetatable({ owner = self, segments = pattern.parse(text) }, Route)
end

--- Adds a route for GET, and for HEAD unless there is one for it.
---@param path string the pattern: "/users/:id", "/users/:id<integer>", "/files/*path"
---@param ... function middleware for this route, then its handler
---@return moonwire.http.route
function Router:get(path, ...)
  check.object(self, Router, "get")
  check.type(path, "string", 1, "get")
  return define_for_caller(self, "get", "GET", path, 1, ...)
end

--- Adds a route for POST.
---@param path string the pattern: "/users/:id", "/users/:id<integer>", "/files/*path"
---@param ... function middleware for this route, then its handler
---@return moonwire.http.route
function Router:post(path, ...)
  check.object(self, Router, "post")
  check.type(path, "string", 1, "post")
  return define_for_caller(self, "post", "POST", path, 1, ...)
end

--- Adds a route for PUT.
---@param path string the pattern: "/users/:id", "/users/:id<integer>", "/files/*path"
---@param ... function middleware for this route, then its handler
---@return moonwire.http.route
function Router:put(path, ...)
  check.object(self, Router, "put")
  check.type(path, "string", 1, "put")
  return define_for_caller(self, "put", "PUT", path, 1, ...)
end

--- Adds a route for DELETE.
---@param path string the pattern: "/users/:id", "/users/:id<integer>", "/files/*path"
---@param ... function middleware for this route, then its handler
---@return moonwire.http.route
function Router:delete(path, ...)
  check.object(self, Router, "delete")
  check.type(path, "string", 1, "delete")
  return define_for_caller(self, "delete", "DELETE", path, 1, ...)
end

--- Adds a route for PATCH.
---@param path string the pattern: "/users/:id", "/users/:id<integer>", "/files/*path"
---@param ... function middleware for this route, then its handler
---@return moonwire.http.route
function Router:patch(path, ...)
  check.object(self, Router, "patch")
  check.type(path, "string", 1, "patch")
  return define_for_caller(self, "patch", "PATCH", path, 1, ...)
end

--- Adds a route for HEAD, which GET answers otherwise.
---@param path string the pattern: "/users/:id", "/users/:id<integer>", "/files/*path"
---@param ... function middleware for this route, then its handler
---@return moonwire.http.route
function Router:head(path, ...)
  check.object(self, Router, "head")
  check.type(path, "string", 1, "head")
  return define_for_caller(self, "head", "HEAD", path, 1, ...)
end

--- Adds a route for OPTIONS, which the router answers otherwise.
---@param path string the pattern: "/users/:id", "/users/:id<integer>", "/files/*path"
---@param ... function middleware for this route, then its handler
---@return moonwire.http.route
function Router:options(path, ...)
  check.object(self, Router, "options")
  check.type(path, "string", 1, "options")
  return define_for_caller(self, "options", "OPTIONS", path, 1, ...)
end

--- Adds a route for all methods that the path has no route for.
---@param path string the pattern: "/users/:id", "/users/:id<integer>", "/files/*path"
---@param ... function middleware for this route, then its handler
---@return moonwire.http.route
function Router:any(path, ...)
  check.object(self, Router, "any")
  check.type(path, "string", 1, "any")
  return define_for_caller(self, "any", "ANY", path, 1, ...)
end

--- Adds a route for any method, also one that HTTP does not know.
---@param method string in capitals: "PROPFIND"
---@param path string the pattern
---@param ... function middleware for this route, then its handler
---@return moonwire.http.route
function Router:route(method, path, ...)
  check.object(self, Router, "route")
  check.type(method, "string", 1, "route")
  check.type(path, "string", 2, "route")
  if not method:find("^[%u%d!#$%%&'*+.^_`|~-]+$") then
    check.refuse(1, "route", ("no method in capitals: '%s'"):format(method))
  end
  return define_for_caller(self, "route", method, path, 2, ...)
end

--- Puts middleware before all routes, also those that were there before, in the
--- order in which it is added. That of a router which serves is called for every
--- request, that of one which is mounted for its own routes only.
---@param middleware moonwire.http.middleware
---@return moonwire.http.router self
function Router:use(middleware)
  check.object(self, Router, "use")
  check.callable(middleware, 1, "use")
  table.insert(self.middleware, middleware)
  dispatch.renew()
  return self
end

local function check_prefix(prefix, name)
  check.type(prefix, "string", 1, name)
  local segments, problem = pattern.parse(prefix)
  if not segments then
    error(("bad argument #1 to '%s' (%s)"):format(name, problem), 3)
  elseif prefix:sub(-1) == "/" or segments[#segments].is_rest then
    local text = "bad argument #1 to '%s' (the prefix '%s' ends with a slash or a wildcard)"
    error(text:format(name, prefix), 3)
  end
end

local function is_within(self, other)
  if self == other then
    return true
  end
  for _, parent in ipairs(self.parents) do
    if is_within(parent.router, other) then
      return true
    end
  end
  return false
end

-- Tells of every definition, also those of routers that are mounted, with its prefix and owners.
local function each_definition(self, prefix, owners, visit)
  local all = table.move(owners, 1, #owners, 2, { self })
  for _, definition in ipairs(self.definitions) do
    visit(definition, prefix, all)
  end
  for _, child in ipairs(self.children) do
    each_definition(child.router, prefix .. child.prefix, all, visit)
  end
end

-- What is wrong with it.
local function mount_router(self, prefix, other)
  local problem
  each_definition(other, prefix, {}, function(definition, whole, owners)
    problem = problem or add(self, definition, whole, owners)
  end)
  table.insert(other.parents, { router = self, prefix = prefix })
  table.insert(self.children, { router = other, prefix = prefix })
  return problem
end

--- Puts the routes of another router below a prefix, also those that it gets
--- later; or gives a handler all that is below it, with the rest of the path in
--- request.parameters.path.
---@param prefix string "/api"; may have parameters
---@param other moonwire.http.router|moonwire.http.handler
---@return moonwire.http.router self
function Router:mount(prefix, other)
  check.object(self, Router, "mount")
  check_prefix(prefix, "mount")
  local problem
  if type(other) == "function" then
    problem = define(self, "ANY", prefix .. "/*path", other)
  elseif getmetatable(other) == Router and not is_within(self, other) then
    problem = mount_router(self, prefix, other)
  else
    check.refuse(2, "mount", "a function, or a router that this one is not part of, expected")
  end
  if problem then
    check.refuse(1, "mount", problem)
  end
  return self
end

--- A new router that is mounted below a prefix.
---@param prefix string
---@param ... moonwire.http.middleware for its routes
---@return moonwire.http.router
function Router:group(prefix, ...)
  check.object(self, Router, "group")
  check_prefix(prefix, "group")
  local group = router.new { kinds = self.kinds }
  for i = 1, select("#", ...) do
    check.callable(select(i, ...), i + 1, "group")
    group:use((select(i, ...)))
  end
  self:mount(prefix, group)
  return group
end

--- Names a route, for url().
---@param name string one in its router
---@return moonwire.http.route self
function Route:name(name)
  check.object(self, Route, "name")
  check.type(name, "string", 1, "name")
  if self.owner.named[name] then
    check.refuse(1, "name", ("there is a route '%s' already"):format(name))
  end
  self.owner.named[name] = self
  return self
end

-- The segments of a route, with those of the prefixes that it is mounted below.
local function find_named(self, name)
  local route = self.named[name]
  if route then
    return route.segments
  end
  for _, child in ipairs(self.children) do
    local segments = find_named(child.router, name)
    if segments then
      local all = pattern.parse(child.prefix)
      return table.move(segments, 1, #segments, #all + 1, all)
    end
  end
end

--- The path of a named route, also of a router that is mounted into this one,
--- with percent encoding. Raises when there is no such route, when a parameter is
--- missing, or when it cannot stand in a path: empty, ".", "..", or with a slash.
---@param name string
---@param parameters? table<string, any> of the pattern
---@param query? table<string, any> what stands behind the "?", as of codec.form_encode
---@return string
function Router:url(name, parameters, query)
  check.object(self, Router, "url")
  check.type(name, "string", 1, "url")
  local segments = find_named(self, name)
  if not segments then
    check.refuse(1, "url", ("no route '%s'"):format(name))
  end
  check.type(parameters or {}, "table", 2, "url")
  check.type(query or {}, "table", 3, "url")
  local path, problem = pattern.write(segments, parameters or {})
  if not path then
    check.refuse(2, "url", problem)
  end
  local text = query and codec.form_encode(query) or ""
  return text == "" and path or path .. "?" .. text
end

--- The function that answers requests: what http.serve and http.service take.
--- What is added to the router later counts too.
---@return moonwire.http.handler
function Router:handler()
  check.object(self, Router, "handler")
  return dispatch.handler(self)
end

--- Answers a request, as its handler does.
function Router:__call(request, response, ctx)
  self.own_handler = self.own_handler or dispatch.handler(self)
  return self.own_handler(request, response, ctx)
end

return router
