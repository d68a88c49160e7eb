--- A postfix for specs, with config, queue and mailboxes in a folder of its own, on a port of its own.
---
---     local there <close> = postfix.start { domain = "example.net", users = { "carl" }, port = port,
---       routes = { ["example.org"] = "127.0.0.1:2525" }, certificate = path, key = path }
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local net = require "moonwire.net"
local process = require "spec.support.process"

local postfix = {}

---@class spec.postfix
---@field place spec.folder its mailboxes are in "boxes"
---@field address string
---@field port string
local Postfix = {}
Postfix.__index = Postfix

local MAIN <const> = [[
compatibility_level = 3.6
queue_directory = PLACE/spool
data_directory = PLACE/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = PLACE/log
maillog_file_prefixes = PLACE
myhostname = mx.DOMAIN
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = DOMAIN
virtual_mailbox_base = PLACE/boxes
virtual_mailbox_maps = inline:{USERS}
virtual_uid_maps = static:UID
virtual_gid_maps = static:GID
virtual_minimum_uid = 1
transport_maps = inline:{ROUTES}
disable_dns_lookups = yes
alias_maps =
alias_database =
smtputf8_enable = yes
smtpd_tls_cert_file = CERTIFICATE
smtpd_tls_key_file = KEY
smtpd_tls_security_level = may
smtp_tls_security_level = may
smtp_tls_loglevel = 1
minimal_backoff_time = 1s
queue_run_delay = 1s
]]

local MASTER <const> = [[
127.0.0.1:PORT inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
]]

--- A port on loopback that is free.
---@return string
function postfix.free_port()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  return listener:local_address():match "%d+$"
end

local function run(command)
  command.seconds = 60
  local status, output, errors = process.run(command)
  assert(status == 0, output .. errors)
  return output
end

local function users_of(options)
  local list = {}
  for i, name in ipairs(options.users) do
    list[i] = ("{%s@%s=%s/}"):format(name, options.domain, name)
  end
  return table.concat(list, ",")
end

local function routes_of(options)
  local list = {}
  for domain, address in pairs(options.routes) do
    list[#list + 1] = ("{%s=smtp:[%s]:%s}"):format(domain, address:match "([%d.]+):(%d+)$")
  end
  return table.concat(list, ",")
end

local function write_config(self, options)
  local values = {
    PLACE = self.place.path, DOMAIN = options.domain, USERS = users_of(options), ROUTES = routes_of(options),
    UID = run({ "id", "-u", "postfix" }):match "%d+", GID = run({ "id", "-g", "postfix" }):match "%d+",
    CERTIFICATE = options.certificate, KEY = options.key, PORT = self.port,
  }
  for file, text in pairs { ["main.cf"] = MAIN, ["master.cf"] = MASTER } do
    self.place:write("etc/" .. file, (text:gsub("%f[%u]%u+%f[%U]", values)))
  end
end

--- Starts it and waits until it answers.
---@param options table domain, users (names), routes (domain → address), port, certificate and key (paths)
---@return spec.postfix
function postfix.start(options)
  local self = setmetatable({ place = folder.new(), port = options.port }, Postfix)
  self.address = "tcp://127.0.0.1:" .. self.port
  for _, name in ipairs { "spool", "data", "boxes" } do
    assert(lfs.mkdir(self.place.path .. "/" .. name))
  end
  write_config(self, options)
  run { "chown", "postfix", self.place.path .. "/data", self.place.path .. "/boxes" }
  run { "chmod", "755", self.place.path }
  run { "postfix", "-c", self.place.path .. "/etc", "start" }
  condition.wait_until(function()
    local conn <close> = net.connect(self.address, { timeout = 10, read_timeout = 10 })
    return conn and conn:read_line()
  end, 30, function() return "postfix does not answer: " .. self:log() end)
  return self
end

--- Its log so far.
---@return string
function Postfix:log()
  return self.place:read "log" or ""
end

--- Ends it.
function Postfix:stop()
  run { "postfix", "-c", self.place.path .. "/etc", "stop" }
  self.place:remove()
end

Postfix.__close = Postfix.stop

return postfix
