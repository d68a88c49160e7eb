--- The commands of POP3 (RFC 1939, RFC 2449, RFC 2595). Each gets the session and what stands behind its
--- word, and answers. Not for scripts.
local answer = require "moonwire.pop3.answer"
local log = require "moonwire.log"
local login = require "moonwire.pop3.login"
local text = require "moonwire.pop3.text"

local commands = { before = { USER = login.user, PASS = login.pass, AUTH = login.auth }, after = {} }

local before, after = commands.before, commands.after
local say, ok, refuse, fail = answer.say, answer.ok, answer.refuse, answer.fail

local function may_start_tls(self)
  return self.settings.starttls and self.session.tls == nil
end

local function capabilities(self)
  local lines = { "TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER" }
  if not self.drop then
    login.add_capabilities(self, lines)
  end
  if not self.drop and may_start_tls(self) then
    lines[#lines + 1] = "STLS"
  end
  return lines
end

local function capa(self)
  ok(self, "these there are")
  say(self, table.concat(capabilities(self), "\r\n"), "\r\n.\r\n")
end

-- A number of one to nine digits; nil: it is none.
local function number_of(word)
  return word and word:find "^%d%d?%d?%d?%d?%d?%d?%d?%d?$" and math.tointeger(tonumber(word))
end

-- The number of a message that is there; or it has been refused.
local function message_of(self, word)
  local number = number_of(word)
  if number and self.drop:has(number) then
    return number
  end
  refuse(self, number and "no such message" or "the number of a message is expected")
end

-- --- before the login

before.CAPA = capa

function before.QUIT(self)
  self.is_over = true
  ok(self, "bye")
end

-- What was pipelined behind it came in clear, and nobody knows from whom: start_tls refuses, and it is over.
function before.STLS(self)
  if not may_start_tls(self) then
    return refuse(self, "no TLS here")
  end
  ok(self, "begin")
  self.name = nil
  local conn, err = self.conn:start_tls()
  self.is_over = not conn
  if err then
    log.info("TLS failed", { peer = self.session.peer, err = err })
  end
  self.session.tls = conn and self.conn:tls()
end

-- --- behind it

after.CAPA = capa

function after.NOOP(self)
  ok(self)
end

-- Count and bytes of what is not deleted; or it has been answered for.
local function totals(self)
  local count, bytes = 0, 0
  for number = 1, self.drop:count() do
    if self.drop:has(number) then
      local size, err = self.drop:size(number)
      if not size then
        return fail(self, "reading the mailbox", err)
      end
      count, bytes = count + 1, bytes + size
    end
  end
  return count, bytes
end

function after.STAT(self)
  local count, bytes = totals(self)
  if bytes then
    ok(self, ("%d %d"):format(count, bytes))
  end
end

-- One line for the message of a number, or one for each.
local function list(self, argument, describe)
  if argument then
    local number = message_of(self, argument)
    if number then
      ok(self, ("%d %s"):format(number, describe(number)))
    end
    return
  end
  ok(self)
  for number = 1, self.drop:count() do
    if self.drop:has(number) and not say(self, number, " ", describe(number), "\r\n") then
      return
    end
  end
  say(self, ".\r\n")
end

function after.LIST(self, argument)
  if argument or totals(self) then -- they have all sizes
    list(self, argument, function(number) return tostring(self.drop:size(number) or 0) end)
  end
end

function after.UIDL(self, argument)
  list(self, argument, function(number) return self.drop:uid(number) end)
end

local function send(self, number, count)
  local opened <close>, err = self.drop:read(number)
  if not opened then
    return fail(self, "reading the message", err)
  end
  ok(self, count and "the top of it" or ("%d octets"):format(self.drop:size(number) or 0))
  if text.send(self.conn, opened, count) then
    self.metrics.sent:add(1)
  else
    self.is_over = true
  end
end

function after.RETR(self, argument)
  local number = message_of(self, argument)
  if number then
    send(self, number)
  end
end

function after.TOP(self, argument)
  local word, lines = (argument or ""):match "^(%d+) +(%d+)$"
  local count = number_of(lines)
  if not count then
    return refuse(self, "a message and a number of lines are expected")
  end
  local number = message_of(self, word)
  if number then
    send(self, number, count)
  end
end

function after.DELE(self, argument)
  local number = message_of(self, argument)
  if number then
    self.drop:delete(number)
    ok(self)
  end
end

function after.RSET(self)
  self.drop:reset()
  ok(self)
end

function after.QUIT(self)
  local removed, failed = self.drop:update()
  self.drop, self.is_over = nil, true
  self.metrics.removed:add(removed)
  log.info("logout", { user = self.session.user, removed = removed, failed = failed })
  if failed > 0 then
    return refuse(self, "[SYS/TEMP] some deleted messages were not removed")
  end
  ok(self, "bye")
end

return commands
