--- The command AUTH (RFC 4954). Not for scripts.
local codec = require "moonwire.codec"
local exchange = require "moonwire.sasl.exchange"
local log = require "moonwire.log"
local sasl = require "moonwire.sasl"

local authentication = {}

local LINE_MOST <const> = 12288 -- bytes of a response, by RFC 4954

local BOUND <const> = "SCRAM-SHA-256-PLUS"

local function is_possible(self, name)
  if name == BOUND and not sasl.can_bind(self.conn) then
    return false
  end
  return not name:find("^SCRAM") or self.settings.credentials:has_scram()
end

--- The mechanisms that a client may use now; "": none.
---@param self moonwire.smtp.dialogue
---@return string
function authentication.offer(self)
  local session, settings = self.session, self.settings
  if not settings.credentials or session.user or not (session.tls or settings.auth_in_clear) then
    return ""
  end
  local names = {}
  for _, name in ipairs(settings.mechanisms) do
    if is_possible(self, name) then
      names[#names + 1] = name
    end
  end
  return table.concat(names, " ")
end

local function is_offered(self, mechanism)
  return (" " .. authentication.offer(self) .. " "):find(" " .. mechanism .. " ", 1, true) ~= nil
end

local function fail(self, dialogue, err, code)
  self.failures = self.failures + 1
  log.info("authentication failed", {
    client = self.session.client, user = dialogue.user, reason = err, session = self.session.id,
  })
  if self.failures >= self.settings.auth_failures_max then
    self:leave(421, "4.7.0", "too many attempts")
  elseif code == "invalid" then
    self:refuse(501, "5.5.2", "malformed response")
  else
    self:refuse(535, "5.7.8", "wrong user or password")
  end
end

local function finish(self, user)
  local ok, answer = self:ask("on_user", self.session, user)
  if not ok then
    return self:pass_on(answer)
  end
  self.session.user = user
  self:say(235, "2.7.0", "welcome")
end

-- The client's answer to a challenge; nil: there is none, and that was said.
local function ask(self, challenge)
  self:say(334, nil, codec.base64_encode(challenge))
  local line = not self.is_over and self:read_line(LINE_MOST)
  local response = line and codec.base64_decode(line)
  if line == "*" then
    self:refuse(501, "5.7.0", "as you like")
  elseif line and not response then
    self:refuse(501, "5.5.2", "that is no base64")
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
    finish(self, text)
  elseif code == "denied" or code == "invalid" then
    fail(self, dialogue, text, code)
  else
    log.warn("authentication is not possible", { reason = text, code = code })
    self:say(454, "4.7.0", "not possible for now: try again later")
  end
end

-- Why nobody can authenticate now.
local function problem_of(self)
  local session, settings = self.session, self.settings
  if not settings.credentials then
    return 502, "5.5.1", "nobody has a password here"
  elseif not session.tls and not settings.auth_in_clear then
    return 538, "5.7.11", "begin with STARTTLS"
  elseif not session.esmtp then
    return 503, "5.5.1", "say who you are, with EHLO"
  elseif session.user or session.envelope then
    return 503, "5.5.1", "not now"
  end
end

--- AUTH.
---@param self moonwire.smtp.dialogue
---@param argument string
function authentication.perform(self, argument)
  local basic, enhanced, text = problem_of(self)
  if basic then
    return self:refuse(basic, enhanced, text)
  end
  local mechanism, initial = argument:match("^(%S+) *(%S*)$")
  mechanism = mechanism and mechanism:upper()
  if not mechanism then
    return self:refuse(501, "5.5.4", "AUTH mechanism")
  elseif not is_offered(self, mechanism) then
    return self:refuse(504, "5.5.4", "no such mechanism")
  end
  local response = initial ~= "" and (initial == "=" and "" or codec.base64_decode(initial)) or nil
  if initial ~= "" and not response then
    return self:refuse(501, "5.5.2", "that is no base64")
  end
  local conn = is_offered(self, BOUND) and self.conn or nil
  converse(self, assert(sasl.server(mechanism, self.settings.credentials, conn)), response)
end

return authentication
