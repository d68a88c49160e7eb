--- What a client does before it sends: the greeting, EHLO, STARTTLS and AUTH. Not for scripts.
local answer = require "moonwire.smtp.answer"
local codec = require "moonwire.codec"
local sasl = require "moonwire.sasl"

local opening = {}

local function problem(what, reply)
  return nil, ("%s: %d %s %s"):format(what, reply.code, reply.enhanced or "", reply.text), "refused", reply
end

-- What the lines behind the first offer: names in capital letters → parameters.
local function read_extensions(text)
  local extensions = {}
  for line in text:gmatch("\n([^\n]+)") do
    local name, rest = line:match("^(%w[%w-]*)[ =]?(.*)$")
    if name then
      extensions[name:upper()] = rest
    end
  end
  return extensions
end

local function hello(self)
  local reply, err, code = answer.ask(self.conn, "EHLO ", self.options.hostname)
  if not reply then
    return nil, err, code
  elseif reply.code == 250 then
    self.extensions = read_extensions(reply.text)
    return true
  elseif reply.code < 500 then
    return problem("EHLO", reply)
  end
  reply, err, code = answer.ask(self.conn, "HELO ", self.options.hostname)
  if not reply then
    return nil, err, code
  elseif reply.code ~= 250 then
    return problem("HELO", reply)
  end
  self.extensions = {}
  return true
end

local function start_tls(self)
  local wish = self.options.starttls
  if not wish or self.conn:tls() then
    return true
  elseif not self.extensions.STARTTLS then
    if wish == "required" then
      return nil, "STARTTLS: the server has none", "unsupported"
    end
    return true
  end
  local reply, err, code = answer.ask(self.conn, "STARTTLS")
  if not reply then
    return nil, err, code
  elseif reply.code ~= 220 then
    return problem("STARTTLS", reply)
  end
  local ok
  ok, err, code = self.conn:start_tls(self.options.tls or wish == "try" and { verify = "none" } or {})
  if not ok then
    return nil, err, code
  end
  return hello(self)
end

local BOUND <const> = "SCRAM-SHA-256-PLUS"

-- The mechanism, and the connection where it counts: a client that could bind a proof to it, and is not
-- offered to, says so, lest somebody between has taken the offer away.
local function choose_mechanism(self)
  local offered = " " .. (self.extensions.AUTH or ""):upper() .. " "
  local can_bind = sasl.can_bind(self.conn)
  local would_bind = false
  for _, name in ipairs(self.options.mechanisms) do
    would_bind = would_bind or name == BOUND and can_bind
    if offered:find(" " .. name .. " ", 1, true) and (name ~= BOUND or can_bind) then
      return name, would_bind and self.conn or nil
    end
  end
end

local function converse(self, dialogue, mechanism)
  local initial = dialogue:step()
  local said = initial and " " .. (initial == "" and "=" or codec.base64_encode(initial)) or ""
  local reply, err, code = answer.ask(self.conn, "AUTH ", mechanism, said)
  while reply and reply.code == 334 do
    local challenge = codec.base64_decode(reply.text) or ""
    local response
    response, err, code = dialogue:step(challenge)
    if not response then
      return nil, err or "AUTH: no response", code or "protocol"
    end
    reply, err, code = answer.ask(self.conn, codec.base64_encode(response))
  end
  return reply, err, code
end

local function authenticate(self)
  local options = self.options
  if not options.user then
    return true
  elseif not self.conn:tls() and not options.auth_in_clear then
    return nil, "AUTH: not without TLS", "denied"
  end
  local mechanism, conn = choose_mechanism(self)
  if not mechanism then
    return nil, "AUTH: no mechanism that both know", "unsupported"
  end
  local dialogue = assert(sasl.client(mechanism, { user = options.user, password = options.password }, conn))
  local reply, err, code = converse(self, dialogue, mechanism)
  if not reply then
    return nil, err, code
  elseif reply.code ~= 235 then
    return problem("AUTH", reply)
  elseif not dialogue:is_complete() then
    return nil, "AUTH: the server has not shown that it knows the password", "protocol"
  end
  return true
end

--- Comes so far that messages can be sent.
---@param self moonwire.smtp_connection
---@return boolean? ok
---@return string? err
---@return moonwire.code? code "refused": the server says no
---@return moonwire.smtp.answer? reply what it says
function opening.perform(self)
  local reply, err, code = answer.read(self.conn)
  if not reply then
    return nil, err, code
  elseif reply.code ~= 220 then
    return problem("connect", reply)
  end
  for _, step in ipairs { hello, start_tls, authenticate } do
    local ok, why, kind, said = step(self)
    if not ok then
      return nil, why, kind, said
    end
  end
  return true
end

return opening
