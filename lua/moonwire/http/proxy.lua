--- A reverse proxy: requests go on to other servers, and their answers back (RFC 9110 section 7.6).
local Pool = require "moonwire.http.pool"
local check = require "moonwire.check"
local core = require "moonwire.core"
local dial = require "moonwire.http.dial"
local field = require "moonwire.http.field"
local health = require "moonwire.http.health"
local log = require "moonwire.log"
local net = require "moonwire.net"
local settings = require "moonwire.http.settings"
local task = require "moonwire.task"
local upstream = require "moonwire.http.upstream"

local proxy = {}

local IDEMPOTENT <const> = { GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true,
  TRACE = true }
local INTERIM_MOST <const> = 16 -- of one request
local CONTINUE_SECONDS <const> = 1 -- until a body leaves although the server has not asked for it

local BALANCES <const> = { round_robin = true, least_connections = true, hash = true }
local FORWARDED <const> = { x = true, standard = true, both = true, none = true }

local KNOWN <const> = {
  upstreams = "table", balance = BALANCES, hash = "string", fails = "integer", within = "number",
  cooldown = "number", check = "table", retries = "number", connect_timeout = "number",
  read_timeout = "number", upgrade_timeout = "number", connections = "integer", keep_alive = "number",
  host = "string", trust = "table", forwarded = FORWARDED, via = "string", set_headers = "table",
  drop_headers = "table", set_answer_headers = "table", drop_answer_headers = "table", body_max = "integer",
  tls = "table", connection = "table", proxy_header = "boolean",
}

local DEFAULTS <const> = {
  balance = "round_robin", hash = "address", fails = 3, within = 10, cooldown = 10, retries = 1,
  connect_timeout = 5, read_timeout = 60, upgrade_timeout = 3600, connections = 1024, keep_alive = 60,
  host = "client", forwarded = "x",
}

-- --- what is sent

-- Each request in progress has one: whichever way it ends, the server has one less, and a connection in
-- mid-exchange is cut.
local guarding = { __close = function(guard)
  guard.one.active = guard.one.active - 1
  if guard.link then
    guard.link:abort()
  end
  local upload = guard.upload
  if upload and upload.task and not upload.done then
    upload.task:cancel()
  end
end }

-- How to get to a server, and what its connections are called in the pool: with a PROXY header each client
-- has its own.
local function way_to(self, one, request)
  if not self.proxy_header then
    return one.way, one.key
  end
  local connection = settings.merge(one.way.connection, { proxy_header = request })
  local way = setmetatable({ connection = connection }, { __index = one.way })
  return way, one.key .. " " .. request.peer
end

local function connect(self, one, guard, request)
  local way
  way, guard.key = way_to(self, one, request)
  local link, stream = self.pool:take(guard.key, way.timeout)
  if not link then
    return nil, stream, "busy"
  elseif stream then
    return link, stream, nil, true
  end
  local err, code
  stream, err, code = dial.open(way)
  if not stream then
    link:close()
    return nil, err, code
  end
  return link, link:hold(stream)
end

-- The body of a request that is still to come, in a task beside the one that waits for the answer. When the
-- client fails the server must not take that for the end of the body.
local function upload_in_task(upload, stream, request)
  local ok, err, code, side = core.http.pass_body(stream, request)
  upload.done = true
  if not ok and side == "from" then
    upload.err, upload.code = err, code
    stream:abort()
  end
end

local function start_upload(upload, stream, request)
  if not upload.task then
    upload.task = task.spawn(upload_in_task, upload, stream, request)
  end
end

local function await_continue(stream)
  local _, _, code = task.with_timeout(CONTINUE_SECONDS, stream.peek_some, stream, 1)
  return code ~= "timeout"
end

-- The head and what is there of the body. nil, err, code, or how the body goes on.
local function send(self, one, guard, stream, request)
  local body, err, code = core.http.pass_request(stream, request, self.rules, one.folder, one.host)
  if body == "here" then
    local ok
    ok, err, code = core.http.pass_body(stream, request)
    body = ok and body
  elseif body == "coming" then
    guard.upload = { done = false }
    if not request:header("expect") or not await_continue(stream) then
      start_upload(guard.upload, stream, request)
    end
  end
  return body, err, code
end

-- The answer that counts; others go to the client, but for 100, which is said when its body is read.
local function read_reply(self, guard, stream, request, response)
  local passed = 0
  while true do
    local reply, err, code = core.http.reply(stream, request.method)
    if not reply then
      local upload = guard.upload
      if code ~= "timeout" or not upload or upload.done then
        return nil, err, code
      end
    else
      local status = reply:status()
      if status >= 200 or status == 101 then
        return reply, status
      end
      if status ~= 100 and passed < INTERIM_MOST then
        core.http.pass_interim(response, reply, self.interim_rules)
        passed = passed + 1
      end
      reply:leave()
      if guard.upload then
        start_upload(guard.upload, stream, request)
      end
    end
  end
