-- scripts/gate.lua — stands in front of a TCP service: who may come in, how often, and what they may say.
--
--   build/moonwire run scripts/gate.lua --listen tcp://127.0.0.1:8443 --set upstream=tcp://127.0.0.1:443
--
-- Settings (ctx.config):
--   upstream         address               the server behind; needed unless there are routes
--   routes           list, none            where clients of TLS go: { server_name, protocol, upstream }
--   allow, deny      lists of networks     the most specific decides; with allow nobody else may come
--   allow_file, deny_file  paths           the same from files, one a line; read again when they change
--   trust            list of networks      who may do anything: no limit, ban, check or rule
--   connections      number or false, 100  of a client at a time
--   rate, burst      a second, false; 20   connections of a client
--   ipv4_prefix, ipv6_prefix  bits, 32, 64 of an address that make a client
--   proxy            0, 1 or 2; 0          version of the PROXY header for the server; 0: none
--   proxies          list of networks      who begins with one; of `moonwire run`, else in the config
--   expect           "tls", "http", "ssh"  what clients must speak
--   client_begins    text, none            what they must begin with, instead
--   server_begins    text, none            what the server must begin with
--   server_first     true or false         clients that speak before the server are refused
--   first_timeout, connect_timeout  seconds, 10, 5   until that is seen; to the server
--   idle             seconds or false, 300 without a byte either way
--   rules            list, none            { name, bytes, pcre or event, times, seconds, action, … }
--   refuse           "drop" or "tarpit"    what becomes of those who are refused; default "drop"
--   tarpit           table                 most = 100, seconds = 60, interval = 5, drip = text
--   ban_seconds      seconds, 600          that a ban lasts
--   ban_refresh      seconds, 10           between two looks for bans that other machines have made
--   events           path, none            a file with a line of JSON for each event; else the log has them
local check = require "moonwire.check"
local core = require "moonwire.core"
local gate = require "moonwire.gate"
local ipset = require "moonwire.ipset"
local log = require "moonwire.log"
local metrics = require "moonwire.metrics"
local net = require "moonwire.net"
local tally = require "moonwire.tally"
local task = require "moonwire.task"

local KNOWN <const> = {
  upstream = "string", routes = "table", allow = "table", deny = "table", allow_file = "string",
  deny_file = "string", trust = "table", connections = "any", rate = "number", burst = "number",
  ipv4_prefix = "number", ipv6_prefix = "number", proxy = "number", proxies = "table",
  expect = { tls = true, http = true, ssh = true }, client_begins = "string", server_begins = "string",
  server_first = "boolean", first_timeout = "seconds", connect_timeout = "number", idle = "seconds",
  rules = "table", refuse = { drop = true, tarpit = true }, tarpit = "table", ban_seconds = "number",
  ban_refresh = "number", events = "string",
}

local counted = metrics.counter("gate_events_total", "What has happened.", { labels = { "event" } })
local relayed = metrics.counter("gate_bytes_total", "Bytes passed on.", { labels = { "from" } })
local open = metrics.gauge("gate_connections", "Connections that are passed on now.")

local service = {}
local config
local lists, trusted, places, rate, bans, rules, routes, tarpit, events

-- --- what happens

local function tell(event, client, fields)
  counted:add(1, event)
  if not events and not log.is_enabled "info" then
    return
  end
  fields = fields or {}
  fields.event, fields.client = event, ipset.network(client) or client
  fields.port = math.tointeger(tonumber(client:match ":(%d+)$"))
  if events then
    events:write(fields)
  else
    log.info("gate", fields)
  end
end

-- What a rule that is broken wants to be done.
local function punish(rule, client)
  tell("rule", client, { rule = rule.name, action = rule.action })
  if rule.action == "ban" then
    local network, err = bans:add(client, rule.name)
    tell("ban", client, { rule = rule.name, network = network, detail = err })
  end
  return rule.action
end

-- Tells of it. Returns what becomes of the client by its rules: nil, "log", "drop", "tarpit", "ban".
local function happen(event, client, fields)
  tell(event, client, fields)
  local rule = rules:happen(event, client)
  return rule and punish(rule, client)
end

-- The end of a client that is refused.
local function refuse(conn, action)
  if action == "tarpit" or config.refuse == "tarpit" then
    tell("tarpit", conn:peer_address())
    tarpit:hold(conn)
  end
  conn:abort()
end

-- --- a connection, step by step

-- Why a client may not come in; nil: it may.
local function reason_against(client)
  local ban = bans:find(client)
  if not lists:allow(client) then
    return "network"
  elseif ban then
    return "banned", ban
  elseif rate and not rate:take(client) then
    return "rate"
  elseif places and not places:enter(client) then
    return "connections"
  end
end

-- What the client says first. Returns the server that it is for; or nil, why not, and more of it.
local function look_at_client(conn)
  local options = { timeout = config.first_timeout }
  local hello, err, code = true, nil, nil
  if config.expect or routes then
    conn:checkpoint {}
    hello, err, code = gate.expect(conn, config.expect or "tls", options)
  elseif config.client_begins then
    conn:checkpoint {}
    hello, err, code = gate.expect_beginning(conn, config.client_begins, options)
  end
  if not hello then
    return nil, code, err
  end
  local upstream = routes and routes:find(hello) or config.upstream
  return upstream, "no_route", routes and hello.server_name
