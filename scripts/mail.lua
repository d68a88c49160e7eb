-- scripts/mail.lua — a mail server: takes mail, delivers it to mailboxes, hands it on, and lets it be read.
--
--   build/moonwire run scripts/mail.lua --listen tcp://127.0.0.1:2525 --set domain=example.org \
--     --set maildir=/tmp/mail --set users.bob=SECRET
--   swaks --server 127.0.0.1:2525 --to bob@example.org
--
-- Doors: "smtp", for other servers, which listeners have that name none; "submission" for users who send;
-- "pop3" for users who read: --listen submission=tls://127.0.0.1:4650 --listen pop3=tls://127.0.0.1:9950
--
-- Settings (ctx.config):
--   domain             name or list        whose mail is ours; needed
--   maildir            path                has a Maildir for each user, by the name; needed
--   queue              path, MAILDIR/.queue  where mail is that was promised and not delivered yet
--   hostname           name, first domain  of this server
--   users              name → password     or a hash of http.auth.hash_password, or a verifier of SCRAM
--   aliases            name → name, address or list of them
--   catch_all          name, none          who gets what is for nobody; without users: postmaster
--   networks           list, none          of networks that may send to everywhere, as users may
--   any_sender         true or false       whether users may send as others; default false
--   smarthost          address, none       takes what is for others: tcp://mail.example.net:587; default: DNS
--   smarthost_options  table, none         user, password, starttls, tls … for it, as of mail.relay
--   starttls           true or false       whether TLS can be begun; default: whether there is `certificate`
--   certificate, key   paths, none         of `moonwire run`, or certificate=auto; a service has `tls`
--   auth_in_clear      true or false       whether passwords may come without TLS; default false
--   channel_binding    true or false       whether SCRAM-SHA-256-PLUS is offered, which some cannot; false
--   quota              bytes, none         of a mailbox: beyond it senders shall try again later
--   size_max           bytes, 33554432     of a message
--   recipients_max     number, 100         of a message
--   messages_per_hour  number, 1000        of a user, or of an address of others
--   deliveries         number, 32          at a time, in each worker
--   expire             seconds, 432000     until a message is given up
--   delay_notice       seconds, 14400      until its sender is told that it takes long; false: never
--   retry_first, retry_last  seconds, 300 and 14400  between attempts, doubled each time
local address = require "moonwire.smtp.address"
local check = require "moonwire.check"
local ipset = require "moonwire.ipset"
local log = require "moonwire.log"
local mail_directory = require "moonwire.mail.directory"
local mail_queue = require "moonwire.mail.queue"
local mail_relay = require "moonwire.mail.relay"
local maildir = require "moonwire.maildir"
local metrics = require "moonwire.metrics"
local pop3 = require "moonwire.pop3"
local sasl = require "moonwire.sasl"
local smtp = require "moonwire.smtp.server"
local store = require "moonwire.store"
local task = require "moonwire.task"

local KNOWN <const> = {
  domain = "any", maildir = "string", queue = "string", hostname = "string", users = "table",
  aliases = "table", catch_all = "string", networks = "table", any_sender = "boolean", smarthost = "string",
  smarthost_options = "table", starttls = "boolean", certificate = "string", key = "string",
  auth_in_clear = "boolean", channel_binding = "boolean", quota = "number", size_max = "integer",
  recipients_max = "integer", messages_per_hour = "integer", deliveries = "integer", expire = "number",
  delay_notice = "seconds", retry_first = "number", retry_last = "number",
}
local UNBOUND <const> = { "SCRAM-SHA-256", "PLAIN" }
local HOUR <const>, MESSAGES_PER_HOUR <const>, HOPS_MOST <const> = 3600, 1000, 50

local taken = metrics.counter("mail_messages_total", "Messages that were promised.", { labels = { "door" } })
local taken_bytes = metrics.counter("mail_bytes_total", "Bytes of messages that were promised.")
local refusals = metrics.counter("mail_refusals_total", "Refusals by reason.", { labels = { "reason" } })

