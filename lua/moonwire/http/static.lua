--- Files of a folder, for clients. Only what is below the folder and a regular file is ever opened.
---
---     return http.service(assert(http.static "/srv/www"))
local check = require "moonwire.check"
local codec = require "moonwire.codec"
local encoding = require "moonwire.http.encoding"
local file = require "moonwire.file"
local listing = require "moonwire.http.listing"
local log = require "moonwire.log"
local mime = require "moonwire.http.mime"
local sending = require "moonwire.http.sending"

local static = {}

---@class moonwire.http.static_options
--- Names that stand for a folder, the first that is there; false: none. Default: "index.html".
---@field index? string|string[]|false
---@field listing? boolean whether a folder without such a file is shown as a list; default false
--- Whether names that begin with a dot are files as others; default false: they are not there, but for
--- ".well-known".
---@field dot_files? boolean
---@field links? boolean whether symbolic links that stay below the folder are followed; default true
---@field types? table<string, string> media types by the ends of names, as { foo = "application/foo" }
--- Whether a file NAME.br or NAME.gz beside a text is sent for it to clients that take it; default false.
---@field precompressed? boolean
--- The field Cache-Control: "public, max-age=3600", or a function that is given the name and returns it
--- or nil. Default: none.
---@field cache_control? string|fun(name: string): string?
---@field disposition? "inline"|"attachment" Content-Disposition, with the name of the file; default: none
--- A file that is sent where there is none and the last part of the path has no dot, as for pages that a
--- script makes in the browser.
---@field fallback? string
--- Whether clients that want it (Want-Repr-Digest) are told the SHA-256 of a file, which is read for that;
--- default false.
---@field digest? boolean
---@field not_found? moonwire.http.handler answers for what is not there; default: 404 with a line of text
--- Answers in place of a line of text with what is refused; the status is set: 400, 403, 404, 405, 500, 503.
---@field refuse? fun(request: moonwire.http.request, response: moonwire.http.response, status: integer)
---@field ranges_max? integer parts of a file that one request may ask for; default 16; past it all is sent

local KNOWN <const> = {
  index = true, listing = "boolean", dot_files = "boolean", links = "boolean", types = "table",
  precompressed = "boolean", cache_control = true, disposition = { inline = true, attachment = true },
  fallback = "string", digest = "boolean", not_found = "function", refuse = "function",
  ranges_max = "integer",
}
local RANGES_DEFAULT <const> = 16
local OPEN <const> = { status = true }
local CODINGS <const> = { "br", "gzip" }
local ENDINGS <const> = { br = ".br", gzip = ".gz" }

-- What a file that cannot be had is answered with.
local STATUSES <const> = {
  not_found = 404, invalid = 404, denied = 403, too_large = 403,
  descriptors = 503, full = 503, memory = 503, closed = 503,
}
local TEXTS <const> = {
  [400] = "Bad Request\n", [403] = "Forbidden\n", [404] = "Not Found\n",
  [405] = "Method Not Allowed\n", [500] = "Internal Server Error\n", [503] = "Service Unavailable\n",
}

---@class moonwire.http.site
---@field root moonwire.folder
---@field settings moonwire.http.static_options
---@field index string[]
---@field kept moonwire.http.kept

local function refuse(site, request, response, status)
  response:status(status)
  if site.settings.refuse then
    return site.settings.refuse(request, response, status)
  end
  response:header("Content-Type", "text/plain; charset=utf-8")
  response:send(TEXTS[status])
end

local function is_shown(site, name)
  return site.settings.dot_files or name:sub(1, 1) ~= "." or name == ".well-known"
end

local function is_hidden(site, name)
  if site.settings.dot_files or not name:find(".", 1, true) then
    return false
  end
  for segment in name:gmatch("[^/]+") do
    if not is_shown(site, segment) then
      return true
    end
  end
  return false
end

--- A file that is open, and what is told of it.
---@class moonwire.http.found
---@field file moonwire.file
---@field status moonwire.file_status
---@field name string
---@field kind string its media type
---@field coding? string it is in
---@field digest? boolean whether clients may ask for it
---@field varies boolean another client may get it in another coding
---@field facts? moonwire.http.facts
---@field begun? boolean the fields of all of it are set

