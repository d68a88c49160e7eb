--- A client that sends mail (RFC 5321) to a server: to one that the message is for, or to one that passes it
--- on.
---
---     local mailer = require "moonwire.smtp.client"
---     local results = assert(mailer.send("mx.example.org", envelope, text, { hostname = "me.example.org" }))
local address = require "moonwire.smtp.address"
local answer = require "moonwire.smtp.answer"
local check = require "moonwire.check"
local delivery = require "moonwire.smtp.delivery"
local net = require "moonwire.net"
local opening = require "moonwire.smtp.opening"
local outgoing = require "moonwire.smtp.outgoing"

local mailer = {}

---@class moonwire.smtp.send_options
---@field hostname string what the client calls itself
---@field starttls? false|"try"|"required" default "try"; what is tried is not verified, unless `tls` is there
---@field tls? moonwire.tls_client_options
---@field user? string
---@field password? string
---@field mechanisms? string[] default { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN" }
---@field auth_in_clear? boolean a password may be sent without TLS; default false
---@field timeout? number|false seconds for name and connection; default 30
---@field command_timeout? number|false seconds for a reply, and for each piece to leave; default 300
---@field end_timeout? number|false seconds for the reply to a message; default 600
---@field local_address? string to connect from: "127.0.0.2:0"

---@class moonwire.smtp.outgoing
---@field sender string "": none
---@field recipients (string|moonwire.smtp.recipient)[]
---@field body? "7bit"|"8bitmime"
---@field smtputf8? boolean there is more than ASCII in the header
---@field size? integer bytes
---@field ret? "full"|"hdrs"
---@field envid? string

---@class moonwire.smtp.result
---@field address string
---@field is_delivered boolean
---@field is_permanent boolean it is of no use to try again
---@field code integer
---@field enhanced string?
---@field text string

local KNOWN <const> = {
  hostname = "string", starttls = "any", tls = "table", user = "string", password = "string",
  mechanisms = "table", auth_in_clear = "boolean", timeout = "seconds", command_timeout = "seconds",
  end_timeout = "seconds", local_address = "string",
}

local DEFAULTS <const> = {
  starttls = "try", mechanisms = { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN" },
  timeout = 30, command_timeout = 300,
  end_timeout = 600,
}

local WISHES <const> = { [false] = true, try = true, required = true }

local function problem_of(options)
  local name = options.hostname
  if not name or not (address.is_domain(name) or address.is_literal(name)) then
    return "option 'hostname': the name of this client expected"
  elseif options.starttls ~= nil and not WISHES[options.starttls] then
    return "option 'starttls': false, 'try' or 'required' expected"
  elseif (options.user ~= nil) ~= (options.password ~= nil) then
    return "options 'user' and 'password' belong together"
  end
end

local function with_defaults(options)
  return setmetatable({}, {
    __index = function(_, name)
      local value = options[name]
      if value == nil then
        return DEFAULTS[name]
      end
      return value
    end,
  })
end

---@class moonwire.smtp_connection
---@field private conn moonwire.stream
---@field private options moonwire.smtp.send_options
---@field private extensions table<string, string>
local Connection = { __name = "moonwire.smtp_connection" }
Connection.__index = Connection

local function dial(where, options)
  local target = where:find("://", 1, true) and where or "tcp://" .. where .. ":25"
  return net.connect(target, {
    timeout = options.timeout, read_timeout = options.command_timeout, local_address = options.local_address,
    write_timeout = options.command_timeout, tls = target:find("^tls:") and options.tls or nil,
  })
end

local function open(where, options)
  local settings = with_defaults(options)
  local conn, err, code = dial(where, settings)
  if not conn then
    return nil, err, code
  end
  local self = setmetatable({ conn = conn, options = settings, extensions = {} }, Connection)
  local ok, why, kind, reply = opening.perform(self)
  if not ok then
    conn:close()
    return nil, ("%s: %s"):format(where, why), kind, reply
  end
  return self
end

-- The tail of public functions, whose callers are blamed.
local function connect(where, options, position, name, become)
  check.type(where, "string", 1, name)
  check.type(options, "table", position, name)
  check.options(options, KNOWN, position, name)
  local problem = problem_of(options)
  if problem then
    check.refuse(position, name, problem)
  end
  return become(open(where, options))
end

local function itself(...)
  return ...
end

--- Connects to a server and comes so far that messages can be sent.
---@param where string a host, whose port is 25, or an address as of net.connect; tls:// begins with TLS
---@param options moonwire.smtp.send_options
---@return moonwire.smtp_connection? connection closes with the task that opened it
---@return string? err
---@return moonwire.code? code "refused": the server says no, and a fourth value is its reply; "unsupported",
---  "protocol", and as of net.connect
---@return moonwire.smtp.answer? reply
function mailer.connect(where, options)
  return connect(where, options, 2, "connect", itself)
end

--- Sends a message.
---@param envelope moonwire.smtp.outgoing
---@param source string|fun(): string?, string?, string?
---@return moonwire.smtp.result[]? results one for each recipient
---@return string? err
---@return moonwire.code? code "invalid", "unsupported", "protocol", "timeout", "eof", "reset", "closed"
function Connection:send(envelope, source)
  check.object(self, Connection, "send")
  check.type(envelope, "table", 1, "send")
  check.type(envelope.recipients, "table", 1, "send")
  if type(source) ~= "string" and type(source) ~= "function" then
    check.refuse(2, "send", "a string or a function expected")
  end
  local checked, problem = outgoing.read(envelope)
  if not checked then
    return nil, "send message: " .. problem, "invalid"
  end
  local results, err, code = delivery.perform(self, checked, source)
  if not results then
    self.conn:abort() -- nobody knows where it stands
    return nil, err, code
  end
  return results
end

--- Whether TLS protects it, and how.
---@return table? tls as of stream:tls
function Connection:tls()
  check.object(self, Connection, "tls")
  return self.conn:tls()
end

--- What the server can do besides: the parameters of an extension that it has offered.
---@param name string in capital letters: "DSN"
---@return string? parameters "" when there are none; nil: it has not
function Connection:extension(name)
  check.object(self, Connection, "extension")
  check.type(name, "string", 1, "extension")
  return self.extensions[name]
end

--- Takes leave. May be called again.
function Connection:close()
  check.object(self, Connection, "close")
  if self.conn:is_open() then
    answer.ask(self.conn, "QUIT")
    self.conn:close()
  end
end

Connection.__close = Connection.close

--- Sends one message: connects, sends, and takes leave.
---@param where string as of connect
---@param envelope moonwire.smtp.outgoing
---@param source string|fun(): string?, string?, string?
---@param options moonwire.smtp.send_options
---@return moonwire.smtp.result[]? results one for each recipient
---@return string? err
---@return moonwire.code? code as of connect and of smtp_connection:send
function mailer.send(where, envelope, source, options)
  return connect(where, options, 4, "send", function(connection, err, code, reply)
    if not connection then
      return nil, err, code, reply
    end
    local results
    results, err, code = connection:send(envelope, source)
    connection:close()
    return results, err, code
  end)
end

return mailer