local config, directory, credentials, networks, queue -- what the settings say

-- --- where mail goes

local function mailbox_path(name)
  return config.maildir .. "/" .. name
end

-- Where the queue brings what is for an address.
local function route(text)
  local places = {}
  for i, target in ipairs(directory:find(text) or { { address = text } }) do
    places[i] = target.mailbox and { address = target.address, maildir = mailbox_path(target.mailbox) }
      or { address = target.address, relay = config.smarthost or target.address:match "@([^@]*)$" }
  end
  return places
end

-- Whether a mailbox has as much in it as it may.
local function is_full(name)
  local box <close> = maildir.open(mailbox_path(name))
  return box ~= nil and (box:usage() or math.huge) >= config.quota
end

-- --- what a client may do

local function refuse(reason, text, code)
  refusals:add(1, reason)
  return nil, text, code
end

-- Users have their name in any letters, with a domain of ours behind it or without.
local function mailbox_of(user)
  return directory:name(user) or user:lower()
end

local function is_trusted(session)
  return session.user ~= nil or session.client ~= nil and networks:find(session.client) ~= nil
end

-- A store that is away does not stop the mail.
local function is_too_much(session)
  local who = session.user and mailbox_of(session.user) or session.client
  if not who or not session.user and is_trusted(session) then
    return false
  end
  local count, err = store.incr("mail/" .. who, 1, { expire = HOUR })
  if not count then
    log.warn("messages cannot be counted", { err = err })
  end
  return count ~= nil and count > (config.messages_per_hour or MESSAGES_PER_HOUR)
end

local function on_sender(session, mailbox)
  local user = session.user and not config.any_sender and mailbox and mailbox_of(session.user)
  if user and not directory:leads_to(user, mailbox.address) then
    return refuse("sender", "that address is not yours", "553 5.7.1")
  elseif is_too_much(session) then
    return refuse("rate", "too many messages: try again later", "450 4.7.1")
  end
  return true
end

-- Nobody may send through us to others but those whom we know.
local function on_recipient(session, recipient)
  local targets = directory:find(recipient.address)
  if not targets and not is_trusted(session) then
    return refuse("relay", "mail for " .. recipient.domain .. " is not taken from you", "550 5.7.1")
  elseif targets and #targets == 0 then
    return refuse("unknown", "no such mailbox here", "550 5.1.1")
  end
  for _, target in ipairs(config.quota and targets or {}) do
    if target.mailbox and is_full(target.mailbox) then
      return refuse("quota", "the mailbox is full: try again later", "452 4.2.2")
    end
  end
  return true
end

-- What is wrong with our disk is no fault of the client's: it shall try again later.
local function unable(err, code)
  return nil, err, code == "full" and code or "system"
end

-- A message on its way into the queue, which answers for it when it is committed.
local function receive(door, session, envelope)
  local sink, err, code = queue:take {
    sender = envelope.sender, recipients = envelope.recipients, body = envelope.body,
    smtputf8 = envelope.smtputf8, ret = envelope.ret, envid = envelope.envid,
  }
  if not sink then
    return unable(err, code)
  end
  local bytes = 0
  return {
    write = function(_, chunk)
      bytes = bytes + #chunk
      return sink:write(chunk)
    end,
    commit = function()
      local ok, problem, why = sink:commit()
      if not ok then
        return unable(problem, why)
      end
      taken:add(1, door)
      taken_bytes:add(bytes)
      log.info("taken", {
        id = sink:id(), sender = envelope.sender, recipients = #envelope.recipients, bytes = bytes,
        door = door, client = session.client, user = session.user, tls = session.tls ~= nil,
      })
      return true, "taken as " .. sink:id()
    end,
    abort = function() sink:abort() end,
  }
end

-- The mailbox of a user who wants to read.
local function on_user(_, user)
  return mailbox_path(mailbox_of(user))
