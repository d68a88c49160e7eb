--- Who somebody is, proven inside a protocol (RFC 4422): PLAIN, LOGIN and SCRAM-SHA-256, bound to the
--- connection or not, as server and as client. The protocol carries what they say; it is judged here.
local check = require "moonwire.check"
local client = require "moonwire.sasl.client"
local credentials = require "moonwire.sasl.credentials"
local scram = require "moonwire.sasl.scram"
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

-- Whether something could name a stream, if it is one of TLS.
local function is_connection(conn)
  return conn == nil or conn.channel_binding ~= nil
end

--- Whether SCRAM-SHA-256-PLUS can be offered on a connection: something names it to both ends.
---@param conn moonwire.stream
---@return boolean
function sasl.can_bind(conn)
  check.stream(conn, 1, "can_bind")
  return conn.channel_binding ~= nil and scram.best_binding(conn) ~= nil
end

--- The server's side of a dialogue.
---@param mechanism string "PLAIN", "LOGIN", "SCRAM-SHA-256" or "SCRAM-SHA-256-PLUS"
---@param users moonwire.sasl_credentials
---@param conn? moonwire.stream that the proof is bound to, or could be: SCRAM-SHA-256-PLUS is offered there
---@return moonwire.sasl_server? dialogue
---@return string? err
---@return moonwire.code? code "unsupported": no such mechanism, or nothing names the connection
function sasl.server(mechanism, users, conn)
  check.type(mechanism, "string", 1, "server")
  check.type(users, "table", 2, "server")
  if conn ~= nil then
    check.stream(conn, 3, "server")
  end
  if not is_connection(conn) then
    check.refuse(3, "server", "the stream of a connection expected")
  end
  return server.new(mechanism, users, conn)
end

--- The client's side of a dialogue.
---@param mechanism string "PLAIN", "LOGIN", "SCRAM-SHA-256" or "SCRAM-SHA-256-PLUS"
---@param options moonwire.sasl.client_options
---@param conn? moonwire.stream that the proof is bound to, or would be if the server had offered that
---@return moonwire.sasl_client? dialogue
---@return string? err
---@return moonwire.code? code "unsupported": no such mechanism, or nothing names the connection
function sasl.client(mechanism, options, conn)
  check.type(mechanism, "string", 1, "client")
  check.type(options, "table", 2, "client")
  check.options(options, CLIENT_KNOWN, 2, "client")
  if not options.user or not options.password or (options.user .. options.password):find("\0", 1, true) then
    check.refuse(2, "client", "'user' and 'password' expected, without NUL")
  end
  if conn ~= nil then
    check.stream(conn, 3, "client")
  end
  if not is_connection(conn) then
    check.refuse(3, "client", "the stream of a connection expected")
  end
  return client.new(mechanism, options, conn)
end

return sasl
