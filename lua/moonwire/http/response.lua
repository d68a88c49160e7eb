--- The methods of responses that are written in Lua.
local check = require "moonwire.check"
local core = require "moonwire.core"
local statuses = require "moonwire.http.statuses"

---@class moonwire.http.response
local Response = core.http.response_methods

local TITLES <const> = {
  [400] = "not understood", [403] = "not allowed", [404] = "not found", [408] = "too slow",
  [409] = "exists already", [413] = "too large", [415] = "a type that is not taken",
  [500] = "an error of the server", [507] = "no room is left",
}

local REDIRECTS <const> = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

-- Modules are loaded when they are first asked for.
local function part(name)
  return require("moonwire.http." .. name)
end

local function set_status(self, status, position, name)
  if status ~= nil and (math.type(status) ~= "integer" or status < 200 or status > 599) then
    error(("bad argument #%d to '%s' (a status from 200 to 599 expected)"):format(position, name), 3)
  end
  if status then
    self:status(status)
  end
end

--- Sends a value as JSON. Raises for what JSON has not.
---@param value any
---@param status? integer default: as it was set, or 200
---@return true?
---@return string? err
---@return moonwire.code? code as of send
function Response:json(value, status)
  set_status(self, status, 2, "json")
  local ok, text = pcall(require("moonwire.json").encode, value)
  if not ok then
    check.refuse(1, "json", text:match("%((.*)%)$") or text)
  end
  return self:header("Content-Type", "application/json"):send(text)
end

--- Sends a page.
---@param text string HTML, with all that comes from elsewhere escaped: see moonwire.http.template
---@param status? integer default: as it was set, or 200
---@return true?
---@return string? err
---@return moonwire.code? code as of send
function Response:html(text, status)
  check.type(text, "string", 1, "html")
  set_status(self, status, 2, "html")
  return self:header("Content-Type", "text/html; charset=utf-8"):send(text)
end

--- Sends the client elsewhere. Raises for line ends and other bytes that no
--- address has; who sends it where a request says checks that first.
---@param location string a path such as "/login", or an address
---@param status? integer default 303: what follows is a GET. 307 and 308 keep method and body
---@return true?
---@return string? err
---@return moonwire.code? code as of send
function Response:redirect(location, status)
  check.type(location, "string", 1, "redirect")
  if location == "" or location:find("[^!-~]") then
    check.refuse(1, "redirect", "an address is ASCII without blanks and control bytes: use codec.url_encode")
  elseif status ~= nil and not REDIRECTS[status] then
    check.refuse(2, "redirect", "301, 302, 303, 307 or 308 expected")
  end
  return self:status(status or 303):header("Location", location):send()
end

--- Sends what went wrong as JSON (application/problem+json, RFC 9457).
---@param status integer
---@param title? string what happened, the same each time
---@param more? table<string, any> `detail`, `type`, `instance`, and others that a client may read
---@return true?
---@return string? err
---@return moonwire.code? code as of send
function Response:problem(status, title, more)
  check.type(status, "number", 1, "problem")
  check.type(title or "", "string", 2, "problem")
  check.type(more or {}, "table", 3, "problem")
  set_status(self, status, 1, "problem")
  local body = { status = status, title = title or TITLES[status] }
  for key, value in pairs(more or {}) do
    body[key] = value
  end
  local ok, text = pcall(require("moonwire.json").encode, body, { sorted = true })
  if not ok then
    check.refuse(3, "problem", text:match("%((.*)%)$") or text)
  end
  return self:header("Content-Type", "application/problem+json"):send(text)
end

--- Answers for a failure of reading a request: the code as a status, with a line
--- of text that tells nothing of the inside; err goes into the log.
---@param err string|moonwire.fault as a function has returned or raised it
---@param code? moonwire.code invalid 400, unsupported 415, too_large 413, timeout 408, …; others 500
---@return true?
---@return string? err
---@return moonwire.code? code as of send
function Response:refuse(err, code)
  local fault = core.is_fault(err)
  code = code or fault
  local status = statuses[code] or 500
  require("moonwire.log").info("refused a request", { status = status, err = tostring(err) })
  if self:is_started() then
    return nil, "closed", "closed"
  end
  self:header("Content-Type", "text/plain; charset=utf-8")
  return self:status(status):send(("%d: %s\n"):format(status, TITLES[status]))
end

-- A cookie is for https alone when the request came that way, unless the script says otherwise.
local function cookie_options(self, options)
  if options == nil or type(options) == "table" and options.secure == nil then
    return setmetatable({ secure = self:is_secure() }, { __index = options })
  end
  return options
end

-- Level 2 is the line that called the public function, which calls this last.
local function set_cookie(self, caller, text, ...)
  local ok, field = pcall(text, ...)
  if not ok then
    error((field:gsub("^.-'encode[%w_]*'", function(before)
      return before:match("bad argument #%d+ to ") .. "'" .. caller .. "'"
    end)), 2)
  end
  return self:add_header("Set-Cookie", field)
end

--- Sets a cookie. Raises for what browsers would drop.
---@param name string
---@param value string without blanks, quotes, commas, semicolons, backslashes: codec.url_encode makes it so
---@param options? moonwire.http.cookie_options
---@return moonwire.http.response self
function Response:cookie(name, value, options)
  return set_cookie(self, "cookie", part("cookie").encode, name, value, cookie_options(self, options))
end

--- Removes a cookie from the client.
---@param name string
---@param options? moonwire.http.cookie_options `path` and `domain` are those that it was set with
---@return moonwire.http.response self
function Response:clear_cookie(name, options)
  return set_cookie(self, "clear_cookie", part("cookie").encode_removal, name, cookie_options(self, options))
end

--- Begins a response of events, as an EventSource of a page reads them. A client
--- that comes again tells in the field "Last-Event-ID" which one it has seen last.
---@param options? moonwire.http.sse_options
---@return moonwire.http.events
function Response:sse(options)
  return part("sse").start(self, options)
end

return {}
