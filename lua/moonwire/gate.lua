--- What stands in front of a service: who may come in, what they must begin with, which server they are for,
--- and what they must not say. Decisions are the script's; scripts/gate.lua makes some.
local bans = require "moonwire.gate.bans"
local check = require "moonwire.check"
local events = require "moonwire.gate.events"
local expect = require "moonwire.gate.expect"
local lists = require "moonwire.gate.lists"
local relay = require "moonwire.gate.relay"
local routes = require "moonwire.gate.routes"
local rules = require "moonwire.gate.rules"
local tarpit = require "moonwire.gate.tarpit"

local gate = {}

local PROTOCOLS <const> = { tls = true, http = true, ssh = true }
local IDLE_DEFAULT <const> = 300
local BANS_KNOWN <const> = {
  seconds = "number", most = "integer", refresh = "number", ipv4_prefix = "number", ipv6_prefix = "number",
}
local LISTS_KNOWN <const> = { allow = "table", deny = "table", allow_file = "string", deny_file = "string" }
local EVENTS_KNOWN <const> = { most = "integer" }
local TARPIT_KNOWN <const> = { most = "integer", seconds = "number", interval = "number", drip = "string" }
local EXPECT_KNOWN <const> = { timeout = "seconds" }
local RELAY_KNOWN <const> = { rules = "table", on_match = "function", idle = "seconds" }

---@class moonwire.gate_bans_options
---@field seconds? number that a ban lasts; default 600
---@field most? integer bans in a worker's table; default 100000
---@field refresh? number seconds between two looks into the store, for what came from elsewhere; default 10
---@field ipv4_prefix? integer bits of an address that are banned; default 32
---@field ipv6_prefix? integer the same of IPv6; default 64

-- 0, below, or no number at all.
local function is_below(value)
  return value ~= value or value <= 0
end

-- What is wrong with the numbers; nil: nothing.
local function problem_of_bans(options)
  local v4, v6 = options.ipv4_prefix or 32, options.ipv6_prefix or 64
  if math.type(v4) ~= "integer" or v4 < 0 or v4 > 32 then
    return "option 'ipv4_prefix': an integer from 0 to 32 expected"
  elseif math.type(v6) ~= "integer" or v6 < 0 or v6 > 128 then
    return "option 'ipv6_prefix': an integer from 0 to 128 expected"
  elseif is_below(options.seconds or 1) then
    return "option 'seconds': above 0 expected"
  elseif is_below(options.refresh or 1) then
    return "option 'refresh': seconds, above 0, expected"
  end
end

--- A list of who is banned, shared by all workers, generations and machines that have the store in common.
--- Belongs to the running task: make it in the service's start.
---@param name string letters, digits, "_" and "-"
---@param options? moonwire.gate_bans_options
---@return moonwire.gate_bans
function gate.bans(name, options)
  check.type(name, "string", 1, "bans")
  if not name:find "^[%w_-]+$" or #name > 100 then
    check.refuse(1, "bans", "a name of letters, digits, '_' and '-' expected")
  end
  check.options(options, BANS_KNOWN, 2, "bans")
  local problem = problem_of_bans(options or {})
  if problem then
    check.refuse(2, "bans", problem)
  end
  return bans.new(name, options or {})
end

---@class moonwire.gate_lists_options
---@field allow? string[] networks; when there are any here or in the file, no others
---@field deny? string[] networks
---@field allow_file? string a file with networks, one a line, remarks behind "#" or ";"
---@field deny_file? string

--- Opens lists of networks that may come in and that may not. Files are read again when they change; one that
--- is wrong then changes nothing. Belongs to the running task.
---@param options moonwire.gate_lists_options
---@return moonwire.gate_lists? lists
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid" (no network), "too_large"
function gate.lists(options)
  check.type(options, "table", 1, "lists")
  check.options(options, LISTS_KNOWN, 1, "lists")
  return lists.open(options)
end

---@class moonwire.gate_events_options
---@field most? integer events that may wait to be written; default 10000

--- Opens a file of events, a line of JSON for each, which is made when it is not there. It is opened anew for
--- each write, so that it may be moved away. Belongs to the running task.
---@param path string
---@param options? moonwire.gate_events_options
---@return moonwire.gate_events? events
---@return string? err
---@return moonwire.code? code "denied", "not_found", "invalid"
function gate.events(path, options)
  check.type(path, "string", 1, "events")
  if path:find("\0", 1, true) then
    check.refuse(1, "events", "a path has no zero bytes")
  end
  check.options(options, EVENTS_KNOWN, 2, "events")
  return events.open(path, options or {})
end

