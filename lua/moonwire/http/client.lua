--- An HTTP/1.1 client (RFC 9110, 9112): connections that are used again, redirects, proxies, cookies,
--- streams.
local answers = require "moonwire.http.answer"
local check = require "moonwire.check"
local cookie_jar = require "moonwire.http.cookie_jar"
local dial = require "moonwire.http.dial"
local download = require "moonwire.http.download"
local events = require "moonwire.http.events"
local exchange = require "moonwire.http.exchange"
local plan = require "moonwire.http.plan"
local Pool = require "moonwire.http.pool"
local redirect = require "moonwire.http.redirect"
local settings = require "moonwire.http.settings"
local task = require "moonwire.task"
local url = require "moonwire.http.url"

local client = {}

--- A client with connections and settings of its own.
---@class moonwire.http.client
local Client = { __name = "moonwire.http.client" }
Client.__index = Client

-- --- one exchange

-- A connection that had served others before has died instead of answering: the server may have closed it in
-- that moment.
local STALE <const> = { eof = true, reset = true, closed = true }

local function connect(self, way, key)
  local link, stream, code = self.pool:take(key, way.timeout or nil)
  if not link then
    return nil, stream, code
  elseif stream then
    return link, stream, nil, true
  end
  local err
  stream, err, code = dial.open(way)
  if not stream then
    link:close()
    return nil, err, code
  end
  return link, link:hold(stream)
end

-- Cuts the connection whichever way the exchange is left, unless an answer has it by then.
local guarding = { __close = function(guard)
  if guard.link then
    guard.link:abort()
  end
end }

-- nil, err, code, stale
local function attempt(self, made)
  local way, problem = plan.way(made)
  if not way then
    return nil, problem, "invalid"
  end
  local key = dial.key(way)
  local link, stream, code, reused = connect(self, way, key)
  if not link then
    return nil, stream, code
  end
  local guard <close> = setmetatable({ link = link }, guarding)
  local cookie = self.jar and self.jar:get(made.url)
  local state = { stream = stream, method = made.method, head = plan.head(made, way, cookie),
    body = made.body,
    awaits_continue = made.expects_continue, limits = made.limits, on_interim = made.on_interim }
  local reply, err
  reply, err, code = exchange.run(state)
  if not reply then
    return nil, err, code, reused and STALE[code]
  end
  guard.link = nil
  local answer = answers.new(reply, state, link, self.pool, key)
  answer.url, answer.redirects = url.build(made.url), made.hops
  return answer
end

-- A stale connection says nothing about the next one: only those that were fresh count as tries.
local function attempt_again(self, made)
  local tries = 0
  while true do
    local answer, err, code, stale = attempt(self, made)
    if answer or not stale or tries >= made.retries or not plan.may_repeat(made) then
      return answer, err, code
    end
    tries = tries + 1
  end
end

local function keep_cookies(self, made, answer)
  if not self.jar then
    return
  end
  for name, value in answer:fields() do
    if name:lower() == "set-cookie" then
      self.jar:set(made.url, value)
    end
  end
end

-- --- the whole

local function conclude(made, answer)
  if made.compression then
    answer:decode(made.body_max or nil)
  end
  if not made.stream and answer.status ~= 101 then
    local err, code
    answer.body, err, code = answer:read_all(made.body_max or math.maxinteger)
    answer:close()
    if not answer.body then
      return nil, err, code
    end
  end
  return answer
end

local function run(self, made)
  while true do
    local answer, err, code = attempt_again(self, made)
    if not answer then
      return nil, err, code
    end
    keep_cookies(self, made, answer)
    local again
    again, err, code = redirect.follow(made, answer.status, answer:header("location"))
    if again == false then
      return conclude(made, answer)
    end
    answer:close()
    if not again then
      return nil, err, code
    end
  end
end