end

-- --- the service

local function read_users(users)
  local names = {}
  for name, password in pairs(users) do
    assert(type(name) == "string" and type(password) == "string",
      ("settings: users.%s: a password expected; one of digits alone only the config can tell"):format(name))
    names[#names + 1] = name
  end
  credentials = sasl.credentials(setmetatable(users, {
    __index = function(_, user) return rawget(users, mailbox_of(user)) end, -- bob@example.org is bob
  }))
  return names
end

-- Returns the name of this server.
local function read_settings(settings)
  check.options(settings, KNOWN, 1, "settings")
  config = settings
  assert(config.domain and config.maildir, "settings: domain = a name and maildir = a folder expected")
  local domains = type(config.domain) == "table" and config.domain or { config.domain }
  local names = read_users(config.users or {})
  directory = assert(mail_directory.read {
    domains = domains, mailboxes = names, aliases = config.aliases,
    catch_all = config.catch_all or #names == 0 and "postmaster" or nil,
  })
  networks = ipset.of(config.networks or {})
  assert(config.smarthost or not config.smarthost_options, "settings: smarthost_options are of a smarthost")
  local hostname = config.hostname or domains[1]
  assert(address.is_domain(hostname), "settings: hostname = a name of letters, digits and '-' expected")
  return hostname
end

local function open_queue(hostname)
  local servers = config.smarthost and { [config.smarthost] = config.smarthost_options or {} }
  queue = assert(mail_queue.open(config.queue or config.maildir .. "/.queue", {
    hostname = hostname, route = route, workers = config.deliveries or 32, expire = config.expire,
    delay_notice = config.delay_notice, retry_first = config.retry_first, retry_last = config.retry_last,
    send = mail_relay.sender { hostname = hostname, servers = servers },
  }))
  task.spawn(queue.run, queue)
end

local servers = {} -- those that talk behind the doors

-- A server of SMTP. On the door for submission there is nothing without a password.
local function serve_smtp(door, hostname, starttls)
  local is_submission = door == "submission"
  servers[door] = smtp.new({
    on_sender = on_sender, on_recipient = on_recipient,
    on_message = function(session, envelope) return receive(door, session, envelope) end,
  }, {
    name = door, hostname = hostname, submission = is_submission,
    credentials = (is_submission or next(config.users or {})) and credentials or nil,
    starttls = starttls and (is_submission and not config.auth_in_clear and "required" or "offer"),
    auth_in_clear = config.auth_in_clear, hops_max = HOPS_MOST, size_max = config.size_max,
    recipients_max = config.recipients_max, mechanisms = not config.channel_binding and UNBOUND or nil,
  })
end

local service = {
  connect = function(conn) servers.smtp:serve(conn) end,
  doors = {
    smtp = { connect = function(conn) servers.smtp:serve(conn) end },
    submission = { connect = function(conn) servers.submission:serve(conn) end },
    pop3 = { connect = function(conn) servers.pop3.connect(conn) end },
  },
}

-- Certificates are those of `moonwire run`: a daemon reads them before it gives up the right to.
function service.start(ctx)
  local hostname = read_settings(ctx.config)
  local pair = config.certificate
  local tls = pair == "auto" and pair or pair and { certificate = pair, key = config.key }
  local starttls = config.starttls
  if starttls == nil then
    starttls = tls ~= nil
  end
  service.options = { tls = tls }
  for _, door in pairs(service.doors) do
    door.options = service.options
  end
  open_queue(hostname)
  serve_smtp("smtp", hostname, starttls)
  serve_smtp("submission", hostname, starttls)
  servers.pop3 = pop3.service({ on_user = on_user },
    { credentials = credentials, starttls = starttls, clear_passwords = config.auth_in_clear })
end

function service.resume(conn, state)
  if state.protocol == "pop3" then
    return servers.pop3.resume(conn, state)
  end
  return servers[state.name]:resume(conn, state)
end

return service
