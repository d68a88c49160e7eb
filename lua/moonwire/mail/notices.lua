--- What the sender of a message in a queue is told: who did not get it, gets it late, or, for those who want
--- to know (RFC 3461), got it. Not for scripts.
local log = require "moonwire.log"
local report = require "moonwire.mail.report"

local notices = {}

local CHUNK <const> = 64 * 1024
local HEADER_MOST <const> = 64 * 1024
local RETURNED_MOST <const> = 1024 * 1024 -- bytes of a message that comes back whole

---@class moonwire.mail.notice
---@field recipient moonwire.mail.recipient
---@field action "failed"|"delayed"|"delivered"|"relayed"

--- The header of a message, as far as it is not very large.
---@param body moonwire.file
---@return string
function notices.read_header(body)
  body:seek(0)
  local text = body:read(HEADER_MOST) or ""
  return text:match "^(.-\n)\r?\n" or text
end

-- Whether the sender wants to be told something of a recipient.
local function is_wished(recipient, what, default)
  if not recipient.notify then
    return default
  end
  for _, wish in ipairs(recipient.notify) do
    if wish == what then
      return true
    end
  end
  return false
end

-- Whether what was done is to be told; not, when the other server will do so.
local function is_success_wished(recipient)
  return recipient.state == "done" and not recipient.passed and is_wished(recipient, "success", false)
end

--- Whether something is to be told still before the message is done.
---@param recipient moonwire.mail.recipient
---@return boolean
function notices.is_owed(recipient)
  return not recipient.reported and (recipient.state == "failed" or is_success_wished(recipient))
end

local function is_late(self, envelope, recipient)
  return recipient.state == "waiting" and not recipient.warned and self.delay_notice
    and os.time() - envelope.taken >= self.delay_notice and is_wished(recipient, "delay", true)
end

-- What is to be told of a recipient now, and that it will have been. Nil: nothing.
local function take_action(self, envelope, recipient)
  if notices.is_owed(recipient) then
    recipient.reported = true
    if recipient.state == "failed" then
      self.count("failed")
      local reason = recipient.reason
      log.warn("undeliverable", { id = envelope.id, recipient = recipient.address, reason = reason })
      return is_wished(recipient, "failure", true) and "failed" or nil
    end
    return recipient.maildir and "delivered" or "relayed"
  elseif is_late(self, envelope, recipient) then
    recipient.warned = true
    return "delayed"
  end
end

local function collect(self, envelope)
  local found = {}
  for _, recipient in ipairs(envelope.recipients) do
    local action = take_action(self, envelope, recipient)
    if action then
      found[#found + 1] = { recipient = recipient, action = action }
      found.has_failures = found.has_failures or action == "failed"
    end
  end
  return found
end

local function read_all(body)
  local parts = {}
  body:seek(0)
  repeat
    local chunk = body:read(CHUNK)
    parts[#parts + 1] = chunk
  until not chunk
  return table.concat(parts)
end

-- What comes back of the message, and whether that is all of it.
local function returned(envelope, body, has_failures)
  if has_failures and envelope.ret == "full" and (body:size() or math.huge) <= RETURNED_MOST then
    return read_all(body), true
  end
  return notices.read_header(body), false
end

--- Promises a report on all that is to be told now, among the moves of the envelope. There is none about a
--- report, nor to somebody unknown.
---@param self table the queue's settings
---@param envelope moonwire.mail.envelope
---@param body moonwire.file
---@return true?
---@return string? err
---@return moonwire.code? code
function notices.prepare(self, envelope, body)
  local found = collect(self, envelope)
  if #found == 0 then
    return true
  end
  local id = self.spool.new_id()
  local child = envelope.sender ~= "" and self.new_envelope(id, {
    sender = "", recipients = { envelope.sender }, body = "8bitmime",
    smtputf8 = report.needs_utf8(envelope, found) or nil,
  })
  if not child or child.recipients[1].state == "failed" then
    if found.has_failures then
      log.error("undeliverable, and nobody to tell", { id = envelope.id, sender = envelope.sender })
    end
    return true
  end
  child.parent = envelope.id
  local text = report.write({ id = id, hostname = self.hostname, expire = self.expire }, envelope, found,
    returned(envelope, body, found.has_failures))
  local ok, err, code = self.spool:prepare_report(child, text)
  if ok then
    table.insert(envelope.moves, { report = id })
  end
  return ok, err, code
end

return notices
