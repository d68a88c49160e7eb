--- A durable queue of mail: what it has taken is delivered, handed on, or reported to its sender, whatever
--- moment a crash comes.
---
---     local queue = mail_queue.open("/var/spool/moonwire", { hostname = "mx.example.org", route = route })
---     local sink = assert(queue:take { sender = "ann@example.org", recipients = { "bob@example.org" } })
---     sink:write(text)
---     assert(sink:commit())
local Spool = require "moonwire.mail.spool"
local check = require "moonwire.check"
local core = require "moonwire.core"
local delivery = require "moonwire.mail.delivery"
local log = require "moonwire.log"
local metrics = require "moonwire.metrics"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

local mail_queue = {}

local READY_MOST <const> = 10000
local TICK_SECONDS <const>, SCAN_SECONDS <const>, CLEAN_SECONDS <const> = 1, 30, 3600
local ADDRESS_MOST <const> = 320
local CLOSED <const> = "closed"
local KNOWN <const> = {
  hostname = "string", route = "function", send = "function", workers = "integer", expire = "number",
  delay_notice = "seconds", retry_first = "number", retry_last = "number",
}
local DEFAULTS <const> = {
  workers = 8, expire = 5 * 86400, delay_notice = 4 * 3600, retry_first = 300, retry_last = 4 * 3600,
}
local TIMES <const> = { "expire", "retry_first", "retry_last" }
local ENVELOPE_KNOWN <const> = {
  sender = "string", recipients = "table", body = "string", smtputf8 = "boolean", ret = "string",
  envid = "string",
}
local CARRIED <const> = { "sender", "body", "smtputf8", "ret", "envid" }

---@class moonwire.mail_place
---@field address? string default: the one that was asked for
---@field maildir? string the path of a Maildir, which is made when there is none
---@field relay? string another server, as the function `send` knows it

---@class moonwire.mail_result
---@field ok? boolean whether the other server has taken it
---@field permanent? boolean whether it never will
---@field passed? boolean whether it will tell the sender what becomes of it (RFC 3461)
---@field reason? string its answer: "550 5.1.1 no such user"

---@class moonwire.mail_queue_options
---@field hostname string of this server, in reports; required
--- Where an address leads to: aliases have several places. An empty list: nobody knows it, and the sender is
--- told. Must not wait for long. Required.
---@field route fun(address: string): moonwire.mail_place[]
--- Hands a message on, one result for each recipient; or nil, err when the server is not to be had now.
--- `read` returns the next piece of it, or nil. Default: there are no relays.
---@field send? fun(relay: string, envelope: table, read: fun(): string?): moonwire.mail_result[]?, string?
---@field workers? integer messages that are delivered at a time; default 8
---@field expire? number seconds until a message that waits is given up; default 432000, 5 days
---@field delay_notice? number|false seconds until the sender is told that it takes long; default 14400
---@field retry_first? number seconds until the second attempt, doubled each time; default 300
---@field retry_last? number and at most; default 14400

---@class moonwire.mail_queue_envelope
---@field sender string "": it is a report
---@field recipients (string|moonwire.mail_recipient)[] addresses
---@field body? "7bit"|"8bitmime"
---@field smtputf8? boolean there is more than ASCII in addresses or header
---@field ret? "full"|"hdrs" what a report shall have of the message (RFC 3461)
---@field envid? string by which name the sender knows the message

---@class moonwire.mail_recipient
---@field address string
---@field notify? string[] of what the sender shall hear: "success", "failure", "delay", or only "never"
---@field orcpt? string whom the sender has meant: "rfc822;ann@example.org"

--- A queue. It stays open with the task that opened it.
---@class moonwire.mail_queue
---@field private spool moonwire.mail.spool
---@field private settings table what delivery.attempt gets
---@field private ready moonwire.queue ids
---@field private due table<string, number> ids that wait for their time
---@field private known table<string, boolean>
local MailQueue = { __name = "moonwire.mail_queue" }
MailQueue.__index = MailQueue

