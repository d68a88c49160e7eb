--- One attempt to do what the envelope of a message says. Not for scripts.
---
--- The envelope is a journal: what is done twice is written down before it is done, in `moves`, and done
--- again after a crash. A step that is done already is known by its source, which is not there any more.
local handing = require "moonwire.mail.handing"
local log = require "moonwire.log"
local maildir = require "moonwire.maildir"
local notices = require "moonwire.mail.notices"
local report = require "moonwire.mail.report"

local delivery = {}

local CHUNK <const> = 64 * 1024
local LOST_SECONDS <const> = 36 * 3600 -- after which others may have cleaned "tmp" of a Maildir
local BUSY_SECONDS <const> = 5
local DAY <const> = 86400

---@class moonwire.mail.recipient
---@field address string
---@field maildir? string path
---@field relay? string where to hand it on
---@field forwarded? string the address of ours, whose alias has led there
---@field state "waiting"|"done"|"failed"
---@field reason? string of the last attempt
---@field reported? boolean whether the sender has been told of the end
---@field warned? boolean whether the sender has been told that it takes long
---@field passed? boolean whether the server that has taken it will tell the sender
---@field notify? string[]
---@field orcpt? string

---@class moonwire.mail.envelope
---@field id string
---@field sender string "" for reports
---@field taken integer seconds since 1970
---@field tries integer
---@field next integer seconds since 1970
---@field recipients moonwire.mail.recipient[]
---@field moves table[] steps that are promised, and may have been done
---@field moved? integer since when
---@field parent? string of a report: the message that it is about
---@field body? string
---@field smtputf8? boolean
---@field ret? string
---@field envid? string

-- --- what was promised before

local function finish_move(self, move)
  if move.report then
    local ok, err, code = self.spool:finish_report(move.report)
    if ok then
      self.on_new(move.report)
    end
    return ok, err, code
  end
  local box <close>, err, code = maildir.open(move.maildir, { create = true })
  if not box then
    return nil, err, code
  end
  return box:finish(move)
end

-- Does what is promised. A message that is nowhere was read and removed, unless so much time has passed that
-- somebody has cleaned it away: then it is delivered again.
local function redo(self, envelope)
  for _, move in ipairs(envelope.moves) do
    local ok, err, code = finish_move(self, move)
    if not ok and code ~= "not_found" then
      return nil, err, code
    elseif not ok and os.time() - envelope.moved > LOST_SECONDS then
      envelope.recipients[move.number].state = "waiting"
    end
  end
  envelope.moves = {}
  return true
end

-- --- mailboxes

local function copy(draft, body)
  body:seek(0)
  repeat
    local chunk, err, code = body:read(CHUNK)
    if not chunk then
      return code == "eof" and true or nil, err, code
    end
    local ok, problem, kind = draft:write(chunk)
    if not ok then
      return nil, problem, kind
    end
  until false
end

local function prepare_copy(envelope, body, number, recipient)
  local box <close>, err, code = maildir.open(recipient.maildir, { create = true })
  if not box then
    return nil, err, code
  end
  local draft <close>, problem, kind = box:draft { id = ("%s.%d"):format(envelope.id, number) }
  if not draft then
    return nil, problem, kind
  end
  local ok
  ok, err, code = draft:write(("Return-Path: <%s>\nDelivered-To: %s\n"):format(
    envelope.sender, recipient.address))
  if ok then
    ok, err, code = copy(draft, body)
  end
  if not ok then
    return nil, err, code
  end
  return draft:prepare()
end

local function prepare_copies(envelope, body)
  for number, recipient in ipairs(envelope.recipients) do
    local is_due = recipient.state == "waiting" and recipient.maildir
    local move, err
    if is_due then
      move, err = prepare_copy(envelope, body, number, recipient)
    end
    if move then
      move.maildir, move.number = recipient.maildir, number
      table.insert(envelope.moves, move)
      recipient.state, recipient.reason = "done", nil
    elseif is_due then
      recipient.reason = report.plain(err)
      log.warn("delivery failed", { id = envelope.id, recipient = recipient.address, err = err })
    end
  end
end

-- --- what goes wrong