end

-- --- what comes back

local REASONS <const> = {
  [200] = "OK", [400] = "Bad Request", [408] = "Request Timeout", [413] = "Content Too Large",
  [501] = "Not Implemented", [502] = "Bad Gateway", [503] = "Service Unavailable", [504] = "Gateway Timeout",
}

local function answer(response, status, retry_after)
  response:status(status)
  if retry_after then
    response:header("Retry-After", tostring(retry_after))
  end
  response:send(("%d %s\n"):format(status, REASONS[status]))
  return true
end

local OF_CLIENT <const> = { invalid = 400, timeout = 408, too_large = 413 }

-- Another protocol from here on: what comes of either goes to the other.
local function switch(self, guard, request, response, reply)
  local protocol = reply:header("upgrade")
  if not request.upgrade or not protocol or not field.is_token(protocol) then
    return answer(response, 502)
  end
  core.http.pass_fields(response, reply, self.answer_rules)
  reply:leave()
  local client = response:upgrade(protocol)
  local link = guard.link
  guard.link = nil
  local server = link:release()
  if client and server then
    net.relay(client, server, { idle = self.upgrade_timeout })
    server:close()
    client:close()
  end
  return true
end

-- The connection is used again when both directions have come to their end.
local function settle(self, guard, reply)
  local whole, keeps = reply:is_whole()
  reply:leave()
  if whole and keeps and (not guard.upload or guard.upload.done) then
    local link = guard.link
    guard.link = nil
    self.pool:give(guard.key, link)
  end
end

local function give(self, one, guard, request, response, reply, status)
  self.group:note_success(one)
  if status == 101 then
    return switch(self, guard, request, response, reply)
  end
  local ok, err, _, side = core.http.pass_answer(response, reply, self.answer_rules)
  if ok then
    settle(self, guard, reply)
  elseif side == "from" and not response:is_started() then
    return answer(response, 502)
  elseif side == "from" then
    log.warn(("upstream %s: the answer to %s %s broke off: %s"):format(one.name, request.method,
      request.path, err))
  end
  return true
end

-- --- one server after the other

local function note_failure(self, one)
  if self.group:note_failure(one) then
    log.warn(("upstream %s rests for %g s"):format(one.name, self.group.cooldown))
  end
end

-- What a failure means: whether the request may go to another server, and the status if it may not.
local function judge(self, one, guard, request, body, code, reused)
  local upload = guard.upload
  if upload and upload.code then
    return false, OF_CLIENT[upload.code] or 400
  end
  local safe = body == "none" and IDEMPOTENT[request.method]
  if reused and code ~= "timeout" and code ~= "invalid" and safe then
    return "stale"
  end
  note_failure(self, one)
  return safe and code ~= "timeout", code == "timeout" and 504 or 502
end

-- The status of a request that has no connection to its server.
local function refused(self, one, err, code)
  if code == "busy" then
    return 503
  end
  log.debug(("upstream %s: %s"):format(one.name, err))
  note_failure(self, one)
  return code == "timeout" and 504 or 502
end

-- True: answered. Else whether to try again, and the status if not.
local function attempt(self, one, request, response)
  one.active = one.active + 1
  local guard <close> = setmetatable({ one = one, link = false, upload = false }, guarding)
  local link, stream, code, reused = connect(self, one, guard, request)
  if not link then
    return false, true, refused(self, one, stream, code)
  end
  guard.link = link
  local body, err
  body, err, code = send(self, one, guard, stream, request)
  if body then
    local reply, status
    reply, status, code = read_reply(self, guard, stream, request, response)
    if reply then
      return give(self, one, guard, request, response, reply, status)
    end
    err = status
  end
  log.debug(("upstream %s: %s"):format(one.name, err))
  return false, judge(self, one, guard, request, body, code, reused)
end

-- Whether the request may go no further (RFC 9110 section 7.6.2).
local function ends_here(request)
  local method = request.method
  return (method == "OPTIONS" or method == "TRACE") and (request:header("max-forwards") or ""):find("^0+$")
end

local function handle(self, request, response)
  local tried, last
  if ends_here(request) then
    return answer(response, request.method == "TRACE" and 501 or 200)
  end
  request:limit_body(self.body_max or false)
  for _ = 0, self.retries do
    local one = self.group:choose(request, tried)
    if not one then
      break
    end
    local answered, again, status
    repeat
      answered, again, status = attempt(self, one, request, response)
    until again ~= "stale"
    if answered or not again then
      return answered or answer(response, status)
    end
    tried, last = tried or {}, status
    tried[one] = true
  end
  return answer(response, last or 503, not last and self.group:retry_after())
end

-- --- making one

