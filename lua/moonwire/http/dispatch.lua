--- What a router does with a request: the route that answers it, behind its
--- middleware, or an answer of the router's own. Not for scripts.
local codec = require "moonwire.codec"

local dispatch = {}

-- Grows with every middleware that is added anywhere: functions are put together anew then.
local edition = 0

--- A middleware was added.
function dispatch.renew()
  edition = edition + 1
end

local function send_text(status, text)
  return function(_, response)
    response:status(status):header("Content-Type", "text/plain; charset=utf-8")
    response:send(text)
  end
end

local NOT_FOUND <const> = send_text(404, "404: not found\n")
local NOT_ALLOWED <const> = send_text(405, "405: method not allowed\n")

local function send_options(_, response)
  response:status(204)
  response:send()
end

--- A handler behind middleware, the first one outermost.
---@param handler moonwire.http.handler
---@param middleware moonwire.http.middleware[]
---@return moonwire.http.handler
function dispatch.wrap(handler, middleware)
  for i = #middleware, 1, -1 do
    handler = middleware[i](handler)
    if type(handler) ~= "function" then
      error(("a middleware returns a function, not a %s"):format(type(handler)), 0)
    end
  end
  return handler
end

-- What stands in the tree: a handler, and the routers whose middleware stands before it, the innermost first.
---@class moonwire.http.entry
---@field handler moonwire.http.handler
---@field owners moonwire.http.router[]
---@field call? moonwire.http.handler put together
---@field edition? integer

local function call_of(entry)
  if entry.edition ~= edition then
    local call = entry.handler
    for _, owner in ipairs(entry.owners) do
      call = dispatch.wrap(call, owner.middleware)
    end
    entry.call, entry.edition = call, edition
  end
  return entry.call
end

-- The methods of leaves, for the field "Allow".
local function allowed(leaves)
  local has, names = { OPTIONS = true }, {}
  for _, leaf in ipairs(leaves) do
    for method in pairs(leaf.routes) do
      has[method] = true
    end
  end
  has.HEAD = has.HEAD or has.GET
  for method in pairs(has) do
    names[#names + 1] = method
  end
  table.sort(names)
  return table.concat(names, ", ")
end

-- The path with the slash at its end that it has not, or without; nil when there is no route for that either.
local function other_path(routes, method, path)
  local other = path:sub(-1) == "/" and path:sub(1, -2) or path .. "/"
  if other ~= "" and other:sub(1, 2) ~= "//" and routes:find(method, other) then
    return (other:gsub("[^/]+", codec.url_encode))
  end
end

local function redirect(path)
  return function(request, response)
    response:status(308):header("Location", request.query and path .. "?" .. request.query or path)
    response:send()
  end
end

-- For a path that nothing has.
local function answer_unknown(router, method, path)
  local settings = router.settings
  local location = settings.slash == "redirect" and (method == "GET" or method == "HEAD")
    and other_path(router.tree, method, path)
  return location and redirect(location) or settings.not_found or NOT_FOUND
end

-- For a method that the path has not: behind the middleware of the routes that the path has.
local function answer_method(router, method, leaves)
  local leaf = leaves[1]
  local kind = method == "OPTIONS" and "options" or "refusal"
  if not leaf[kind] then
    local _, entry = next(leaf.routes)
    local handler = kind == "options" and send_options or router.settings.not_allowed or NOT_ALLOWED
    leaf[kind] = { handler = handler, owners = entry.owners }
  end
  return call_of(leaf[kind])
end

local function answer_otherwise(router, method, path, response)
  local leaves = router.tree:leaves(path)
  if not leaves[1] then
    return answer_unknown(router, method, path)
  end
  response:header("Allow", allowed(leaves))
  return answer_method(router, method, leaves)
end

-- The function that the middleware of the router itself stands before.
local function answer(router)
  local routes = router.tree
  return function(request, response, ctx)
    local method, path = request.method, request.path
    local entry, parameters = routes:find(method, path)
    if not entry then
      return answer_otherwise(router, method, path, response)(request, response, ctx)
    end
    if parameters then
      request.parameters = parameters
    end
    local call = entry.edition == edition and entry.call or call_of(entry)
    return call(request, response, ctx)
  end
end

--- The function that answers the requests of a router that serves.
---@param router moonwire.http.router
---@return moonwire.http.handler
function dispatch.handler(router)
  local call, made
  return function(request, response, ctx)
    if made ~= edition then
      call, made = dispatch.wrap(answer(router), router.middleware), edition
    end
    return call(request, response, ctx)
  end
end

return dispatch
