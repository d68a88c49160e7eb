--- The tree in which a router finds the route of a path: a step for each segment.
--- Paths without parameters are found in one table. Not for scripts.
local pattern = require "moonwire.http.pattern"

---@alias moonwire.http.kind fun(text: string): any the value of a parameter; nil: it is none

-- What is at the end of a pattern: handlers by method, "ANY" for the others.
---@class moonwire.http.leaf
---@field names string[] of the parameters
---@field routes table<string, table>

---@class moonwire.http.node
---@field leaf? moonwire.http.leaf
---@field texts table<string, moonwire.http.node>
---@field kinds { name: string, read: moonwire.http.kind, node: moonwire.http.node }[]
---@field parameter? moonwire.http.node
---@field rest? moonwire.http.leaf

---@class moonwire.http.tree
---@field private paths table<string, moonwire.http.leaf>
---@field private root moonwire.http.node
local Tree = {}
Tree.__index = Tree

local tree = {}

local find_text <const>, sub <const> = string.find, string.sub

local function new_node()
  return { texts = {}, kinds = {} }
end

--- An empty tree.
---@return moonwire.http.tree
function tree.new()
  return setmetatable({ paths = {}, root = new_node() }, Tree)
end

local function node_of_kind(node, name, read)
  for _, entry in ipairs(node.kinds) do
    if entry.name == name and entry.read == read then
      return entry.node
    end
  end
  local entry = { name = name, read = read, node = new_node() }
  table.insert(node.kinds, entry)
  return entry.node
end

local function step(node, segment, kinds)
  if segment.text then
    node.texts[segment.text] = node.texts[segment.text] or new_node()
    return node.texts[segment.text]
  elseif segment.kind then
    return node_of_kind(node, segment.kind, kinds[segment.kind])
  end
  node.parameter = node.parameter or new_node()
  return node.parameter
end

local function leaf_of(self, text, segments, kinds)
  if pattern.is_static(segments) then
    self.paths[text] = self.paths[text] or { names = {}, routes = {} }
    return self.paths[text]
  end
  local node, names, key = self.root, {}, "leaf"
  for _, segment in ipairs(segments) do
    names[#names + 1] = segment.name
    if segment.is_rest then
      key = "rest"
    else
      node = step(node, segment, kinds)
    end
  end
  node[key] = node[key] or { names = names, routes = {} }
  return node[key], names
end

--- Adds a route.
---@param text string the pattern
---@param segments moonwire.http.segment[]
---@param kinds table<string, moonwire.http.kind> all that the pattern names
---@param method string
---@param route table
---@return string? problem nil: it was added
function Tree:add(text, segments, kinds, method, route)
  local leaf, names = leaf_of(self, text, segments, kinds)
  local others = table.concat(leaf.names, ", ")
  if leaf.routes[method] then
    return ("%s %s: there is a route for the same paths already"):format(method, text)
  elseif names and table.concat(names, ", ") ~= others then
    return ("%s %s: another route for the same paths calls its parameters %s"):format(method, text, others)
  end
  leaf.routes[method] = route
end

-- With a method: whether the leaf has a route for it. Without: notes the leaf in `list`, and looks further.
local function is_taken(leaf, method, list)
  if method then
    local routes = leaf.routes
    return routes[method] or method == "HEAD" and routes.GET or routes.ANY
  end
  list[#list + 1] = leaf
end

local find

-- `at` is behind the slash of the segment that the node's children are compared with; `count`: parameters
-- so far.
local function descend(node, path, at, count, method, list)
  local slash = find_text(path, "/", at, true)
  local segment = sub(path, at, slash and slash - 1)
  local after = slash and slash + 1
  local child = node.texts[segment]
  local route, values, names
  if child then
    route, values, names = find(child, path, after, count, method, list)
  end
  for i = 1, route and 0 or segment ~= "" and #node.kinds or 0 do
    local entry = node.kinds[i]
    local value = entry.read(segment)
    if value ~= nil then
      route, values, names = find(entry.node, path, after, count + 1, method, list)
    end
    if route then
      values[names[count + 1]] = value
      return route, values, names
    end
  end
  if not route and node.parameter and segment ~= "" then
    route, values, names = find(node.parameter, path, after, count + 1, method, list)
    if route then
      values[names[count + 1]] = segment
    end
  end
  return route, values, names
end

-- `at` is nil behind the last segment. Returns the route, and a table for the parameters with their names.
function find(node, path, at, count, method, list)
  local route, values, names
  if at then
    route, values, names = descend(node, path, at, count, method, list)
  elseif node.leaf then
    route, values, names = is_taken(node.leaf, method, list), {}, node.leaf.names
  end
  if not route and at and node.rest then
    route, names = is_taken(node.rest, method, list), node.rest.names
    values = route and { [names[count + 1]] = path:sub(at) }
  end
  return route, values, names
end

--- The route for a method and a path.
---@param method string "HEAD": one of "GET" does too
---@param path string decoded
---@return table? route
---@return table<string, any>? parameters nil when the pattern has none
function Tree:find(method, path)
  local leaf = self.paths[path]
  local route = leaf and is_taken(leaf, method)
  if route then
    return route
  end
  local parameters
  route, parameters = find(self.root, path, 2, 0, method)
  return route or nil, route and parameters or nil
end

--- All that there is for a path, whatever the method.
---@param path string decoded
---@return moonwire.http.leaf[] leaves the nearest first
function Tree:leaves(path)
  local list = { self.paths[path] }
  find(self.root, path, 2, 0, nil, list)
  return list
end

return tree