end

-- Whether the server begins as it should, and before the client; or nil, why not, and more of it.
local function look_at_server(conn, server)
  local ok, err, code = true, nil, nil
  if config.server_begins then
    ok, err, code = gate.expect_beginning(server, config.server_begins, { timeout = config.first_timeout })
  elseif config.server_first then
    ok, err, code = task.with_timeout(config.first_timeout or 10, server.peek_some, server, 1)
  end
  if ok and config.server_first and conn:counters().received > 0 then
    return nil, "early", "spoke before the server"
  end
  return ok, "server_" .. (code or ""), err
end

local function connect(conn, client, address)
  local header = config.proxy == 2 and conn or nil
  if config.proxy == 1 then
    client = ipset.network(client) and client -- else nobody's
    header = { version = 1, source = client, destination = client and conn:local_address() }
  end
  return net.connect(address, { proxy_header = header, timeout = config.connect_timeout or 5 })
end

-- Both into each other. Returns what becomes of the client when a rule has ended it.
local function pass_on(conn, server, client, used)
  local begun, action = core.now(), nil
  local function on_match(rule, direction)
    tell("match", client, { rule = rule.name, direction = direction })
    local wanted = used:is_broken(rule, client) and punish(rule, client)
    action = wanted and wanted ~= "log" and wanted or action
    return not action
  end
  local _ <close> = used and bans:follow(client, server)
  open:add(1)
  local options = { rules = used, on_match = on_match, idle = config.idle }
  local sent, received, code = gate.relay(conn, server, options)
  open:add(-1)
  relayed:add(sent or 0, "client")
  relayed:add(sent and received or 0, "server")
  action = action or not sent and used and bans:find(client) and "ban"
  tell("closed", client, {
    sent = sent, received = sent and received, reason = action == "ban" and "banned" or code,
    seconds = (core.now() - begun) * 1000 // 1 / 1000,
  })
  return action
end

-- From the first byte on. `used`: the rules that hold for this client.
local function serve(conn, client, used)
  local upstream, why, detail = look_at_client(conn)
  if not upstream then
    return refuse(conn, happen(why, client, { detail = detail or nil }))
  end
  local server <close>, err = connect(conn, client, upstream)
  if not server then
    happen("unreachable", client, { upstream = upstream, detail = err })
    return conn:abort()
  end
  local ok
  ok, why, detail = look_at_server(conn, server)
  local action = happen(ok and "open" or why, client, { upstream = upstream, detail = detail })
  if not ok or used and action and action ~= "log" then
    return refuse(conn, action)
  end
  action = pass_on(conn, server, client, used)
  if action then
    server:abort()
    refuse(conn, action)
  end
end

function service.connect(conn)
  local client = conn:peer_address()
  if trusted:find(client) then
    return serve(conn, client)
  end
  local why, detail = reason_against(client)
  if why then
    return refuse(conn, happen(why, client, { detail = detail }))
  end
  serve(conn, client, rules)
end

-- A client that has said nothing yet: new code meets it as if it came now, but for its rate.
function service.resume(conn)
  local client = conn:peer_address()
  local used = not trusted:find(client) and rules or nil
  local _ = used and places and places:enter(client)
  serve(conn, client, used)
end

-- --- the start

local function extend(options, more) return setmetatable(more, { __index = options }) end

local function check_settings()
  check.options(config, KNOWN, 1, "settings")
  assert(config.upstream or config.routes, "settings: upstream = an address, or routes, expected")
  assert(({ [0] = true, true, true })[config.proxy or 0], "settings: proxy = 0, 1 or 2 expected")
  assert(not config.routes or (config.expect or "tls") == "tls", "settings: routes take expect = \"tls\"")
end

function service.start(ctx)
  config = ctx.config
  check_settings()
  local bits = { ipv4_prefix = config.ipv4_prefix, ipv6_prefix = config.ipv6_prefix }
  service.options = { proxies = config.proxies }
  lists = assert(gate.lists {
    allow = config.allow, deny = config.deny, allow_file = config.allow_file, deny_file = config.deny_file,
  })
  trusted = ipset.of(config.trust)
  places = config.connections ~= false and tally.places("all", config.connections or 100, bits)
  rate = config.rate and tally.rate("all", extend(bits, { rate = config.rate, burst = config.burst or 20 }))
  bans = gate.bans(ctx.name:gsub("[^%w_-]", "_"),
    extend(bits, { seconds = config.ban_seconds, refresh = config.ban_refresh }))
  rules = gate.rules(config.rules or {})
  routes = config.routes and gate.routes(config.routes)
  tarpit = gate.tarpit(config.tarpit)
  events = config.events and assert(gate.events(config.events))
end

function service.stop() return events and events:flush(2) end

return service
