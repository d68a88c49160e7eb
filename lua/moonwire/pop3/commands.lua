--- The commands of POP3 (RFC 1939, RFC 2449, RFC 2595). Each gets the session and what stands behind its
--- word, and answers. Not for scripts.
local Maildrop = require "moonwire.pop3.maildrop"
local log = require "moonwire.log"
local task = require "moonwire.task"
local text = require "moonwire.pop3.text"

local commands = { before = {}, after = {} }

local before, after = commands.before, commands.after

-- A client that does not read ends the session.
local function say(self, ...)
  local is_sent = self.conn:write(...)
  self.is_over = self.is_over or not is_sent
  return is_sent
end

local function ok(self, words)
  return say(self, "+OK", words and " " or "", words or "", "\r\n")
end

local function refuse(self, words)
  self.errors = self.errors + 1
  say(self, "-ERR ", words, "\r\n")
end

commands.ok, commands.refuse = ok, refuse

local function may_tell_password(self)
  return self.session.tls ~= nil or self.settings.clear_passwords
end

local function may_start_tls(self)
  return self.settings.starttls and self.session.tls == nil
end

local function capabilities(self)
  local lines = { "TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER" }
  if not self.drop and may_tell_password(self) then
    lines[#lines + 1] = "USER"
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

-- Answers for what the disk has refused. Returns nothing.
local function fail(self, what, err)
  log.warn(what .. " failed", { user = self.session.user, peer = self.session.peer, err = err })
  refuse(self, "[SYS/TEMP] " .. what .. " failed, try again later")
end

-- --- before the login

before.CAPA = capa

function before.QUIT(self)
  self.is_over = true
  ok(self, "bye")
end

function before.USER(self, argument)
  if not may_tell_password(self) then
    return refuse(self, "[AUTH] no passwords without TLS")
  elseif not argument then
    return refuse(self, "a name is expected")
  end
  self.name = argument
  ok(self, "and the password")
end

local function refuse_login(self, result, words)
  self.metrics.logins:add(1, result)
  self.failures = self.failures + 1
  log.warn("login failed", { user = self.name, peer = self.session.peer, result = result })
  self.name = nil
  task.sleep(self.settings.failure_delay)
  self.is_over = self.failures >= self.settings.failures_max
  refuse(self, words)
end

local function open_maildrop(self, user, path)
  local drop, err, code = Maildrop.open(path, self.settings.messages_max)
  if code == "busy" then
    return refuse_login(self, "busy", "[IN-USE] another session reads this mailbox")
  elseif not drop then
    self.metrics.logins:add(1, "failed")
    return fail(self, "opening the mailbox", err)
  end
  self.drop, self.session.user, self.name = drop, user, nil
  self.metrics.logins:add(1, "ok")
  log.info("login", { user = user, peer = self.session.peer, messages = drop:count() })
  self.conn:configure { read_timeout = self.settings.idle_timeout }
  ok(self, ("%d messages"):format(drop:count()))
end

function before.PASS(self, argument)
  local name = self.name
  if not name then
    return refuse(self, "the name comes first")
  end
  local path, err = self.policy.on_login(self.session, name, argument or "")
  if path then
    return open_maildrop(self, name, path)
  elseif err then
    self.name = nil
    self.metrics.logins:add(1, "failed")
    return fail(self, "the login", err)
  end
  refuse_login(self, "refused", "[AUTH] name or password is wrong")
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
