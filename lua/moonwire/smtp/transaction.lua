--- The commands that say whose a message is, and for whom: MAIL, RCPT. Not for scripts.
local address = require "moonwire.smtp.address"
local parameters = require "moonwire.smtp.parameters"
local trace = require "moonwire.smtp.trace"

local transaction = {}

local PARAMETERS <const> = { SIZE = true, BODY = true, SMTPUTF8 = true }
local NONE <const> = {}

-- The parameters that this client may use.
local function offers(self, command)
  local session, offered = self.session, NONE
  if session.esmtp then
    local dsn = self.settings.dsn or nil
    offered = command == "RCPT" and { NOTIFY = dsn, ORCPT = dsn }
      or { RET = dsn, ENVID = dsn, AUTH = self.settings.credentials ~= nil or nil }
    for name in pairs(command == "MAIL" and PARAMETERS or NONE) do
      offered[name] = true
    end
  end
  local envelope = session.envelope
  local utf8 = envelope and envelope.smtputf8 or false
  return { offered = offered, binarymime = self.settings.binarymime, utf8 = utf8 }
end

-- Reads `FROM:<path> parameters` into a table. The mailbox, false for "<>"; nil: it is refused.
local function read_path(self, command, text, word, into)
  local colon = #word + 1
  if text:sub(1, colon):upper() ~= word .. ":" then
    return self:refuse(501, "5.5.4", ("%s %s:<address>"):format(command, word))
  end
  text = text:sub(colon + 1):match("^ *(.*)$")
  local mailbox, behind = address.parse_path(text, { utf8 = self.session.esmtp })
  local rest = mailbox ~= nil and text:sub(behind) or nil
  if not rest or rest ~= "" and rest:byte() ~= 32 then
    return self:refuse(501, command == "MAIL" and "5.1.7" or "5.1.3", "that is no address of mail")
  end
  local ok, problem = parameters.read(command, rest, into, offers(self, command))
  if not ok then
    return self:refuse(problem.unknown and 555 or 501, "5.5.4", problem.text)
  end
  return mailbox
end

-- Whether somebody may begin to send at all.
local function may_begin(self)
  local session, settings = self.session, self.settings
  if settings.starttls == "required" and not session.tls then
    self:refuse(530, "5.7.0", "begin with STARTTLS")
  elseif not session.hello then
    self:refuse(503, "5.5.1", "say who you are, with EHLO")
  elseif settings.submission and not session.user then
    self:refuse(530, "5.7.0", "authentication required")
  elseif session.envelope then
    self:refuse(503, "5.5.1", "a message has begun already")
  elseif self.messages >= settings.messages_max then
    self:leave(421, "4.7.0", "enough messages for one connection")
  else
    return true
  end
  return false
end

local function needs_utf8(mailbox, envelope)
  return mailbox and not envelope.smtputf8 and mailbox.address:find("[\128-\255]") ~= nil
end

local function new_envelope(session)
  return {
    id = trace.id(), sender = "", recipients = {}, body = "7bit", smtputf8 = false, hello = session.hello,
    client = session.client, user = session.user,
  }
end

-- Whether what is said of the message may be.
local function is_acceptable(self, mailbox, envelope)
  if needs_utf8(mailbox, envelope) then
    self:refuse(553, "5.6.7", "that address needs SMTPUTF8")
  elseif (envelope.size or 0) > self.settings.size_max then
    self:refuse(552, "5.3.4", ("messages of %d bytes at most"):format(self.settings.size_max))
  else
    return true
  end
  return false
end

--- MAIL FROM.
---@param self moonwire.smtp.dialogue
---@param argument string
function transaction.mail(self, argument)
  if not may_begin(self) then
    return
  end
  local session = self.session
  local envelope = new_envelope(session)
  local mailbox = read_path(self, "MAIL", argument, "FROM", envelope)
  if mailbox == nil or not is_acceptable(self, mailbox, envelope) then
    return
  end
  envelope.sender = mailbox and mailbox.address or ""
  envelope.auth = session.user and envelope.auth -- others may say what they like
  envelope.protocol = trace.protocol(session, envelope.smtputf8)
  local ok, answer = self:ask("on_sender", session, mailbox, envelope)
  if not ok then
    return self:pass_on(answer)
  end
  session.envelope = envelope
  self:say(250, "2.1.0", "go on")
end

local function is_known(envelope, recipient)
  for _, other in ipairs(envelope.recipients) do
    if other.address == recipient.address then
      return true
    end
  end
  return false
end

local function add_recipient(self, mailbox, recipient)
  local envelope = self.session.envelope
  recipient.address, recipient.local_part = mailbox.address, mailbox.local_part
  recipient.domain = mailbox.domain
  if not is_known(envelope, recipient) then
    local ok, answer = self:ask("on_recipient", self.session, recipient, envelope)
    if not ok then
      return self:pass_on(answer)
    end
    table.insert(envelope.recipients, recipient)
  end
  self:say(250, "2.1.5", "go on")
end

--- RCPT TO.
---@param self moonwire.smtp.dialogue
---@param argument string
function transaction.rcpt(self, argument)
  local envelope = self.session.envelope
  if not envelope then
    return self:refuse(503, "5.5.1", "begin with MAIL")
  elseif self.message then
    return self:refuse(503, "5.5.1", "the message has begun")
  elseif #envelope.recipients >= self.settings.recipients_max then
    return self:refuse(452, "4.5.3", "too many recipients")
  end
  local recipient = {}
  local mailbox = read_path(self, "RCPT", argument, "TO", recipient)
  if mailbox == false then
    self:refuse(501, "5.1.3", "nobody has that address")
  elseif mailbox and needs_utf8(mailbox, envelope) then
    self:refuse(553, "5.6.7", "that address needs SMTPUTF8")
  elseif mailbox then
    add_recipient(self, mailbox, recipient)
  end
end

return transaction