-- The file in a coding that the client takes; nil when there is none beside it.
local function open_coded(site, request, name, found)
  local accept, left = request:header "Accept-Encoding", table.move(CODINGS, 1, #CODINGS, 1, {})
  local coding = encoding.choose(accept, left)
  while coding do
    local opened, status = site.root:open(name .. ENDINGS[coding], "read", OPEN)
    if opened then
      found.file, found.status, found.coding = opened, status, coding
      return found
    end
    for i = #left, 1, -1 do
      if left[i] == coding then
        table.remove(left, i)
      end
    end
    coding = encoding.choose(accept, left)
  end
end

---@return moonwire.http.found?
---@return string? err
---@return moonwire.code? code
local function open(site, request, name)
  local facts = site.kept.facts[name]
  local kind = facts and facts.kind or mime.type_of(name, site.settings.types)
  local found = { name = name, kind = kind, varies = false, digest = site.settings.digest,
    -- and room for what comes
    file = nil, status = nil, facts = nil, begun = nil }
  if site.settings.precompressed and mime.is_compressible(kind) then
    found.varies = true
    if open_coded(site, request, name, found) then
      return found
    end
  end
  local opened, status, code = site.root:open(name, "read", OPEN)
  if not opened then
    return nil, status, code
  end
  found.file, found.status = opened, status
  return found
end

local function open_index(site, request, folder)
  local err, code = "not_found", "not_found"
  for _, name in ipairs(site.index) do
    local found
    found, err, code = open(site, request, folder .. name)
    if found or code ~= "not_found" then
      return found, err, code
    end
  end
  return nil, err, code
end

-- Below "/", whatever stands in the name.
local function to_target(path)
  return (path:gsub("[^/]+", function(segment)
    return codec.url_encode(segment)
  end))
end

local function redirect(request, response)
  local query = request.query
  response:status(308):header("Location", to_target(request.path) .. "/" .. (query and "?" .. query or ""))
  response:send ""
end

local function list(site, request, response, folder)
  local entries, err, code = site.root:list(folder == "" and "." or folder)
  if not entries then
    return nil, err, code
  end
  response:header("Content-Type", "text/html; charset=utf-8")
  response:header("X-Content-Type-Options", "nosniff")
  response:send(listing.page(request.path, entries, function(name)
    return is_shown(site, name)
  end))
  return true
end

local function send(site, request, response, found)
  local _ <close> = found.file
  local settings = site.settings
  sending.begin(request, response, found, site.kept)
  local control = settings.cache_control
  if control then
    response:header("Cache-Control", type(control) == "string" and control or control(found.name))
  end
  if found.varies then
    encoding.vary(response, "Accept-Encoding")
  end
  if settings.disposition then
    response:header("Content-Disposition", sending.disposition(settings.disposition, found.name))
  end
  local ok, err = sending.send(request, response, found, settings.ranges_max or RANGES_DEFAULT)
  if not ok and err == "eof" then
    log.warn("a file became shorter while it was sent", { file = found.name })
  end
end

-- What is there for a path without a file.
local function answer_missing(site, request, response, ctx, name, err, code)
  local status = STATUSES[code] or 500
  local fallback = site.settings.fallback
  if status == 404 and fallback and not name:find("%.[^/]*$") then
    local found
    found, err, code = open(site, request, fallback)
    if found then
      return send(site, request, response, found)
    end
    status = STATUSES[code] or 500
  end
  if status == 404 and site.settings.not_found then
    return site.settings.not_found(request, response, ctx)
  elseif status >= 500 then
    log.error("a file could not be opened", { file = name, err = err })
  end
  return refuse(site, request, response, status)
end

local function answer_folder(site, request, response, ctx, name)
  local found, err, code = open_index(site, request, name)
  if found then
    return send(site, request, response, found)
  elseif site.settings.listing and code == "not_found" then
    local listed
    listed, err, code = list(site, request, response, name)
    if listed then
      return
    end
  end
  return answer_missing(site, request, response, ctx, name, err, code)
end

local function answer_file(site, request, response, ctx, name)
  local found, err, code = open(site, request, name)
  if found then
    return send(site, request, response, found)
  elseif code == "invalid" then
    local status = site.root:stat(name)
    if status and status.kind == "folder" then
      return redirect(request, response)
    end
  end
  return answer_missing(site, request, response, ctx, name, err, code)
end

-- The name below the folder: what a router has left of the path, or all of it.
local function name_of(request, path)
  local parameters = request.parameters
  return ((parameters and parameters.path or path):gsub("^/+", ""))
end

local function answer(site, request, response, ctx)
  local method, path = request.method, request.path
  local name = name_of(request, path)
  if method ~= "GET" and method ~= "HEAD" then
    response:header("Allow", "GET, HEAD")
    return refuse(site, request, response, 405)
  elseif path == "" then -- it could not be decoded
    return refuse(site, request, response, 400)
  elseif is_hidden(site, name) then
    return answer_missing(site, request, response, ctx, name, "not_found", "not_found")
  elseif name == "" or name:sub(-1) == "/" then
    return answer_folder(site, request, response, ctx, name)
  end
  return answer_file(site, request, response, ctx, name)
end

local function read_index(index, position)
  if index == nil then
    return { "index.html" }
  elseif index == false then
    return {}
  end
  local names = type(index) == "string" and { index } or index
  if type(names) ~= "table" then
    error(("bad argument #%d to 'new' (option 'index': string, list of strings or false expected, got %s)")
      :format(position, type(index)), 3)
  end
  return table.move(names, 1, #names, 1, {})
end

local function check_control(control)
  if control ~= nil and type(control) ~= "string" and type(control) ~= "function" then
    error(("bad argument #2 to 'new' (option 'cache_control': string or function expected, got %s)")
      :format(type(control)), 3)
  end
end

--- A handler that answers with the files of a folder, by the path of the request, or by what a router has
--- left of it in the parameter `path`.
---@param root string|moonwire.folder
---@param options? moonwire.http.static_options
---@return moonwire.http.handler? handler
---@return string? err
---@return moonwire.code? code as of file.root
function static.new(root, options)
  check.options(options, KNOWN, 2, "new")
  options = options or {}
  check_control(options.cache_control)
  local site = { settings = options, index = read_index(options.index, 2), root = root,
    kept = sending.new_kept() }
  if type(root) == "string" then
    local folder, err, code = file.root(root, { links = options.links })
    if not folder then
      return nil, err, code
    end
    site.root = folder:keep()
  end
  return function(request, response, ctx)
    return answer(site, request, response, ctx)
  end
end

return static
