--- The commands of clients (RFC 5321 §4.1.1), but for those that carry a message. Not for scripts.
local authentication = require "moonwire.smtp.authentication"
local reception = require "moonwire.smtp.reception"
local transaction = require "moonwire.smtp.transaction"

local commands = {}

local HELLO_MOST <const> = 255
local GLANCE <const> = 0.001 -- seconds: whether anything is there already

-- Those of other protocols, which somebody makes browsers and the like send here.
local FOREIGN <const> = {
  GET = true, POST = true, PUT = true, HEAD = true, CONNECT = true, OPTIONS = true, DELETE = true,
}

local verbs = {
  AUTH = authentication.perform, MAIL = transaction.mail, RCPT = transaction.rcpt, DATA = reception.data,
  BDAT = reception.bdat,
}

-- Those that bring no message nearer.
local JUNK <const> = {
  HELO = true, EHLO = true, NOOP = true, RSET = true, VRFY = true, EXPN = true, HELP = true,
}

local function hello(self, argument, is_esmtp)
  if #argument > HELLO_MOST or not argument:find("^[!-~]+$") then
    self:refuse(501, "5.5.4", "say who you are")
    return false
  end
  local ok, answer = self:ask("on_hello", self.session, argument)
  if not ok then
    self:pass_on(answer)
    return false
  end
  self:forget()
  self.session.hello, self.session.esmtp = argument, is_esmtp
  return true
end

local function extensions(self)
  local settings = self.settings
  local lines = {
    settings.hostname, "PIPELINING", ("SIZE %d"):format(settings.size_max), "8BITMIME", "SMTPUTF8",
    "ENHANCEDSTATUSCODES", "CHUNKING",
  }
  if settings.binarymime then
    table.insert(lines, "BINARYMIME")
  end
  if settings.dsn then
    table.insert(lines, "DSN")
  end
  if settings.starttls and not self.session.tls then
    table.insert(lines, "STARTTLS")
  end
  local mechanisms = authentication.offer(self)
  if mechanisms ~= "" then
    table.insert(lines, "AUTH " .. mechanisms)
  end
  return table.concat(lines, "\n")
end

function verbs.EHLO(self, argument)
  if hello(self, argument, true) then
    self:say(250, nil, extensions(self))
  end
end

function verbs.HELO(self, argument)
  if hello(self, argument, false) then
    self:say(250, nil, self.settings.hostname)
  end
end

-- Whether a command has nothing behind it, as it should.
local function is_alone(self, argument)
  if argument ~= "" then
    self:refuse(501, "5.5.4", "nothing may follow that command")
    return false
  end
  return true
end

function verbs.RSET(self, argument)
  if is_alone(self, argument) then
    self:forget()
    self:say(250, "2.0.0", "forgotten")
  end
end

function verbs.QUIT(self, argument)
  if is_alone(self, argument) then
    self:leave(221, "2.0.0", self.settings.hostname .. " closes")
  end
end

function verbs.NOOP(self)
  self:say(250, "2.0.0", "ok")
end

function verbs.HELP(self)
  self:say(214, "2.0.0", "see RFC 5321")
end

function verbs.VRFY(self)
  self:say(252, "2.5.2", "send, and see")
end

function verbs.EXPN(self)
  self:refuse(502, "5.5.1", "lists are not told")
end

-- Whether there is a byte that came in clear: it must not be taken for one that came by TLS.
local function has_more(self)
  self.conn:configure { read_timeout = GLANCE }
  local bytes = self.conn:peek_some(1)
  self.conn:configure { read_timeout = self.settings.command_timeout }
  return bytes ~= nil
end

-- Nothing of what was said in clear holds any more (RFC 3207 §4.2).
local function secure(self)
  local session = self.session
  self:forget()
  if not self.conn:start_tls() then
    self.is_over = true
    return
  end
  session.tls, session.esmtp = self.conn:tls(), false
  session.hello, session.user = nil, nil
end

function verbs.STARTTLS(self, argument)
  if not self.settings.starttls then
    self:refuse(502, "5.5.1", "no TLS here")
  elseif self.session.tls then
    self:refuse(503, "5.5.1", "TLS it is already")
  elseif is_alone(self, argument) then
    if has_more(self) then
      return self:leave(521, "5.5.1", "nothing may follow STARTTLS before the handshake")
    end
    self:say(220, "2.0.0", "go on")
    secure(self)
  end
end

--- Does what a line says.
---@param self moonwire.smtp.dialogue
---@param line string without CRLF
function commands.perform(self, line)
  local word, rest = line:match("^(%a+)(.*)$")
  word = word and word:upper()
  if FOREIGN[word] then
    return self:leave(521, "5.5.1", "this is a server of mail")
  end
  self.junk = self.junk + (JUNK[word] and 1 or 0)
  if self.junk > self.settings.junk_max then
    return self:leave(421, "4.7.0", "too many commands for no message")
  end
  local verb = verbs[word]
  if not verb or rest ~= "" and rest:byte() ~= 32 then
    self:refuse(500, "5.5.1", "no such command")
  elseif rest:find("%c") then
    self:refuse(501, "5.5.2", "control characters are not allowed")
  else
    verb(self, rest:match("^ *(.-) *$"))
  end
end

return commands
