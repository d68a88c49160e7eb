--- One connection of a client of mail: what is known of it, what is said to it, and the policy that is asked.
--- Not for scripts.
local commands = require "moonwire.smtp.commands"
local core = require "moonwire.core"
local log = require "moonwire.log"
local reply = require "moonwire.smtp.reply"
local trace = require "moonwire.smtp.trace"

---@class moonwire.smtp.dialogue
---@field conn moonwire.stream
---@field policy moonwire.smtp.policy
---@field settings moonwire.smtp.server_options
---@field session moonwire.smtp.session
---@field errors integer commands that were refused
---@field messages integer that were accepted
---@field junk integer commands that bring no message nearer, since the last one
---@field failures integer attempts to say who one is
---@field message moonwire.smtp.intake? that has begun
---@field due number when it must have come
---@field is_over boolean nothing is read any more
local Dialogue = {}
Dialogue.__index = Dialogue

local dialogue = {}

local AUTH_LINE <const> = 12288 -- bytes of the command AUTH, by RFC 4954
local MOVED <const> = { "id", "hello", "esmtp", "user", "data", "envelope" }

local function make(conn, policy, settings)
  local peer = conn:peer_address()
  local session = {
    id = trace.id(), peer = peer, client = peer:match("^%[?([%x.:]+)%]?:%d+$"), esmtp = false, data = {},
    tls = conn:tls(),
  }
  return setmetatable({
    conn = conn, policy = policy, settings = settings, session = session, errors = 0, messages = 0,
    failures = 0, junk = 0, is_over = false,
  }, Dialogue)
end

-- Plain data, from which the dialogue can go on in new code.
local function state_of(self)
  local session = {}
  for _, name in ipairs(MOVED) do
    session[name] = self.session[name]
  end
  return {
    name = self.settings.name, session = session, errors = self.errors, messages = self.messages,
    failures = self.failures, junk = self.junk,
  }
end

--- Says something.
---@param code integer
---@param enhanced string?
---@param text string
function Dialogue:say(code, enhanced, text)
  if not self.conn:write(reply.format(reply.new(code, enhanced, text))) then
    self.is_over = true
  end
end

--- Says no, which counts as an error of the client.
---@param code integer
---@param enhanced string?
---@param text string
function Dialogue:refuse(code, enhanced, text)
  self.errors = self.errors + 1
  self:say(code, enhanced, text)
end

--- The last thing that is said.
---@param code integer
---@param enhanced string?
---@param text string
function Dialogue:leave(code, enhanced, text)
  self:say(code, enhanced, text)
  self.is_over = true
end

-- A traceback for mistakes; faults stay what they are.
local function describe(problem)
  return core.is_fault(problem) and problem or debug.traceback(tostring(problem), 2)
end

local function fail(self, what, problem)
  local code, message = core.is_fault(problem)
  if code == "cancelled" then
    error(problem, 0)
  end
  log.error("a callback of the mail server failed", {
    callback = what, session = self.session.id, reason = message or problem,
  })
  return nil, (reply.of(problem, "error"))
end

local function judge(self, what, is_done, value, err, code)
  if not is_done then
    return fail(self, what, value)
  elseif value then
    return value, err
  end
  local answer = reply.of(err, code)
  log[answer.code < 500 and "warn" or "info"]("refused mail", {
    callback = what, session = self.session.id, client = self.session.client, reason = err, code = code,
  })
  return nil, answer
end

--- Calls something that is the policy's. What it raises is logged; only the end of the task passes through.
---@param what string its name, for the log
---@param call function
---@param ... any
---@return any value what it returned, when that is true
---@return any second what it returned besides; of a refusal the reply
function Dialogue:call(what, call, ...)
  return judge(self, what, xpcall(call, describe, ...))
end

--- Asks the policy.
---@param name string of a callback
---@param ... any
---@return any value true: there is none
---@return any problem the reply when it has refused
function Dialogue:ask(name, ...)
  local call = self.policy[name]
  if not call then
    return true
  end
  return self:call(name, call, ...)
