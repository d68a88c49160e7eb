--- How a client of POP3 says who it is: USER and PASS (RFC 1939), and AUTH (RFC 5034). Not for scripts.
local Maildrop = require "moonwire.pop3.maildrop"
local answer = require "moonwire.pop3.answer"
local codec = require "moonwire.codec"
local exchange = require "moonwire.sasl.exchange"
local log = require "moonwire.log"
local sasl = require "moonwire.sasl"
local task = require "moonwire.task"

local login = {}

local RESPONSE_MOST <const> = 12288 -- bytes of a line of AUTH

local function may_tell_password(self)
  return self.session.tls ~= nil or self.settings.clear_passwords
end

-- The mechanisms that the client may use now, in their order.
local function mechanisms(self)
  local users, names = self.settings.credentials, {}
  for _, name in ipairs(users and may_tell_password(self) and self.settings.mechanisms or {}) do
    if name ~= "SCRAM-SHA-256" or users:has_scram() then
      names[#names + 1] = name
    end
  end
  return names
end

--- What CAPA tells of this, before the login.
---@param self moonwire.pop3.dialogue
---@param lines string[]
function login.add_capabilities(self, lines)
  if may_tell_password(self) then
    lines[#lines + 1] = "USER"
  end
  local names = table.concat(mechanisms(self), " ")
  lines[#lines + 1] = names ~= "" and "SASL " .. names or nil
end

local function refuse_login(self, name, result, words)
  self.metrics.logins:add(1, result)
  self.failures = self.failures + 1
  log.warn("login failed", { user = name, peer = self.session.peer, result = result })
  self.name = nil
  task.sleep(self.settings.failure_delay)
  self.is_over = self.failures >= self.settings.failures_max
  answer.refuse(self, words)
end

local function refuse_password(self, name)
  refuse_login(self, name, "refused", "[AUTH] name or password is wrong")
end

local function fail(self, what, err)
  self.name = nil
  self.metrics.logins:add(1, "failed")
  answer.fail(self, what, err)
end

local function open_maildrop(self, user, path)
  local drop, err, code = Maildrop.open(path, self.settings.messages_max)
  if code == "busy" then
    return refuse_login(self, user, "busy", "[IN-USE] another session reads this mailbox")
  elseif not drop then
    return fail(self, "opening the mailbox", err)
  end
  self.drop, self.session.user, self.name = drop, user, nil
  self.metrics.logins:add(1, "ok")
  log.info("login", { user = user, peer = self.session.peer, messages = drop:count() })
  self.conn:configure { read_timeout = self.settings.idle_timeout }
  answer.ok(self, ("%d messages"):format(drop:count()))
end

-- What the policy has said of a user: the path of the mailbox; nil or false: nobody; nil, err: not now.
local function enter(self, user, path, err)
  if path then
    open_maildrop(self, user, path)
  elseif err then
    fail(self, "the login", err)
  else
    refuse_password(self, user)
  end
end

--- USER.
---@param self moonwire.pop3.dialogue
---@param argument string?
function login.user(self, argument)
  if not may_tell_password(self) then
    return answer.refuse(self, "[AUTH] no passwords without TLS")
  elseif not argument then
    return answer.refuse(self, "a name is expected")
  end
  self.name = argument
  answer.ok(self, "and the password")
end

-- The path of the mailbox, as on_login says it.
local function judge(self, name, password)
  local policy, users = self.policy, self.settings.credentials
  if policy.on_login then
    return policy.on_login(self.session, name, password)
  end
  local is_right, err = users:verify(name, password)
  if not is_right then
    return nil, err
  end
  return policy.on_user(self.session, name)
end

--- PASS.
---@param self moonwire.pop3.dialogue
---@param argument string?
function login.pass(self, argument)
  local name = self.name
  if not name then
    return answer.refuse(self, "the name comes first")
  end
  enter(self, name, judge(self, name, argument or ""))
end

-- The client's response to a challenge. Nil: there is none, and that was answered.
local function ask(self, challenge)
  answer.say(self, "+ ", codec.base64_encode(challenge), "\r\n")
  local line, _, code = self.conn:read_line(RESPONSE_MOST)
  local response = line and codec.base64_decode(line)
  if not line then
    self.is_over = true
    return code == "too_large" and answer.refuse(self, "the line is too long") or nil
  elseif not response then
    answer.refuse(self, line == "*" and "as you like" or "[AUTH] that is no base64")
  end
  return response
end

local function converse(self, dialogue, response)
  local what, text, code = exchange.finish(dialogue, response, function(challenge)
    return ask(self, challenge)
  end)
  if what == false then
    return
  elseif what then
    enter(self, text, self.policy.on_user(self.session, text))
  elseif code == "denied" then
    refuse_password(self, dialogue.user)
  elseif code == "invalid" then
    refuse_login(self, dialogue.user, "refused", "[AUTH] that is no response of this mechanism")
  else
    fail(self, "the login", text)
  end
end

--- AUTH.
---@param self moonwire.pop3.dialogue
---@param argument string?
function login.auth(self, argument)
  local mechanism, initial = (argument or ""):match "^(%S+) *(%S*)$"
  local wanted = mechanism and mechanism:upper()
  local is_offered = false
  for _, name in ipairs(mechanisms(self)) do
    is_offered = is_offered or name == wanted
  end
  if not is_offered then
    return answer.refuse(self, may_tell_password(self) and "no such mechanism" or "[AUTH] not without TLS")
  end
  local response = initial ~= "" and (initial == "=" and "" or codec.base64_decode(initial)) or nil
  if initial ~= "" and not response then
    return answer.refuse(self, "[AUTH] that is no base64")
  end
  self.name = nil
  converse(self, assert(sasl.server(wanted, self.settings.credentials)), response)
end

return login
