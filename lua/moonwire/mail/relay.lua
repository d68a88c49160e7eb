--- Hands mail on to other servers: the function `send` of a queue.
---
---     mail_queue.open(folder, { hostname = "mx.example.org", route = route,
---       send = mail_relay.sender { hostname = "mx.example.org" } })
local address = require "moonwire.smtp.address"
local alabel = require "moonwire.mail.alabel"
local check = require "moonwire.check"
local core = require "moonwire.core"
local dns = require "moonwire.dns"
local log = require "moonwire.log"
local mailer = require "moonwire.smtp.client"

local mail_relay = {}

local HOSTS_MOST <const> = 5
local KNOWN <const> = {
  hostname = "string", servers = "table", port = "integer", timeout = "seconds", command_timeout = "seconds",
  end_timeout = "seconds", local_address = "string",
}
local OF_ALL <const> = { "hostname", "timeout", "command_timeout", "end_timeout", "local_address" }
local SERVER_KNOWN <const> = {
  starttls = "any", tls = "table", user = "string", password = "string", mechanisms = "table",
  auth_in_clear = "boolean",
}
-- What this side says of a message that it cannot send.
local REFUSALS <const> = { invalid = "554 5.6.0 ", unsupported = "554 5.6.3 " }
local OF_TLS <const> = { tls = true, protocol = true, reset = true, eof = true }

---@class moonwire.mail_relay_options
---@field hostname string what this server calls itself; required
--- For servers by their address, options of smtp.client: user, password, starttls, tls and so on.
---@field servers? table<string, table>
---@field port? integer of servers that DNS tells; default 25
---@field timeout? number|false seconds for a connection; default 30
---@field command_timeout? number|false seconds for a reply; default 300
---@field end_timeout? number|false seconds for the reply to a message; default 600
---@field local_address? string to connect from: "127.0.0.2:0"

-- A failure that is for good.
local function never(reason)
  return nil, reason, true
end

local function without_dot(name)
  return (name:lower():gsub("%.$", ""))
end

