--- A request as it will be sent: what its options come to. Not for scripts.
local body = require "moonwire.http.body"
local codec = require "moonwire.codec"
local core = require "moonwire.core"
local dial = require "moonwire.http.dial"
local field = require "moonwire.http.field"
local proxy_choice = require "moonwire.http.proxy_choice"
local settings = require "moonwire.http.settings"
local url = require "moonwire.http.url"

local plan = {}

-- Methods that may be sent again when nobody knows whether they arrived (RFC 9110 section 9.2.2).
local IDEMPOTENT <const> = { GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true,
  TRACE = true }
local EXPECTS_BODY <const> = { POST = true, PUT = true, PATCH = true }

local function add_defaults(made, chosen, content_type)
  local fields = made.fields
  fields["user-agent"] = { "User-Agent", chosen.agent }
  fields.accept = { "Accept", "*/*" }
  if chosen.compression and core.coding then
    fields["accept-encoding"] = { "Accept-Encoding", "gzip, br" }
  end
  if content_type then
    fields["content-type"] = { "Content-Type", content_type }
  end
  local credentials = dial.basic(made.url)
  if credentials then
    fields.authorization = { "Authorization", credentials }
  end
end

-- Options with a value of their own for each request.
local function read_body(made, chosen)
  local content_type, problem
  made.body, content_type, problem = body.read(chosen)
  if problem then
    return problem
  end
  if chosen.expect_continue and made.body and (made.body.size or 0) >= chosen.expect_continue then
    made.expects_continue = true
  end
  add_defaults(made, chosen, content_type)
end

local function add_query(made, query)
  if query then
    local more = codec.form_encode(query)
    made.url.query = made.url.query and made.url.query .. "&" .. more or more
  end
end

local COPIED <const> = { "redirects", "insecure_redirects", "body_max", "retries", "stream", "address",
  "upgrade", "on_interim", "tls", "connection", "read_timeout", "connect_timeout", "proxy", "no_proxy",
  "timeout", "compression" }

--- Reads what a script asks for.
---@param client table its settings
---@param options table
---@return table? made nil with `problem`: misuse; with `err`: the URL is bad
---@return string? problem
---@return string? err
function plan.new(client, options)
  local chosen, problem = settings.of_request(client, options)
  if not chosen then
    return nil, problem
  end
  local method = chosen.method or "GET"
  if not field.is_token(method) or method == "CONNECT" then
    return nil, ("option 'method': %q is none that can be sent"):format(method)
  elseif type(chosen.url) ~= "string" then
    return nil, "the option 'url' is missing"
  end
  local to, err = url.parse(chosen.url)
  if not to then
    return nil, nil, err
  end
  local made = { method = method, url = to, fields = {}, hops = 0,
    limits = { head_max = chosen.head_max, fields_max = chosen.fields_max } }
  for _, key in ipairs(COPIED) do
    made[key] = chosen[key]
  end
  made.redirects = chosen.redirects or 0
  problem = read_body(made, chosen) or field.add(made.fields, rawget(client, "headers"))
    or field.add(made.fields, options.headers)
  add_query(made, chosen.query)
  return not problem and made or nil, problem
end

--- Whether it can be sent again when a connection died before the answer.
---@param made table
---@return boolean
function plan.may_repeat(made)
  return IDEMPOTENT[made.method] and body.rewind(made.body) or false
end

--- Where it goes to.
---@param made table
---@return table? way as of dial.open
---@return string? err
function plan.way(made)
  local proxy, err = proxy_choice.of(made.url, made.proxy, made.no_proxy)
  if err then
    return nil, "proxy: " .. err
  end
  return { to = made.url, proxy = not made.address and proxy or nil, address = made.address, tls = made.tls,
    connection = made.connection, timeout = made.connect_timeout, read_timeout = made.read_timeout }
end

local function framing(made)
  if made.upgrade then
    return "Connection: Upgrade\r\nUpgrade: " .. made.upgrade .. "\r\n"
  elseif not made.body then
    return EXPECTS_BODY[made.method] and "Content-Length: 0\r\n" or ""
  end
  local lines = made.body.size and ("Content-Length: %d\r\n"):format(made.body.size)
    or "Transfer-Encoding: chunked\r\n"
  return made.expects_continue and lines .. "Expect: 100-continue\r\n" or lines
end

--- The head.
---@param made table
---@param way table
---@param cookie? string
---@return string
function plan.head(made, way, cookie)
  local target, fields = url.target(made.url), made.fields
  local by_proxy = ""
  if way.proxy and not dial.is_secure(made.url.scheme) then
    local credentials = dial.basic(way.proxy)
    target = "http://" .. url.authority(made.url) .. target
    by_proxy = credentials and "Proxy-Authorization: " .. credentials .. "\r\n" or ""
  end
  local host = fields.host and "" or "Host: " .. url.authority(made.url) .. "\r\n"
  return made.method .. " " .. target .. " HTTP/1.1\r\n" .. host .. field.lines(fields) .. by_proxy
    .. (cookie and not fields.cookie and "Cookie: " .. cookie .. "\r\n" or "") .. framing(made) .. "\r\n"
end

return plan
