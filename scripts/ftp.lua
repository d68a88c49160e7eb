-- scripts/ftp.lua — an FTP server: users with folders of their own, quotas, TLS.
--
--   build/moonwire run scripts/ftp.lua --listen tcp://127.0.0.1:2121 --set root=/tmp --set users.bob=SECRET
-- In another terminal:
--   curl --user bob:SECRET -T README.md ftp://127.0.0.1:2121/
--   lftp -u bob,SECRET -p 2121 127.0.0.1
--
-- Settings (ctx.config):
--   root               path                the folder that users see as "/"; needed
--   users              name → password     or a hash of http.auth.hash_password, or a table:
--     users.N.password text
--     users.N.root     path                instead of `root`
--     users.N.quota    bytes               instead of `quota`
--     users.N.write    true or false       instead of `write`
--   anonymous          path, none          what "anonymous" and "ftp" may read, with any password
--   write              true or false       whether users may change anything; default true
--   quota              bytes, none         that may lie below a user's folder
--   sessions_per_user  number, 50          at a time
--   greeting           text, "Ready"
--   tls                "off", "optional" or "required"; default "off". The certificate is that of the service
--                      in the config; for `moonwire run`:
--   certificate, key   paths, none         or certificate=auto to try it out
--   require_session_reuse  true or false   whether TLS of data connections must go on from the session of the
--                      control connection; default false
--   active             true or false       whether PORT and EPRT are allowed; default true
--   public_address     IPv4, none          that PASV tells, behind address translation
--   passive_ports      two numbers, any    first and last port of passive connections
--   idle_timeout       seconds, 300        without a command
--   stall_timeout      seconds, 60         without a byte of a transfer
--   connect_timeout    seconds, 30         that a data connection may take
local check = require "moonwire.check"
local file = require "moonwire.file"
local ftp = require "moonwire.ftp"
local log = require "moonwire.log"
local metrics = require "moonwire.metrics"
local tally = require "moonwire.tally"

local KNOWN <const> = {
  root = "string", users = "table", anonymous = "string", write = "boolean", quota = "number",
  sessions_per_user = "integer", greeting = "string", tls = "string", certificate = "string", key = "string",
  active = "boolean", public_address = "string", passive_ports = "table", idle_timeout = "seconds",
  stall_timeout = "seconds", connect_timeout = "number", require_session_reuse = "boolean",
}
local KNOWN_USER <const> = { password = "string", root = "string", quota = "number", write = "boolean" }
local PASSED_ON <const> = { "greeting", "tls", "active", "public_address", "passive_ports", "idle_timeout",
  "stall_timeout", "connect_timeout", "require_session_reuse" }

local logins = metrics.counter("ftp_logins_total", "Logins by how they went.", { labels = { "result" } })
local transfers = metrics.counter("ftp_transfers_total", "Transfers by kind and reply.",
  { labels = { "kind", "reply" } })
local bytes = metrics.counter("ftp_transferred_bytes_total", "Bytes on data connections.",
  { labels = { "kind" } })
local sessions = metrics.gauge("ftp_sessions", "Users that are logged in.")

local service = {}
local people = {} -- name → { password, root, quota, write, sessions, folder, quota_of }

local function check_settings(config)
  check.options(config, KNOWN, 1, "settings")
  assert(config.root, "settings: root = a folder expected")
  for name, user in pairs(config.users or {}) do
    if type(user) ~= "table" then
      user = { password = user }
    end
    assert(type(name) == "string" and type(user.password) == "string",
      ("settings: users.%s: a password expected; one of digits alone only the config can tell"):format(name))
    check.options(user, KNOWN_USER, 1, "settings")
    people[name] = setmetatable({ sessions = 0 }, { __index = user })
  end
  assert(config.anonymous or next(people), "settings: users.NAME = a password expected")
end

-- Opens the folders, so that one that is missing is found at the start.
local function open_folders(config)
  if config.anonymous then
    local guest = { root = config.anonymous, write = false, sessions = 0, is_guest = true }
    people.anonymous, people.ftp = guest, guest
  end
  for _, user in pairs(people) do
    user.folder = user.folder or assert(file.root(user.root or config.root)):keep()
    user.limit = user.quota or (not user.is_guest and config.quota) or nil
    user.may_write = user.write
    if user.may_write == nil then
      user.may_write = config.write ~= false
    end
  end
end

local dialogue -- what moonwire.ftp makes of all this, from the start on
local passwords -- name, password → whether it is right, or nil and why it cannot be told

local function prepare_passwords()
  local secrets = {}
  for name, user in pairs(people) do
    secrets[name] = user.password
  end
  passwords = ftp.users(secrets)
end

local seats, prefix -- places of users, in all workers; what the keys of their quotas begin with

-- The first session of a user counts what there is; those of all workers share it, over the store.
local function quota_of(user, name)
  if user.limit and user.sessions == 0 then
    local options = { shared = prefix .. name, recount = seats:count(name) == 1 }
    user.counted = assert(ftp.quota(user.folder, user.limit, options))
  end
  return user.counted
end

local function account_of(name)
  local user = people[name]
  local seat = user and seats:enter(name)
  if not seat then
    return nil, user and "Too many sessions of yours"
  end
  local quota = quota_of(user, name)
  user.sessions = user.sessions + 1
  sessions:add(1)
  return {
    name = name, root = user.folder, may_write = user.may_write, quota = quota,
    user = user, seat = seat:keep(),
  }
end

local function login(name, password, conn)
  local user = people[name]
  local is_right, err = user and user.is_guest, nil
  if not is_right then
    is_right, err = passwords(name, password)
  end
  logins:add(1, is_right and "good" or err and "busy" or "bad")
  log.info("login", { user = name, good = is_right or false, tls = conn:tls() ~= nil })
  if not is_right then
    return nil, err
  end
  return account_of(name)
end

local function logout(account)
  account.seat:close()
  account.user.sessions = account.user.sessions - 1
  sessions:add(-1)
end

local function count_transfer(account, transfer)
  transfers:add(1, transfer.kind, transfer.reply)
  bytes:add(transfer.bytes, transfer.kind)
  log.info("transfer", {
    user = account.name, kind = transfer.kind, path = transfer.path, bytes = transfer.bytes,
    seconds = ("%.3f"):format(transfer.seconds), reply = transfer.reply,
  })
end

-- Of `moonwire run`; a daemon reads certificates before it gives up the right to.
local function certificate_of(config)
  if config.certificate == "auto" then
    return "auto"
  end
  return config.certificate and { certificate = config.certificate, key = config.key }
end

function service.start(ctx)
  local config = ctx.config
  check_settings(config)
  open_folders(config)
  prepare_passwords()
  service.options = { tls = certificate_of(config) }
  seats = tally.places("sessions", config.sessions_per_user or 50)
  prefix = ctx.name .. "/quota/"
  local options = {
    login = login, resume = account_of, on_logout = logout, on_transfer = count_transfer,
  }
  for _, key in ipairs(PASSED_ON) do
    options[key] = config[key]
  end
  dialogue = ftp.service(options)
end

function service.connect(conn) return dialogue.connect(conn) end

function service.resume(conn, state) return dialogue.resume(conn, state) end

return service