---@class moonwire.gate_tarpit_options
---@field most? integer connections that are held at a time; default 100
---@field seconds? number that each is held; default 60
---@field interval? number seconds between two sips; default 5
---@field drip? string what is sent at each; default: nothing

--- A tarpit.
---@param options? moonwire.gate_tarpit_options
---@return moonwire.gate_tarpit
function gate.tarpit(options)
  check.options(options, TARPIT_KNOWN, 1, "tarpit")
  local interval = options and options.interval or 1
  if is_below(interval) then
    check.refuse(1, "tarpit", "option 'interval': seconds, above 0, expected")
  end
  return tarpit.new(options or {})
end

---@class moonwire.gate_expect_options
---@field timeout? number|false seconds; default 10

local function timeout_of(options)
  local seconds = options and options.timeout
  return seconds == nil and 10 or seconds
end

--- Waits until it is clear whether a peer speaks a protocol, and takes nothing of what it says.
---@param stream moonwire.stream
---@param protocol "tls"|"http"|"ssh" a ClientHello; the line of a request; the line of a version
---@param options? moonwire.gate_expect_options
---@return true|table|nil is_spoken of "tls" what stream:peek_client_hello gives
---@return string? err
---@return moonwire.code? code "protocol": another; "too_large", "timeout", "eof", "reset", "closed", "busy"
function gate.expect(stream, protocol, options)
  check.stream(stream, 1, "expect")
  check.type(protocol, "string", 2, "expect")
  if not PROTOCOLS[protocol] then
    check.refuse(2, "expect", "one of http, ssh, tls expected")
  end
  check.options(options, EXPECT_KNOWN, 3, "expect")
  return expect.protocol(stream, protocol, timeout_of(options))
end

--- The same with the bytes that a peer must begin with.
---@param stream moonwire.stream
---@param text string 1 to 8192 bytes
---@param options? moonwire.gate_expect_options
---@return true?
---@return string? err
---@return moonwire.code? code "protocol", "timeout", "eof", "reset", "closed", "busy"
function gate.expect_beginning(stream, text, options)
  check.stream(stream, 1, "expect_beginning")
  check.type(text, "string", 2, "expect_beginning")
  if text == "" or #text > 8192 then
    check.refuse(2, "expect_beginning", "1 to 8192 bytes expected")
  end
  check.options(options, EXPECT_KNOWN, 3, "expect_beginning")
  return expect.beginning(stream, text, timeout_of(options))
end

--- Routes: where the connections of TLS lead, by the name and protocol that their clients ask for.
---@param list moonwire.gate_route[]
---@return moonwire.gate_routes
function gate.routes(list)
  check.type(list, "table", 1, "routes")
  local made, problem = routes.new(list)
  if not made then
    check.refuse(1, "routes", problem --[[@as string]])
  end
  return made --[[@as moonwire.gate_routes]]
end

--- Rules: what clients must not do or say.
---@param list moonwire.gate_rule[]
---@return moonwire.gate_rules
function gate.rules(list)
  check.type(list, "table", 1, "rules")
  local made, problem = rules.new(list)
  if not made then
    check.refuse(1, "rules", problem --[[@as string]])
  end
  return made --[[@as moonwire.gate_rules]]
end

---@class moonwire.gate_relay_options
---@field rules? moonwire.gate_rules what is looked for in the bytes
--- Called when a rule is met, before the bytes are passed on; true: they are; else the relay ends with
--- "denied". Default: it ends.
---@field on_match? fun(rule: moonwire.gate_rule, direction: "client"|"server"): boolean?
---@field idle? number|false seconds without a byte either way that end it; default 300

--- Relays two streams into each other, as net.relay, and looks for what rules say meanwhile. As soon as there
--- is nothing left to look for, no byte passes through Lua any more.
---@param client moonwire.stream
---@param server moonwire.stream
---@param options? moonwire.gate_relay_options
---@return integer? from_client bytes
---@return integer|string from_server bytes, or err
---@return moonwire.code? code "denied" (by a rule), "timeout" (idle), "reset", "closed", "busy"
function gate.relay(client, server, options)
  check.stream(client, 1, "relay")
  check.stream(server, 2, "relay")
  if client == server then
    check.refuse(2, "relay", "two different streams expected")
  end
  check.options(options, RELAY_KNOWN, 3, "relay")
  options = options or {}
  if options.rules and not rules.are(options.rules) then
    check.refuse(3, "relay", "option 'rules': those of gate.rules expected")
  end
  local idle = options.idle == nil and IDLE_DEFAULT or options.idle
  if idle == 0 then
    check.refuse(3, "relay", "option 'idle': seconds above 0, or false for no limit, expected")
  end
  return relay.run(client, server, options.rules, options.on_match, idle)
end

return gate
