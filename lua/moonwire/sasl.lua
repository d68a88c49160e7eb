--- Who somebody is, proven inside a protocol (RFC 4422): PLAIN, LOGIN and SCRAM-SHA-256, as server and as
--- client. The protocol carries challenges and responses; what they say is made and judged here.
local check = require "moonwire.check"
local client = require "moonwire.sasl.client"
local credentials = require "moonwire.sasl.credentials"
local server = require "moonwire.sasl.server"

local sasl = {}

---@class moonwire.sasl.client_options
---@field user string
---@field password string

local CLIENT_KNOWN <const> = { user = "string", password = "string" }

--- The users of a server. For each of them there is the password itself, a hash of `auth.hash_password`, or a
--- verifier of SCRAM: "SCRAM-SHA-256$4096:salt$stored key:server key", with base64.
---@param users table<string, string>|fun(user: string): string? a table, or what looks users up; may wait
---@return moonwire.sasl_credentials
function sasl.credentials(users)
  if type(users) ~= "function" then
    check.type(users, "table", 1, "credentials")
    for name, secret in pairs(users) do
      if type(name) ~= "string" or type(secret) ~= "string" then
        check.refuse(1, "credentials", "names and secrets must be strings")
      end
    end
  end
  return credentials.new(users)
end

--- The server's side of a dialogue.
---@param mechanism string "PLAIN", "LOGIN" or "SCRAM-SHA-256"
---@param users moonwire.sasl_credentials
---@return moonwire.sasl_server? dialogue
---@return string? err
---@return moonwire.code? code "unsupported"
function sasl.server(mechanism, users)
  check.type(mechanism, "string", 1, "server")
  check.type(users, "table", 2, "server")
  return server.new(mechanism, users)
end

--- The client's side of a dialogue.
---@param mechanism string "PLAIN", "LOGIN" or "SCRAM-SHA-256"
---@param options moonwire.sasl.client_options
---@return moonwire.sasl_client? dialogue
---@return string? err
---@return moonwire.code? code "unsupported"
function sasl.client(mechanism, options)
  check.type(mechanism, "string", 1, "client")
  check.type(options, "table", 2, "client")
  check.options(options, CLIENT_KNOWN, 2, "client")
  if not options.user or not options.password or (options.user .. options.password):find("\0", 1, true) then
    check.refuse(2, "client", "'user' and 'password' expected, without NUL")
  end
  return client.new(mechanism, options)
end

return sasl