local function expire(self, envelope)
  if os.time() - envelope.taken < self.expire then
    return
  end
  for _, recipient in ipairs(envelope.recipients) do
    if recipient.state == "waiting" then
      recipient.state = "failed"
      recipient.reason = ("4.4.7 not delivered within %.3g days; last: %s"):format(
        self.expire / DAY, recipient.reason or "-")
    end
  end
end

-- A message that was delivered to an address before, which the field tells that every copy gets, goes in
-- circles.
local function stop_loops(envelope, body)
  local header
  for _, recipient in ipairs(envelope.recipients) do
    local address = recipient.forwarded or recipient.maildir and recipient.address
    if address and recipient.state == "waiting" then
      header = header or "\n" .. notices.read_header(body):lower():gsub("\r\n", "\n")
      if header:find("\ndelivered-to: " .. address:lower() .. "\n", 1, true) then
        recipient.state, recipient.reason = "failed", "554 5.4.6 the mail for this address goes in circles"
      end
    end
  end
end

-- --- the whole

local function is_complete(envelope)
  for _, recipient in ipairs(envelope.recipients) do
    if recipient.state == "waiting" or notices.is_owed(recipient) then
      return false
    end
  end
  return true
end

-- Writes down what was prepared, and does it.
local function commit(self, envelope)
  envelope.moved = os.time()
  local ok, err, code = self.spool:save(envelope)
  if not ok then
    return nil, err, code
  end
  return redo(self, envelope)
end

-- What goes into mailboxes of ours, in one step.
local function deliver_copies(self, envelope, body)
  prepare_copies(envelope, body)
  local moves = envelope.moves
  if #moves == 0 then
    return true
  end
  local ok, err, code = commit(self, envelope)
  if ok then
    self.count("delivered", #moves)
    for _, move in ipairs(moves) do
      log.info("delivered", { id = envelope.id, recipient = envelope.recipients[move.number].address })
    end
  end
  return ok, err, code
end

-- Does what was promised before and may not have been done.
local function recover(self, envelope)
  if #envelope.moves == 0 then
    return true
  end
  local ok, err, code = redo(self, envelope)
  if ok then
    ok, err, code = self.spool:save(envelope)
  end
  return ok, err, code
end

local function postpone(self, envelope)
  envelope.tries = envelope.tries + 1
  envelope.next = os.time() + math.ceil(math.min(
    self.retry_first * 2 ^ math.min(envelope.tries - 1, 30), self.retry_last))
end

-- All that is due, up to the promise of a report. It is postponed when all was tried: what a crash has kept
-- from being tried is due still.
local function try_all(self, envelope, body)
  stop_loops(envelope, body)
  local ok, err, code = deliver_copies(self, envelope, body)
  if not ok then
    return nil, err, code
  end
  handing.all(self, envelope, body)
  expire(self, envelope)
  postpone(self, envelope)
  ok, err, code = notices.prepare(self, envelope, body)
  if ok and not (is_complete(envelope) and #envelope.moves == 0) then
    ok, err, code = commit(self, envelope)
  end
  return ok, err, code
end

local function deliver(self, envelope, body)
  local ok, err, code = recover(self, envelope)
  if ok and not is_complete(envelope) and envelope.next <= os.time() then
    ok, err, code = try_all(self, envelope, body)
  end
  if ok and is_complete(envelope) then
    return self.spool:finish(envelope.id)
  end
  return ok, err, code
end

--- Does what is to be done with a message now.
---@param self table the queue's settings: spool, send, count, on_new, new_envelope, hostname, expire,
---delay_notice, retry_first, retry_last
---@param id string
---@return number? due seconds since 1970 of the next attempt; nil: it is done
function delivery.attempt(self, id)
  local body <close>, envelope, code = self.spool:claim(id)
  if not body then
    if code == "not_found" then
      return nil
    elseif code ~= "busy" then
      log.error("a message of the queue cannot be read", { id = id, err = envelope })
    end
    return os.time() + (code == "busy" and BUSY_SECONDS or self.retry_first)
  end
  local ok, err = deliver(self, envelope, body)
  if not ok then
    log.error("the queue has failed", { id = id, err = err })
    return os.time() + self.retry_first
  end
  return not is_complete(envelope) and envelope.next or nil
end

return delivery
