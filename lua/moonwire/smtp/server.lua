--- A server of mail (RFC 5321). It keeps to the protocol and to its limits; whom and what to take, and where
--- to put it, a policy says.
---
---     local smtp = require "moonwire.smtp.server"
---     return smtp.service({ on_message = receive }, { hostname = "mx.example.org" })
local address = require "moonwire.smtp.address"
local check = require "moonwire.check"
local dialogue = require "moonwire.smtp.dialogue"
local net = require "moonwire.net"
local sasl = require "moonwire.sasl"

local smtp = {}

---@class moonwire.smtp.session
---@field id string
---@field client string? address of the client without port; nil: it came by a Unix socket
---@field peer string as of stream:peer_address
---@field hello string? what the client calls itself
---@field esmtp boolean whether it has said EHLO
---@field tls table? as of stream:tls
---@field user string? who it has proven to be
---@field data table the policy's own, plain data, which moves to new code at a reload
---@field envelope moonwire.smtp.envelope? of the message that has begun

---@class moonwire.smtp.recipient
---@field address string
---@field local_part string
---@field domain string "" of "Postmaster"
---@field notify string[]? "success", "failure", "delay", or only "never"
---@field orcpt string? "rfc822;ann@example.org"

---@class moonwire.smtp.envelope
---@field id string
---@field sender string "": it is a report, and nobody wants one about it
---@field recipients moonwire.smtp.recipient[]
---@field body "7bit"|"8bitmime"|"binarymime"
---@field smtputf8 boolean
---@field size integer? bytes, as the client says
---@field ret "full"|"hdrs"|nil
---@field envid string?
---@field auth string? who has submitted it at first, as a user says who sends for others
---@field protocol string "ESMTPS", for the field Received
---@field hello string
---@field client string?
---@field user string?

---@class moonwire.smtp.sink
---@field write fun(self, chunk: string): boolean?, any, any may wait: the client waits, too
---@field commit fun(self): boolean?, any, any when it returns true, the message is safe
---@field abort? fun(self)

---@class moonwire.smtp.policy
---@field on_connect? fun(session): boolean?, string?, string?
---@field on_hello? fun(session, name: string): boolean?, string?, string?
---@field on_user? fun(session, user: string): boolean?, string?, string?
---@field on_sender? fun(session, mailbox: moonwire.smtp.mailbox|false, envelope): boolean?, string?, string?
---@field on_recipient? fun(session, recipient: moonwire.smtp.recipient, envelope): boolean?, string?, string?
---@field on_message fun(session, envelope): moonwire.smtp.sink?, string?, string?
---@field on_resume? fun(session)
---@field on_close? fun(session)