-- `level` blames the caller of the public function.
local function request(self, options, name)
  if type(options) ~= "table" then
    check.refuse(1, name, ("table expected, got %s"):format(type(options)))
  end
  local made, problem, err = plan.new(self.settings, options)
  if problem then
    error(("bad argument to '%s' (%s)"):format(name, problem), 3)
  elseif not made then
    return nil, err, "invalid"
  end
  if made.timeout then
    return task.with_timeout(made.timeout, run, self, made)
  end
  return run(self, made)
end

---@class moonwire.http.settings
---@field headers? table<string, string|number|string[]|false> more fields; false: none of that name
---@field timeout? number|false seconds for all of it, the body too unless it is streamed; default false
---@field connect_timeout? number|false seconds until there is a connection; default 10
---@field read_timeout? number|false seconds that the server may be silent; default 60
---@field redirects? integer|false how many are followed; default 10
---@field insecure_redirects? boolean from https to http, too; default false
---@field body_max? integer|false bytes of a body, decompressed; default 10485760
---@field head_max? integer bytes of the head of an answer; default 65536
---@field fields_max? integer fields of the head of an answer; default 200
---@field retries? integer how often a request that may be repeated is, when a used connection is dead;
---default 1
---@field compression? boolean compressed answers are asked for, and decompressed; default true
---@field proxy? string|false URL of a proxy, or "environment"; default false
---@field no_proxy? string[] hosts, and all below them, that need none
---@field tls? moonwire.tls_client_options of https
---@field connection? moonwire.connect_options
---@field expect_continue? integer|false bytes from which a body waits for the server's consent; default
---1048576

---@class moonwire.http.request_options: moonwire.http.settings
---@field url? string of client.request; the others have it as an argument
---@field method? string of client.request; default "GET"
---@field query? table<string, any> more of the query
---@field body? string|moonwire.file|fun(): string? an iterator is sent in chunks, unless `length` is given
---@field length? integer bytes that an iterator gives
---@field form? table<string, any> sent as application/x-www-form-urlencoded
---@field json? any sent as application/json
---@field stream? boolean the body is left to be read by the script; default false
---@field address? string where to connect to instead of the host: "unix:///run/x.sock"
---@field upgrade? string another protocol to change to: see answer:upgrade
---@field on_interim? fun(status: integer, reply: table) called for answers from 100 to 199

---@class moonwire.http.client_options: moonwire.http.settings
---@field connections? integer at once; default 256
---@field connections_per_host? integer of these to one server; default 16
---@field keep_alive? number seconds that a connection may rest; default 60
---@field cookies? boolean|moonwire.cookie_jar keeps them and sends them back; default false
---@field agent? string the field User-Agent; default "moonwire"

--- Makes a client with settings that hold for all its requests.
---@param options? moonwire.http.client_options
---@return moonwire.http.client
function client.new(options)
  check.type(options or {}, "table", 1, "new")
  local chosen, problem = settings.of_client(options)
  if not chosen then
    check.refuse(1, "new", problem)
  end
  local jar = chosen.cookies
  return setmetatable({ settings = chosen, jar = jar == true and cookie_jar.new() or jar or nil,
    pool = Pool.new(chosen.connections, chosen.connections_per_host, chosen.keep_alive) }, Client)
end

--- Sends a request and returns the answer, whatever its status is.
---@param options moonwire.http.request_options
---@return moonwire.http.answer? answer
---@return string? err
---@return moonwire.code? code as of http.get
function Client:request(options)
  check.object(self, Client, "request")
  return request(self, options, "request")
end

local function with(options, method, address, body)
  return settings.merge(options, { method = method, url = address, body = body })
end

--- Asks for what a URL names.
---@param address string
---@param options? moonwire.http.request_options
---@return moonwire.http.answer? answer
---@return string? err
---@return moonwire.code? code as of http.get
function Client:get(address, options)
  check.object(self, Client, "get")
  return request(self, with(options, "GET", address), "get")
end