end

--- Forgets the message that has begun, if there is one, and whose it was.
function Dialogue:forget()
  local message = self.message
  self.message, self.session.envelope = nil, nil
  if message then
    message:abort()
  end
end

--- Gives a reply that was made elsewhere, which refuses.
---@param answer moonwire.smtp.reply
function Dialogue:pass_on(answer)
  self:refuse(answer.code, answer.enhanced, answer.text)
end

local ENDS <const> = {
  too_large = { 500, "5.5.2", "line too long" }, timeout = { 421, "4.4.2", "you were silent for too long" },
}

--- Reads a line. A CR or LF that stands alone ends the dialogue: what another server has let through must
--- not become commands here.
---@param max integer bytes
---@return string? line without CRLF; nil: it is over
function Dialogue:read_line(max)
  local line, _, code = self.conn:read_until("\n", max)
  if not line then
    local said = ENDS[code]
    self.is_over = true
    return said and self:leave(said[1], said[2], said[3])
  elseif line:find("\r", 1, true) ~= #line then
    return self:leave(521, "5.5.2", "lines end with CR and LF, both")
  end
  return line:sub(1, -2)
end

-- Whether the client speaks before it was greeted.
local function is_hasty(self)
  local delay = self.settings.banner_delay
  if not delay or delay == 0 then
    return false
  end
  self.conn:configure { read_timeout = delay }
  local _, _, code = self.conn:peek_some(1)
  return code ~= "timeout"
end

local function greet(self)
  if is_hasty(self) then
    return self:leave(554, "5.5.1", "wait until you are greeted")
  end
  local ok, answer = self:ask("on_connect", self.session)
  if ok then
    self:say(220, nil, self.settings.hostname .. " ESMTP")
  else
    self:leave(answer.code >= 500 and 554 or 421, answer.enhanced, answer.text)
  end
end

-- When the task ends while the connection is still here; one that moves to new code is not.
local farewell = {
  __close = function(guard, problem)
    local self = guard.dialogue
    if not self.conn:is_open() then
      return
    elseif core.is_fault(problem) == "cancelled" then
      self.conn:try_write("421 4.3.2 shutting down: try again later\r\n")
    end
    self:forget()
    local call = self.policy.on_close
    if call then
      call(self.session)
    end
  end,
}

local function converse(self, begin)
  local guard <close> = setmetatable({ dialogue = self }, farewell) -- luacheck: ignore 211
  begin(self)
  local settings = self.settings
  local line_max = settings.credentials and math.max(settings.line_max, AUTH_LINE) or settings.line_max
  self.conn:configure { read_timeout = settings.command_timeout }
  while not self.is_over do
    if not self.message then -- a sink cannot move
      self.conn:checkpoint(state_of(self))
    end
    local line = self:read_line(line_max)
    if line then
      commands.perform(self, line)
    end
    if self.errors >= settings.errors_max and not self.is_over then
      self:leave(421, "4.7.0", "too many errors")
    end
  end
end

--- Talks with a client from the beginning to the end.
---@param conn moonwire.stream
---@param policy moonwire.smtp.policy
---@param settings moonwire.smtp.server_options
function dialogue.serve(conn, policy, settings)
  converse(make(conn, policy, settings), greet)
end

--- Goes on where older code has stopped.
---@param conn moonwire.stream
---@param state table
---@param policy moonwire.smtp.policy
---@param settings moonwire.smtp.server_options
function dialogue.resume(conn, state, policy, settings)
  local self = make(conn, policy, settings)
  self.errors, self.messages, self.failures = state.errors, state.messages, state.failures
  self.junk = state.junk
  for _, name in ipairs(MOVED) do
    self.session[name] = state.session[name]
  end
  converse(self, function()
    self:ask("on_resume", self.session)
  end)
end

return dialogue