-- The hosts of MX records that come before this one.
local function hosts_before(records, own)
  local hosts, last = {}, math.huge
  for _, record in ipairs(records) do
    if without_dot(record.text) == own then
      last = record.priority
    end
  end
  for _, record in ipairs(records) do
    if record.priority < last and #hosts < HOSTS_MOST then
      hosts[#hosts + 1] = without_dot(record.text)
    end
  end
  return hosts
end

-- The hosts that take mail for a domain (RFC 5321 §5.1, RFC 7505), the best first, and whether they were
-- said to be. Nil: why there are none, and whether that is for good.
local function hosts_of(domain, own)
  local name = alabel.of_domain(domain)
  local records, err, code
  if name then
    records, err, code = dns.records(name, "MX")
  else
    code = "invalid"
  end
  if not records and code == "not_found" then
    return { name }, false
  elseif not records and code == "invalid" then
    return never "553 5.1.2 that is no domain"
  elseif not records then
    return nil, "4.4.3 " .. err
  elseif records[1].text == "." or records[1].text == "" then
    return never "556 5.1.10 the domain takes no mail"
  end
  local hosts = hosts_before(records, own)
  if #hosts == 0 then
    return never "554 5.4.6 mail for that domain leads back to this server"
  end
  return hosts, true
end

local function literal_host(domain)
  local host = domain:match "^%[[Ii][Pp][Vv]6:(.*)%]$" or domain:match "^%[(.*)%]$"
  return host and (host:find(":", 1, true) and "[" .. host .. "]" or host)
end

-- The addresses to try, for a server or a domain, and whether they are sure to be meant.
local function targets_of(self, where)
  if where:find("://", 1, true) then
    return { where }, true
  end
  local host = literal_host(where)
  local hosts, is_said, is_final = { host }, true, nil
  if not host then
    hosts, is_said, is_final = hosts_of(where, self.own)
  end
  if not hosts then
    return nil, is_said, is_final
  end
  local targets = {}
  for i, name in ipairs(hosts) do
    targets[i] = ("tcp://%s:%d"):format(name, self.port)
  end
  return targets, is_said
end

local function options_for(self, target)
  local options = {}
  for name, value in pairs(self.of_all) do
    options[name] = value
  end
  for name, value in pairs(self.servers[target] or {}) do
    options[name] = value
  end
  return options
end

-- For what DNS tells nobody vouches: where TLS does not come about, it is tried without.
local function connect(self, target)
  local options = options_for(self, target)
  local connection, err, code, reply = mailer.connect(target, options)
  if not connection and OF_TLS[code] and not self.servers[target] then
    log.info("mail goes without TLS", { server = target, err = err })
    options.starttls = false
    connection, err, code, reply = mailer.connect(target, options)
  end
  return connection, err, code, reply
end

-- Why there is no connection, and whether that is for good.
local function problem_of(is_said, err, code, reply)
  if reply then
    return ("%d %s %s"):format(reply.code, reply.enhanced or "", reply.text),
      reply.code >= 500 and code == "refused"
  elseif code == "not_found" and not is_said then
    return "5.1.2 " .. err, true
  end
  return "4.4.1 " .. err, false
end

local function for_all(envelope, reason)
  local results = {}
  for i in ipairs(envelope.recipients) do
    results[i] = { permanent = true, reason = reason }
  end
  return results
end

local function read_results(connection, results)
  local read = {}
  for i, result in ipairs(results) do
    read[i] = {
      ok = result.is_delivered, permanent = result.is_permanent,
      passed = result.is_delivered and connection:extension "DSN" ~= nil or nil,
      reason = ("%d %s %s"):format(result.code, result.enhanced or "", result.text),
    }
  end
  return read
end

-- The pieces of a message as the client wants them: a failure is returned, so that it gives up the
-- connection.
local function guarded(read)
  return function()
    local ok, piece = pcall(read)
    if ok then
      return piece
    end
    local code, message = core.is_fault(piece)
    if code == "cancelled" then
      error(piece, 0)
    end
    return nil, message or tostring(piece), code or "system"
  end
end

-- Hands the message to one server. Nil: why it could not, and whether that is for good.
local function hand(self, target, is_said, envelope, read)
  local connection <close>, err, code, reply = connect(self, target)
  if not connection then
    return nil, problem_of(is_said, err, code, reply)
  end
  local results
  results, err, code = connection:send(envelope, guarded(read))
  if results then
    return read_results(connection, results)
  elseif REFUSALS[code] then
    return for_all(envelope, REFUSALS[code] .. err)
  end
  return nil, "4.4.2 " .. err, false
end

local function is_settled(results)
  for _, result in ipairs(results) do
    if result.ok or result.permanent then
      return true
    end
  end
  return false
end

-- One server after the other is asked, until one has begun to take the message or has settled something
-- (RFC 5321 §5.1). What a server has said counts more than why another was not to be had.
local function try_all(self, targets, is_said, envelope, read)
  local is_begun, said, problem, is_final = false, nil, nil, nil
  local function watched()
    is_begun = true
    return read()
  end
  for _, target in ipairs(targets) do
    local results, why, is_last = hand(self, target, is_said, envelope, watched)
    said, problem, is_final = results or said, why, is_last
    if is_begun or results and is_settled(results) then
      break
    end
  end
  return said, problem, is_final
end

local function send(self, where, envelope, read)
  local targets, is_said, is_final = targets_of(self, where)
  local results, problem = nil, is_said
  if targets then
    results, problem, is_final = try_all(self, targets, is_said, envelope, read)
  end
  if not results and is_final then
    return for_all(envelope, problem)
  end
  return results, problem
end

local function is_server(where)
  return type(where) == "string" and (where:find "^t[cl][ps]://.+:%d+$" or where:find "^unix://.") ~= nil
end

-- What is wrong with them; nil: nothing.
local function problem_of_servers(servers)
  for where, of_server in pairs(servers) do
    local ok, problem = false, "an address such as tcp://mail.example.net:587 expected"
    if is_server(where) then
      ok, problem = check.try(check.options, of_server, SERVER_KNOWN, 1, "sender")
    end
    if not ok and problem then
      return ("servers[%s]: %s"):format(tostring(where), problem)
    end
  end
end

local function is_name(text)
  return text ~= nil and (address.is_domain(text) or address.is_literal(text))
end

--- Makes the function `send` of a queue. It is called with a domain, whose servers DNS tells, with an
--- address literal, or with an address as of smtp.client: "tcp://mail.example.net:587".
---@param options moonwire.mail_relay_options
---@return fun(where: string, envelope: table, read: fun(): string?): moonwire.mail_result[]?, string?
function mail_relay.sender(options)
  check.type(options, "table", 1, "sender")
  check.options(options, KNOWN, 1, "sender")
  if not is_name(options.hostname) then
    check.refuse(1, "sender", "option 'hostname': the name of this server expected")
  end
  local problem = problem_of_servers(options.servers or {})
  if problem then
    check.refuse(1, "sender", problem)
  end
  local self = {
    own = without_dot(options.hostname), port = options.port or 25, servers = options.servers or {},
    of_all = {},
  }
  for _, name in ipairs(OF_ALL) do
    self.of_all[name] = options[name]
  end
  return function(where, envelope, read)
    return send(self, where, envelope, read)
  end
end

return mail_relay