--- Asks for the head only.
---@param address string
---@param options? moonwire.http.request_options
---@return moonwire.http.answer? answer
---@return string? err
---@return moonwire.code? code as of http.get
function Client:head(address, options)
  check.object(self, Client, "head")
  return request(self, with(options, "HEAD", address), "head")
end

--- Sends a body.
---@param address string
---@param body? string|moonwire.file|fun(): string?
---@param options? moonwire.http.request_options
---@return moonwire.http.answer? answer
---@return string? err
---@return moonwire.code? code as of http.get
function Client:post(address, body, options)
  check.object(self, Client, "post")
  return request(self, with(options, "POST", address, body), "post")
end

--- Downloads a file. What an earlier attempt has left in path.part is gone on with, if the server still has
--- the same version of it.
---@param address string
---@param path string
---@param options? moonwire.http.request_options
---@return moonwire.http.downloaded? done
---@return string? err
---@return moonwire.code? code as of http.get and file.open; "full"
function Client:download(address, path, options)
  check.object(self, Client, "download")
  check.type(path, "string", 2, "download")
  return download.to_file(self, address, path, options)
end

---@class moonwire.http.following: moonwire.http.request_options
---@field last_id? string only what came after the event of this id

--- Iterates over the events of a URL (text/event-stream), and connects again when the connection ends. Ends
--- when the server answers with anything but 200 and events.
---@param address string
---@param options? moonwire.http.following
---@return fun(): moonwire.http.event?
function Client:events(address, options)
  check.object(self, Client, "events")
  return events.follow(self, address, options)
end

--- Closes the connections that rest.
function Client:close()
  check.object(self, Client, "close")
  self.pool:close()
end

Client.__close = Client.close

-- --- without a client of one's own

local shared

local function default()
  shared = shared or client.new()
  return shared
end

--- Sends a request with the settings that all have in common.
---@param options moonwire.http.request_options
---@return moonwire.http.answer? answer
---@return string? err
---@return moonwire.code? code as of http.get
function client.request(options)
  return request(default(), options, "request")
end

--- Asks for what a URL names, and returns the answer, whatever its status is.
---@param address string "http://127.0.0.1:8080/path?query"
---@param options? moonwire.http.request_options
---@return moonwire.http.answer? answer
---@return string? err
---@return moonwire.code? code "refused", "timeout", "not_found", "unreachable", "reset", "eof", "invalid",
---"too_large"
function client.get(address, options)
  return request(default(), with(options, "GET", address), "get")
end

--- Asks for the head only.
---@param address string
---@param options? moonwire.http.request_options
---@return moonwire.http.answer? answer
---@return string? err
---@return moonwire.code? code as of http.get
function client.head(address, options)
  return request(default(), with(options, "HEAD", address), "head")
end

--- Sends a body.
---@param address string
---@param body? string|moonwire.file|fun(): string?
---@param options? moonwire.http.request_options
---@return moonwire.http.answer? answer
---@return string? err
---@return moonwire.code? code as of http.get
function client.post(address, body, options)
  return request(default(), with(options, "POST", address, body), "post")
end

--- Downloads a file, as a client's download.
---@param address string
---@param path string
---@param options? moonwire.http.request_options
---@return moonwire.http.downloaded? done
---@return string? err
---@return moonwire.code? code as of http.get and file.open; "full"
function client.download(address, path, options)
  check.type(path, "string", 2, "download")
  return download.to_file(default(), address, path, options)
end

--- Iterates over the events of a URL, as a client's events.
---@param address string
---@param options? moonwire.http.following
---@return fun(): moonwire.http.event?
function client.events(address, options)
  return events.follow(default(), address, options)
end

--- Closes the connections that rest, of requests without a client of their own.
function client.close()
  if shared then
    shared:close()
  end
end

--- Makes a jar for cookies, for client.new.
---@return moonwire.cookie_jar
function client.cookie_jar()
  return cookie_jar.new()
end

return client
