--- FTP (RFC 959, 1123, 2389, 2428, 3659, 4217): the file transfer protocol. Who may log in to a server, and
--- what to, is for the script to say.
---
---     return ftp.service { login = function(name, password) return account end }
local check = require "moonwire.check"
local client = require "moonwire.ftp.client"
local quota = require "moonwire.quota"
local sasl = require "moonwire.sasl"
local server = require "moonwire.ftp.server"

local ftp = {}

local TIMEOUT_DEFAULT <const> = 30
local PASSWORD_MOST <const> = 1024 -- bytes

---@class moonwire.ftp_account
---@field name string
---@field root moonwire.folder what the user sees as "/"; from file.root, kept as long as the account
---@field may_write? boolean default false
---@field quota? moonwire.quota of ftp.quota; shared by all sessions of the user

---@class moonwire.ftp_service_options
--- The account for a name and a password; nil: they are wrong; nil, text: not now, and the connection ends.
--- May wait. Required.
---@field login fun(name: string, password: string, conn: moonwire.stream): moonwire.ftp_account?, string?
--- The account of one who was logged in before a reload; nil ends the connection. Default: nobody.
---@field resume? fun(name: string, conn: moonwire.stream): moonwire.ftp_account?
---@field on_logout? fun(account: moonwire.ftp_account) called when the session of an account ends
--- Called after each transfer: kind ("download", "upload", "list"), path, bytes, seconds, reply (226: it went
--- well), peer.
---@field on_transfer? fun(account: moonwire.ftp_account, transfer: table)
---@field greeting? string default "Ready"
---@field tls? "off"|"optional"|"required" AUTH TLS and PROT P; default "off"
---@field active? boolean whether the server connects to clients (PORT, EPRT); default true
---@field public_address? string IPv4 address that PASV tells, behind address translation
---@field passive_ports? integer[] first and last port of passive data connections; default: any
---@field idle_timeout? number|false seconds without a command; default 300
---@field stall_timeout? number|false seconds without a byte that end a transfer; default 60
--- Whether TLS of data connections must resume the session of the control connection; default false.
---@field require_session_reuse? boolean
---@field failure_delay? number seconds that a wrong password costs; default 1
---@field connect_timeout? number seconds that a data connection may take; default 30
---@field names_most? integer names in a folder that is listed; default 100000

local KNOWN <const> = {
  login = "function", resume = "function", on_logout = "function", on_transfer = "function",
  greeting = "string", tls = { off = true, optional = true, required = true }, active = "boolean",
  public_address = "string", passive_ports = "table", idle_timeout = "seconds", stall_timeout = "seconds",
  connect_timeout = "number", require_session_reuse = "boolean", failure_delay = "number",
  names_most = "integer",
}

local function is_port(value)
  return math.type(value) == "integer" and value >= 1 and value <= 65535
end

local function problem_of(options)
  local ports, public = options.passive_ports, options.public_address
  if not options.login then
    return "option 'login': a function expected"
  elseif ports and not (is_port(ports[1]) and is_port(ports[2]) and ports[1] <= ports[2]) then
    return "option 'passive_ports': the first and the last port expected"
  elseif public and not public:find("^%d+%.%d+%.%d+%.%d+$") then
    return "option 'public_address': an IPv4 address expected"
  elseif (options.greeting or ""):find("%c") then
    return "option 'greeting': a line of text expected"
  end
end

--- A service: what a script returns. Its connections move at a reload, between commands, when no data
--- connection is agreed on.
---@param options moonwire.ftp_service_options
---@return moonwire.service
function ftp.service(options)
  check.type(options, "table", 1, "service")
  check.options(options, KNOWN, 1, "service")
  local problem = problem_of(options)
  if problem then
    check.refuse(1, "service", problem)
  end
  return server.service(options)
end

--- A quota: how many bytes may lie below a folder. Counts what lies there already, which waits; from then on
--- it counts what sessions with this quota write and remove.
---@param root moonwire.folder
---@param limit integer bytes
---@param options? moonwire.quota_options
---@return moonwire.quota? quota
---@return string? err
---@return moonwire.code? code "too_large" (a million names, 64 folders in each other), "not_found", "denied"
function ftp.quota(root, limit, options)
  check.folder(root, 1, "quota")
  check.count(limit, 2, "quota")
  return quota.new(root, limit, options)
end

--- A function that tells whether a password is the user's: of a table with the password of each name, or a
--- hash of http.auth.hash_password, as sasl.credentials knows them. It returns nil and a message for the
--- client when it cannot be told, since too many ask at once.
---@param table table<string, string>
---@return fun(name: string, password: string): boolean?, string?
function ftp.users(table)
  check.type(table, "table", 1, "users")
  for name, secret in pairs(table) do
    if type(name) ~= "string" or type(secret) ~= "string" then
      check.refuse(1, "users", ("names and passwords are strings; that of %s is none"):format(tostring(name)))
    end
  end
  local credentials = sasl.credentials(table)
  return function(name, password)
    if #password > PASSWORD_MOST then
      return false
    end
    local is_right = credentials:verify(name, password)
    if is_right == nil then
      return nil, "Not now, try again later"
    end
    return is_right
  end
end

---@class moonwire.ftp_connect_options
---@field user? string default "anonymous"
---@field password? string default "anonymous@"
--- Options of TLS, as of net.connect: the server must do AUTH TLS, and all data go over TLS. Of a tcp://
--- address; a tls:// address has TLS in any case. Default: in clear.
---@field tls? moonwire.tls_client_options
---@field active? boolean whether the server connects to us for data; default false
---@field timeout? number|false seconds that each wait may take; default 30

local CONNECT_KNOWN <const> = {
  user = "string", password = "string", tls = "table", active = "boolean", timeout = "seconds",
}

--- Connects to a server and logs in.
---@param address string "tcp://host:21", "tls://host:990"
---@param options? moonwire.ftp_connect_options
---@return moonwire.ftp_client? client
---@return string? err
---@return moonwire.code? code as of net.connect; "denied": the password is wrong; "protocol", "invalid"
function ftp.connect(address, options)
  check.type(address, "string", 1, "connect")
  check.options(options, CONNECT_KNOWN, 2, "connect")
  if not address:find("^t[cl][ps]://") then
    check.refuse(1, "connect", "tcp://host:port or tls://host:port expected")
  end
  options = options or {}
  local timeout = options.timeout
  local connected, err, code = client.connect(address, {
    user = options.user or "anonymous", password = options.password or "anonymous@", tls = options.tls,
    active = options.active, timeout = timeout == nil and TIMEOUT_DEFAULT or timeout,
  })
  if connected == false then
    check.refuse(1, "connect", err)
  end
  return connected, err, code
end

return ftp