---@class moonwire.smtp.server_options
---@field hostname string the server's own name
---@field name? string by which states are told apart that move at a reload; default "smtp"
---@field starttls? false|"offer"|"required" default false
---@field users? table<string, string>|fun(user: string): string? as of sasl.credentials
---@field credentials? moonwire.sasl_credentials instead of users
---@field mechanisms? string[] default { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN" }
---@field auth_in_clear? boolean passwords may be sent without TLS; default false
---@field auth_failures_max? integer wrong passwords, until the connection ends; default 3
---@field submission? boolean only for users, whose messages get a date and an id; default false
---@field dsn? boolean reports can be asked for (RFC 3461), which the policy sends; default true
---@field binarymime? boolean messages may be of any bytes (RFC 3030); default false
---@field size_max? integer bytes of a message; default 33554432
---@field recipients_max? integer of a message; default 100
---@field messages_max? integer of a connection; default 1000
---@field errors_max? integer commands that are refused, until the connection ends; default 20
---@field junk_max? integer NOOP, RSET and the like since the last message; default 100
---@field header_max? integer bytes of a message's header; default 262144
---@field hops_max? integer fields Received; default 100
---@field line_max? integer bytes of a command; default 2048
---@field text_line_max? integer bytes of a line of a message; default 65536
---@field command_timeout? number|false seconds to wait for a command; default 300
---@field data_timeout? number|false seconds to wait for the next bytes of a message; default 300
---@field message_timeout? number|false seconds that a message may take; default 3600
---@field banner_delay? number|false seconds before the greeting, in which nothing may come; default 0

local KNOWN <const> = {
  hostname = "string", name = "string", starttls = "any", users = "any", credentials = "table",
  mechanisms = "table", auth_in_clear = "boolean", auth_failures_max = "integer", submission = "boolean",
  dsn = "boolean", binarymime = "boolean", size_max = "integer", recipients_max = "integer",
  messages_max = "integer", errors_max = "integer", junk_max = "integer", header_max = "integer",
  hops_max = "integer", line_max = "integer", text_line_max = "integer", command_timeout = "seconds",
  data_timeout = "seconds", message_timeout = "seconds", banner_delay = "seconds",
}

local DEFAULTS <const> = {
  name = "smtp", starttls = false, auth_in_clear = false,
  mechanisms = { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN" },
  auth_failures_max = 3, submission = false, dsn = true, binarymime = false, size_max = 32 * 1024 * 1024,
  recipients_max = 100, messages_max = 1000, errors_max = 20, junk_max = 100, header_max = 262144,
  hops_max = 100, line_max = 2048, text_line_max = 65536, command_timeout = 300, data_timeout = 300,
  message_timeout = 3600, banner_delay = 0,
}

local MECHANISMS <const> = {
  ["SCRAM-SHA-256-PLUS"] = true, ["SCRAM-SHA-256"] = true, PLAIN = true, LOGIN = true,
}

local CALLBACKS <const> = {
  on_connect = "function", on_hello = "function", on_user = "function", on_sender = "function",
  on_recipient = "function", on_message = "function", on_resume = "function", on_close = "function",
}

local function with_defaults(options)
  local settings = {}
  for name, value in pairs(DEFAULTS) do
    settings[name] = value
  end
  for name, value in pairs(options) do
    settings[name] = value
  end
  settings.credentials = options.credentials or options.users and sasl.credentials(options.users) or nil
  return settings
end

-- What is wrong with how users say who they are.
local function problem_of_users(options)
  local kind = type(options.users)
  if options.users ~= nil and kind ~= "table" and kind ~= "function" then
    return "option 'users': a table or a function expected"
  elseif options.users and options.credentials then
    return "either 'users' or 'credentials' expected"
  elseif options.submission and not options.users and not options.credentials then
    return "option 'submission' needs 'users'"
  end
  for _, name in ipairs(options.mechanisms or {}) do
    if not MECHANISMS[name] then
      return ("option 'mechanisms': no mechanism '%s'"):format(tostring(name))
    end
  end
end

local function is_name(text)
  return text ~= nil and (address.is_domain(text) or address.is_literal(text))
end

local function problem_of(policy, options)
  local starttls = options.starttls or false
  if not policy.on_message then
    return 1, "a policy has a function 'on_message'"
  elseif not is_name(options.hostname) then
    return 2, "option 'hostname': the name of this server expected"
  elseif starttls and starttls ~= "offer" and starttls ~= "required" then
    return 2, "option 'starttls': false, 'offer' or 'required' expected"
  end
  return 2, problem_of_users(options)
end

---@class moonwire.smtp_server
---@field private policy moonwire.smtp.policy
---@field private settings moonwire.smtp.server_options
local Server = { __name = "moonwire.smtp_server" }
Server.__index = Server

-- Makes a server and what shall become of it. Is the tail of public functions, whose callers are blamed.
local function make(policy, options, name, become)
  check.type(policy, "table", 1, name)
  check.options(policy, CALLBACKS, 1, name)
  check.type(options, "table", 2, name)
  check.options(options, KNOWN, 2, name)
  local position, problem = problem_of(policy, options)
  if problem then
    check.refuse(position, name, problem)
  end
  return become(setmetatable({ policy = policy, settings = with_defaults(options) }, Server))
end

--- Talks with a client until it leaves. Called by the task that the connection belongs to.
---@param conn moonwire.stream
function Server:serve(conn)
  check.object(self, Server, "serve")
  check.stream(conn, 1, "serve")
  dialogue.serve(conn, self.policy, self.settings)
end

--- Goes on with a client that a reload has moved.
---@param conn moonwire.stream
---@param state table whose `name` is that of the options
function Server:resume(conn, state)
  check.object(self, Server, "resume")
  check.stream(conn, 1, "resume")
  check.type(state, "table", 2, "resume")
  dialogue.resume(conn, state, self.policy, self.settings)
end

local function itself(server)
  return server
end

--- Makes a server for a script that serves several protocols.
---@param policy moonwire.smtp.policy
---@param options moonwire.smtp.server_options
---@return moonwire.smtp_server
function smtp.new(policy, options)
  return make(policy, options, "new", itself)
end

local function as_service(server)
  return {
    connect = function(conn)
      server:serve(conn)
    end,
    resume = function(conn, state)
      server:resume(conn, state)
    end,
  }
end

--- What a script returns that is a server of mail and nothing else.
---@param policy moonwire.smtp.policy
---@param options moonwire.smtp.server_options
---@return moonwire.service
function smtp.service(policy, options)
  return make(policy, options, "service", as_service)
end

--- Serves an address.
---@param where string as of net.serve
---@param policy moonwire.smtp.policy
---@param options moonwire.smtp.server_options
---@param connections? moonwire.serve_options
---@return moonwire.listener? listener
---@return string? err
---@return moonwire.code? code as of net.listen
function smtp.serve(where, policy, options, connections)
  return make(policy, options, "serve", function(server)
    return net.serve(where, as_service(server).connect, connections)
  end)
end

return smtp
