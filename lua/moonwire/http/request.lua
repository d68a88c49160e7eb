--- The methods of requests that are written in Lua.
local check = require "moonwire.check"
local core = require "moonwire.core"
local statuses = require "moonwire.http.statuses"

---@class moonwire.http.request
local Request = core.http.request_methods

local BODY_DEFAULT <const> = 1048576

-- Modules are loaded when they are first asked for.
local function part(name)
  return require("moonwire.http." .. name)
end

-- The media type of the body, if it is one of those that a function takes.
local function expect_type(self, is_taken, wanted)
  local kind = part("media").type_of(self:header("content-type"))
  if kind and is_taken(kind) then
    return true
  end
  return nil, ("read body: the content type is %s, not %s"):format(kind or "missing", wanted), "unsupported"
end

--- Names and values of its query (the text behind "?"), of which the first of
--- each name counts. Parsed at each call.
---@return table<string, string>? values empty when there is no query
---@return string? err
---@return moonwire.code? code "too_large": more than 1000
function Request:query_values()
  local values, lists, code = part("query").parse(self.query or "")
  if not values then
    return nil, lists --[[@as string]], code
  end
  return values
end

--- Names and values of its query, with all values of each name.
---@return table<string, string[]>? lists empty when there is no query
---@return string? err
---@return moonwire.code? code "too_large": more than 1000
function Request:query_lists()
  local values, lists, code = part("query").parse(self.query or "")
  if not values then
    return nil, lists --[[@as string]], code
  end
  return lists --[[@as table]]
end

local function is_form(kind)
  return kind == "application/x-www-form-urlencoded"
end

--- Reads the body as a form (application/x-www-form-urlencoded). Forms with files
--- are another type: request:parts().
---@param max? integer bytes at most; default 1048576
---@return table<string, string>? values the first of each name
---@return table<string, string[]>|string lists all of each name; or err
---@return moonwire.code? code "unsupported": another type; "too_large"; and as of read_all
function Request:form(max)
  if max ~= nil then
    check.count(max, 1, "form")
  end
  local ok, err, code = expect_type(self, is_form, "application/x-www-form-urlencoded")
  local body = nil
  if ok then
    body, err, code = self:read_all(max or BODY_DEFAULT)
  end
  if not body then
    return nil, err, code
  end
  return part("query").parse(body)
end

local function is_json(kind)
  return kind == "application/json" or kind:find("%+json$") ~= nil
end

--- Reads the body as JSON.
---@param max? integer bytes at most; default 1048576
---@return any value json.null for null, and false for false: compare with nil
---@return string? err with line and column
---@return moonwire.code? code "unsupported": another type; "invalid"; "too_large"; and as of read_all
function Request:json(max)
  if max ~= nil then
    check.count(max, 1, "json")
  end
  local ok, err, code = expect_type(self, is_json, "application/json")
  local body = nil
  if ok then
    body, err, code = self:read_all(max or BODY_DEFAULT)
  end
  if not body then
    return nil, err, code
  end
  local value
  value, err, code = require("moonwire.json").decode(body, { max = max or BODY_DEFAULT })
  return value, err, code
end

-- When the handler dies of what is wrong with the body, that is not the server's fault.
local function blame(self, code)
  local status = statuses[code]
  if status and status < 500 then
    core.http.blame(self, status)
  end
end

--- Iterates over the parts of a form with files (multipart/form-data), while the
--- body arrives. Raises faults: "unsupported" for a body of another type,
--- "invalid" for what is no such body, "too_large". A handler that lets them pass
--- is answered for with 415, 400 or 413.
---@param options? moonwire.http.multipart_options
---@return fun(): moonwire.http.part?
function Request:parts(options)
  local multipart = part "multipart"
  local boundary, err, code = multipart.boundary_of(self:header("content-type"))
  if not boundary then
    blame(self, code)
    error(core.fault(code, err), 0)
  end
  return multipart.parts(function()
    return self:read_some()
  end, boundary, setmetatable({ on_fault = function(fault)
    blame(self, fault)
  end }, { __index = options }))
end

--- Its cookies. Parsed at each call.
---@return table<string, string> values
function Request:cookies()
  return part("cookie").parse(self:header("cookie"))
end

--- One of its cookies.
---@param name string
---@return string? value
function Request:cookie(name)
  check.type(name, "string", 1, "cookie")
  return part("cookie").find(self:header("cookie"), name)
end

--- The one of several media types that the client would rather have (RFC 9110
--- §12.5.1).
---@param ... string media types, the best first
---@return string? offer nil: it takes none of them
function Request:accepts(...)
  return part("media").choose(self:header("accept"), { ... })
end

return {}