local function lines_of(headers, extra)
  local fields = {}
  local problem = field.add(fields, headers)
  return not problem and (extra or "") .. field.lines(fields), problem
end

local function lower_all(names, more)
  local list = {}
  for _, name in ipairs(names or {}) do
    list[#list + 1] = name:lower()
  end
  for name in next, more or {} do
    list[#list + 1] = name:lower()
  end
  return list
end

local function make_rules(chosen)
  local via = chosen.via and ("Via: 1.1 %s\r\n"):format(chosen.via) or ""
  local lines, problem = lines_of(chosen.set_headers, via)
  local answer_lines, answer_problem = lines_of(chosen.set_answer_headers, via)
  if problem or answer_problem or via ~= "" and not field.is_token(chosen.via) then
    return nil, nil, problem or answer_problem or "option 'via': a name of letters, digits and - expected"
  end
  local mode = chosen.forwarded
  local rules = core.http.pass_rules {
    drop = lower_all(chosen.drop_headers, chosen.set_headers), trust = chosen.trust, lines = lines,
    x_forwarded = mode == "x" or mode == "both", forwarded = mode == "standard" or mode == "both",
  }
  return rules, core.http.pass_rules {
    drop = lower_all(chosen.drop_answer_headers, chosen.set_answer_headers), lines = answer_lines,
  }
end

---@class moonwire.http.proxy_options
---@field upstreams string[] "http://127.0.0.1:8081", "https://host/folder", "unix:///run/x.sock"
---@field balance? "round_robin"|"least_connections"|"hash" default "round_robin"
---@field hash? string what tells clients apart: "address" (default), "header:NAME", "cookie:NAME"
---@field fails? integer failures within a time after which a server rests; default 3
---@field within? number seconds; default 10
---@field cooldown? number seconds that it rests; default 10
---@field check? moonwire.http.check_options servers are asked again and again
---@field retries? integer other servers that a request may go to when one has failed; default 1
---@field connect_timeout? number seconds; default 5
---@field read_timeout? number seconds that a server may be silent; default 60
---@field upgrade_timeout? number seconds without a byte that end another protocol; default 3600
---@field connections? integer to one server at once; default 1024
---@field keep_alive? number seconds that a connection may rest; default 60
---@field host? string "client" (default): as it came; "upstream": of the URL; else what is sent
---@field trust? string[] networks of proxies before this one, whose word about clients is believed
---@field proxy_header? boolean whether connections begin with a PROXY header about the client; default false
---@field forwarded? "x"|"standard"|"both"|"none" X-Forwarded-For, -Proto and -Host, or Forwarded; default "x"
---@field via? string the name of this proxy in a field Via; default: there is none
---@field set_headers? table<string, string> fields of requests, in the place of those that came
---@field drop_headers? string[] fields of requests that are taken out
---@field set_answer_headers? table<string, string>
---@field drop_answer_headers? string[]
---@field body_max? integer bytes of the body of a request; default: no limit, as nothing is kept
---@field tls? moonwire.tls_client_options of https
---@field connection? moonwire.connect_options

---@class moonwire.http.check_options
---@field path? string default "/"
---@field interval? number seconds; default 5
---@field timeout? number seconds for one answer; default 2
---@field expect? integer the status; default: any below 400
---@field rise? integer good answers in a row until a server is used again; default 2
---@field fall? integer bad ones until it is not; default 2

--- Makes a handler that passes requests on. With `check`, tasks ask the servers how they are: those belong to
--- the task that calls this, or to the service at the top of a script.
---@param options moonwire.http.proxy_options
---@return moonwire.http.handler
function proxy.new(options)
  check.type(options, "table", 1, "proxy")
  check.options(options, KNOWN, 1, "proxy")
  local chosen = setmetatable({}, { __index = function(_, key)
    local value = options[key]
    return value == nil and DEFAULTS[key] or value
  end })
  if type(chosen.upstreams) ~= "table" then
    check.refuse(1, "proxy", "the option 'upstreams' is missing")
  end
  local group, problem = upstream.new(chosen)
  problem = problem or chosen.check and health.problem_of(chosen.check)
  local rules, answer_rules, wrong = nil, nil, problem
  if not problem then
    rules, answer_rules, wrong = make_rules(chosen)
  end
  if wrong then
    check.refuse(1, "proxy", wrong)
  end
  local self = { group = group, rules = rules, answer_rules = answer_rules, retries = chosen.retries,
    interim_rules = core.http.pass_rules { drop = lower_all(chosen.drop_answer_headers) },
    proxy_header = chosen.proxy_header, body_max = chosen.body_max, upgrade_timeout = chosen.upgrade_timeout,
    pool = Pool.new(chosen.connections * #group.list, chosen.connections, chosen.keep_alive) }
  if chosen.check then
    health.start(group, chosen.check)
  end
  return function(request, response)
    handle(self, request, response)
  end
end

return proxy
