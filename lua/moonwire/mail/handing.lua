--- Messages of a queue that are handed on to other servers. Not for scripts.
local core = require "moonwire.core"
local log = require "moonwire.log"
local report = require "moonwire.mail.report"
local task = require "moonwire.task"

local handing = {}

local CHUNK <const> = 64 * 1024

-- What came of it for one recipient.
local function note(self, envelope, recipient, result)
  recipient.reason = result.reason and report.plain(result.reason)
  if result.ok then
    recipient.state, recipient.passed = "done", result.passed
  elseif result.permanent then
    recipient.state = "failed"
  end
  self.count(result.ok and "relayed" or result.permanent and "refused" or "deferred")
  log.info("relay", {
    id = envelope.id, recipient = recipient.address, relay = recipient.relay, state = recipient.state,
    reason = recipient.reason,
  })
end

-- The pieces of a message, behind a field that tells from which alias of ours it comes: when it comes back,
-- it goes in circles.
local function reader(body, forwarded)
  local field = forwarded and ("Delivered-To: %s\r\n"):format(forwarded)
  body:seek(0)
  return function()
    if field then
      local first = field
      field = nil
      return first
    end
    local chunk, problem, code = body:read(CHUNK)
    if chunk or code == "eof" then
      return chunk
    end
    error(core.fault(code, problem), 0)
  end
end

-- What the other server gets to know.
local function envelope_of(envelope, body, group)
  local recipients = {}
  for i, recipient in ipairs(group) do
    recipients[i] = { address = recipient.address, notify = recipient.notify, orcpt = recipient.orcpt }
  end
  return {
    id = envelope.id, sender = envelope.sender, recipients = recipients, size = body:size(),
    body = envelope.body, smtputf8 = envelope.smtputf8, ret = envelope.ret, envid = envelope.envid,
  }
end

-- What the function `send` says, a result for each recipient. A mistake in it is a failure for now.
local function call_send(self, envelope, body, group)
  local relay = group[1].relay
  local ok, results, err = pcall(self.send, relay, envelope_of(envelope, body, group),
    reader(body, group[1].forwarded))
  if ok and type(results) == "table" then
    return results
  elseif not ok and core.is_fault(results) and results.code == "cancelled" then
    error(results, 0)
  elseif not ok then
    log.error("sending failed", { relay = relay, err = tostring(results) })
  end
  return {}, ok and err or "4.3.0 an error of this server"
end

-- What has been handed on must be written down, or it is done twice: a disk that is full is waited for.
local function save_in_the_end(self, envelope)
  repeat
    local ok, err = self.spool:save(envelope)
    if not ok then
      log.error("the queue cannot be written", { id = envelope.id, err = err })
      task.sleep(1)
    end
  until ok
end

-- Recipients that wait and can share one copy, in lists.
local function groups_of(envelope)
  local groups, by_key = {}, {}
  for _, recipient in ipairs(envelope.recipients) do
    if recipient.state == "waiting" and recipient.relay then
      local key = recipient.relay .. "\0" .. (recipient.forwarded or "")
      if not by_key[key] then
        by_key[key] = {}
        groups[#groups + 1] = by_key[key]
      end
      table.insert(by_key[key], recipient)
    end
  end
  return groups
end

--- Hands a message on to all servers that wait for it, and writes down what each has answered.
---@param self table the queue's settings
---@param envelope moonwire.mail.envelope
---@param body moonwire.file
function handing.all(self, envelope, body)
  for _, group in ipairs(groups_of(envelope)) do
    local results, err = call_send(self, envelope, body, group)
    for i, recipient in ipairs(group) do
      note(self, envelope, recipient, results[i] or { reason = err or "4.4.0 no answer" })
    end
    save_in_the_end(self, envelope)
  end
end

return handing
