--- A server of POP3 (RFC 1939), with which mail programs fetch what is in a Maildir. Who may read what, a
--- policy says.
---
---     return pop3.service({ on_login = function(session, name, password)
---       return is_right(name, password) and "/var/mail/" .. name
---     end }, { starttls = true })
local check = require "moonwire.check"
local dialogue = require "moonwire.pop3.session"
local metrics = require "moonwire.metrics"

local pop3 = {}

---@class moonwire.pop3.session
---@field peer string as of stream:peer_address
---@field tls table? as of stream:tls
---@field user string? behind the login

---@class moonwire.pop3.policy
--- The path of the user's Maildir, which is made when there is none; nil or false: there is no such user, or
--- the password is wrong; `nil, err`: it cannot be told now. May wait. Names come from strangers: they are no
--- parts of paths before they are known.
---@field on_login? fun(session: moonwire.pop3.session, name: string, password: string): string|false?, any
--- The same for a user who has proven to be it, by `credentials`.
---@field on_user? fun(session: moonwire.pop3.session, user: string): string|false?, string?

---@class moonwire.pop3.options
---@field credentials? moonwire.sasl_credentials for AUTH, and for PASS when there is no on_login
---@field mechanisms? string[] of AUTH; default { "SCRAM-SHA-256", "PLAIN" }
---@field starttls? boolean whether STLS is offered, with the certificates of the listener; default false
---@field clear_passwords? boolean whether passwords are taken without TLS; default false
---@field greeting? string default "POP3 ready"
---@field messages_max? integer of a mailbox that are shown, the oldest; default 10000
---@field errors_max? integer commands that are refused until the connection ends; default 20
---@field failures_max? integer logins that are refused until the connection ends; default 3
---@field failure_delay? number seconds before a login is refused, 60 at most; default 2
---@field login_timeout? number|false seconds to wait for a command before the login; default 60
---@field idle_timeout? number|false seconds to wait for a command after it; default 600

local KNOWN <const> = {
  credentials = "table", mechanisms = "table", starttls = "boolean", clear_passwords = "boolean",
  greeting = "string", messages_max = "integer",
  errors_max = "integer", failures_max = "integer", failure_delay = "number", login_timeout = "seconds",
  idle_timeout = "seconds",
}
local CALLBACKS <const> = { on_login = "function", on_user = "function" }
local MECHANISMS <const> = { ["SCRAM-SHA-256"] = true, PLAIN = true, LOGIN = true }
local DEFAULTS <const> = {
  mechanisms = { "SCRAM-SHA-256", "PLAIN" }, starttls = false, clear_passwords = false,
  greeting = "POP3 ready", messages_max = 10000, errors_max = 20,
  failures_max = 3, failure_delay = 2, login_timeout = 60, idle_timeout = 600,
}

local function new_metrics()
  return {
    logins = metrics.counter("pop3_logins_total", "Logins by outcome.", { labels = { "result" } }),
    sent = metrics.counter("pop3_messages_sent_total", "Messages that were sent, or their top."),
    removed = metrics.counter("pop3_messages_removed_total", "Messages that clients have removed."),
  }
end

local function with_defaults(options)
  local settings = {}
  for name, value in pairs(DEFAULTS) do
    settings[name] = value
  end
  for name, value in pairs(options or {}) do
    settings[name] = value
  end
  return settings
end

-- What is wrong with how users say who they are, and the argument.
local function problem_of(policy, options)
  local credentials = options and options.credentials
  if not policy.on_login and not credentials then
    return "a policy has a function 'on_login', or 'on_user' with the option 'credentials'", 1
  elseif (policy.on_user ~= nil) ~= (credentials ~= nil) then
    return "the function 'on_user' and the option 'credentials' belong together", 2
  elseif credentials and type(credentials.has_scram) ~= "function" then
    return "option 'credentials': what sasl.credentials returns expected", 2
  end
  for _, name in ipairs(options and options.mechanisms or {}) do
    if not MECHANISMS[name] then
      return ("option 'mechanisms': no mechanism '%s'"):format(tostring(name)), 2
    end
  end
end

--- A service: what a script returns that serves POP3. Its `connect` and `resume` may be called by a script
--- that serves other protocols, too.
---@param policy moonwire.pop3.policy
---@param options? moonwire.pop3.options
---@return moonwire.service
function pop3.service(policy, options)
  check.type(policy, "table", 1, "service")
  check.options(policy, CALLBACKS, 1, "service")
  check.options(options, KNOWN, 2, "service")
  local problem, position = problem_of(policy, options)
  if problem then
    check.refuse(position, "service", problem)
  end
  local settings = with_defaults(options)
  if settings.greeting:find "[%c\127-\255]" then
    check.refuse(2, "service", "option 'greeting': visible ASCII expected")
  elseif settings.failure_delay < 0 or settings.failure_delay > 60 then
    check.refuse(2, "service", "option 'failure_delay': seconds from 0 to 60 expected")
  end
  local server = { policy = policy, settings = settings, metrics = new_metrics() }
  return {
    connect = function(conn) dialogue.serve(server, conn) end,
    resume = function(conn, state) dialogue.resume(server, conn, state) end,
  }
end

return pop3