--- A message that is being taken. Without commit it is gone.
---@class moonwire.mail_sink
---@field private queue moonwire.mail_queue
---@field private envelope moonwire.mail.envelope
---@field private file? moonwire.file
local Sink = { __name = "moonwire.mail_sink" }
Sink.__index = Sink

local function refuse_send()
  return nil, "4.3.5 this server hands nothing on"
end

-- One recipient of the envelope, at a place to which its address has led.
local function new_recipient(wished, place)
  local address = place.address or wished.address
  return {
    address = address, maildir = place.maildir, relay = place.relay, state = place.state or "waiting",
    reason = place.reason, notify = wished.notify, orcpt = wished.orcpt,
    forwarded = place.relay and address ~= wished.address and wished.address or nil,
  }
end

local NOWHERE <const> = { { state = "failed", reason = "550 5.1.1 no such address" } }

local function new_recipients(route, wishes)
  local recipients = {}
  for _, wished in ipairs(wishes) do
    wished = type(wished) == "table" and wished or { address = wished }
    local places = route(wished.address)
    for _, place in ipairs(#places > 0 and places or NOWHERE) do
      recipients[#recipients + 1] = new_recipient(wished, place)
    end
  end
  return recipients
end

local function new_envelope(route, id, given)
  local envelope = {
    id = id, taken = os.time(), tries = 0, next = 0, moves = {},
    recipients = new_recipients(route, given.recipients),
  }
  for _, name in ipairs(CARRIED) do
    envelope[name] = given[name]
  end
  return envelope
end

local function later(self, id, due)
  self.known[id], self.due[id] = true, due
end

local function now(self, id)
  self.known[id] = true
  if not self.ready:try_push(id) then
    self.due[id] = os.time()
  end
end

local function new_settings(self, options)
  local counter = metrics.counter("mail_queue_recipients_total", "Recipients by what became of the message.",
    { labels = { "result" } })
  local settings = {
    spool = self.spool, hostname = options.hostname, send = options.send or refuse_send,
    count = function(result, count) counter:add(count or 1, result) end,
    on_new = function(id) now(self, id) end,
    new_envelope = function(id, given) return new_envelope(options.route, id, given) end,
  }
  for name, default in pairs(DEFAULTS) do
    settings[name] = options[name]
    if settings[name] == nil then
      settings[name] = default
    end
  end
  return settings
end

--- Opens a queue. Several processes may work on the same one.
---@param folder string path; it is made when there is none, for its owner only
---@param options moonwire.mail_queue_options
---@return moonwire.mail_queue?
---@return string? err
---@return moonwire.code? code "denied", "invalid", "full"
function mail_queue.open(folder, options)
  check.type(folder, "string", 1, "open")
  check.options(options, KNOWN, 2, "open")
  if not options or not options.route or not (options.hostname or ""):find "^[%w.-]+$" then
    check.refuse(2, "open", "options 'route', a function, and 'hostname', a name, expected")
  end
  for _, name in ipairs(TIMES) do
    if (options[name] or 0) < 0 then
      check.refuse(2, "open", ("option '%s': seconds, not negative, expected"):format(name))
    end
  end
  local spool, err, code = Spool.open(folder)
  if not spool then
    return nil, err, code
  end
  local self = setmetatable({
    spool = spool, ready = sync.queue(READY_MOST), due = {}, known = {},
  }, MailQueue)
  self.settings = new_settings(self, options)
  return self
end

local function is_address(text)
  return type(text) == "string" and #text <= ADDRESS_MOST and not text:find "[%c<>]" and utf8.len(text) ~= nil
end

local function problem_of(envelope)
  if not envelope.sender or not is_address(envelope.sender) then
    return "field 'sender': an address, or '', expected"
  elseif not envelope.recipients or not envelope.recipients[1] then
    return "field 'recipients': a list with one address at least expected"
  end
  for i, recipient in ipairs(envelope.recipients) do
    local address = type(recipient) == "table" and recipient.address or recipient
    if not is_address(address) or address == "" then
      return ("recipients[%d]: an address expected"):format(i)
    end
  end
end

--- Begins to take a message.
---@param envelope moonwire.mail_queue_envelope
---@return moonwire.mail_sink?
---@return string? err
---@return moonwire.code? code "full", "denied", "descriptors", "closed"
function MailQueue:take(envelope)
  check.object(self, MailQueue, "take")
  check.options(envelope, ENVELOPE_KNOWN, 1, "take")
  local problem = problem_of(envelope or {})
  if problem then
    check.refuse(1, "take", problem)
  end
  local id = Spool.new_id()
  local routed = self.settings.new_envelope(id, envelope)
  local file, err, code = self.spool:draft(id)
  if not file then
    return nil, err, code
  end
  return setmetatable({ queue = self, file = file, envelope = routed }, Sink)
end

--- Adds to the message.
---@param chunk string
---@return true?
---@return string? err
---@return moonwire.code? code "full", "closed"
function Sink:write(chunk)
  check.object(self, Sink, "write")
  check.type(chunk, "string", 1, "write")
  if not self.file then
    return nil, CLOSED, CLOSED
  end
  return self.file:write(chunk)
end

--- Takes the message: when this returns true it is on the disk and will be delivered or reported; when it
--- does not, it will not.
---@return true?
---@return string? err
---@return moonwire.code? code "full", "closed", "system"
function Sink:commit()
  check.object(self, Sink, "commit")
  if not self.file then
    return nil, CLOSED, CLOSED
  end
  local spool, id = self.queue.spool, self.envelope.id
  local ok, err, code = self.file:sync()
  self.file:close()
  self.file = nil
  if ok then
    ok, err, code = spool:publish(self.envelope)
  end
  if ok then
    now(self.queue, id)
  else
    spool:discard(id)
  end
  return ok, err, code
end

--- The id of the message, for the answer and the log.
---@return string
function Sink:id()
  check.object(self, Sink, "id")
  return self.envelope.id
end

--- Gives the message up. May be called again; does nothing to one that was taken.
function Sink:abort()
  check.object(self, Sink, "abort")
  if self.file then
    self.file:close()
    self.file = nil
    self.queue.spool:discard(self.envelope.id)
  end
end

Sink.__close = Sink.abort

-- A mistake, as in the function `route`, concerns one message, and that later again.
local function attempt(self, id)
  local ok, due = pcall(delivery.attempt, self.settings, id)
  if ok then
    return due
  elseif core.is_fault(due) and due.code == "cancelled" then
    error(due, 0)
  end
  log.error("an attempt to deliver has failed", { id = id, err = tostring(due) })
  return os.time() + self.settings.retry_first
end

local function work(self)
  for id in self.ready:values() do
    local due = attempt(self, id)
    self.known[id] = nil
    if due then
      later(self, id, due)
    end
  end
end

-- Finds what other processes have taken, or an earlier run of this one.
local function scan(self)
  local ids, err = self.spool:ids()
  if not ids then
    log.error("the queue cannot be read", { err = err })
  end
  for _, id in ipairs(ids or {}) do
    if not self.known[id] then
      now(self, id)
    end
  end
end

local function push_due(self)
  local time, ids = os.time(), {}
  for id, due in pairs(self.due) do
    if due <= time then
      ids[#ids + 1] = id
    end
  end
  for _, id in ipairs(ids) do
    self.due[id] = nil
    now(self, id)
  end
end

--- Delivers, until the task is cancelled. One task of a process calls it.
function MailQueue:run()
  check.object(self, MailQueue, "run")
  for _ = 1, self.settings.workers do
    task.spawn(work, self)
  end
  local seconds = 0
  repeat
    if seconds % CLEAN_SECONDS == 0 then
      self.spool:clean()
    end
    if seconds % SCAN_SECONDS == 0 then
      scan(self)
    end
    task.sleep(TICK_SECONDS)
    push_due(self)
    seconds = seconds + TICK_SECONDS
  until false
end

--- How many messages this process knows of that are not done.
---@return integer
function MailQueue:count()
  check.object(self, MailQueue, "count")
  local count = 0
  for _ in pairs(self.known) do
    count = count + 1
  end
  return count
end

return mail_queue
