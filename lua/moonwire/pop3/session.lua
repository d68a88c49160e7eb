--- The dialogue with one client of POP3: a command, an answer, and so on. Not for scripts.
local Maildrop = require "moonwire.pop3.maildrop"
local answer = require "moonwire.pop3.answer"
local commands = require "moonwire.pop3.commands"
local log = require "moonwire.log"

local session = {}

local LINE_MOST <const> = 255 -- bytes of a command (RFC 2449, section 4)

---@class moonwire.pop3.dialogue
---@field conn moonwire.stream
---@field policy moonwire.pop3.policy
---@field settings moonwire.pop3.options all of them
---@field metrics table<string, moonwire.counter>
---@field session moonwire.pop3.session
---@field drop? moonwire.pop3.maildrop behind the login
---@field name? string that USER has told
---@field errors integer commands that were refused
---@field failures integer logins that were refused
---@field is_over? boolean

local function new(server, conn)
  return {
    conn = conn, policy = server.policy, settings = server.settings, metrics = server.metrics,
    session = { peer = conn:peer_address(), tls = conn:tls() }, errors = 0, failures = 0,
  }
end

local function state_of(self)
  return {
    protocol = "pop3", name = self.name, errors = self.errors, failures = self.failures,
    user = self.session.user, drop = self.drop and self.drop:pack(),
  }
end

local function obey(self, line)
  local word, argument = line:match "^(%a+) *(.*)$"
  local known = self.drop and commands.after or commands.before
  local command = word and known[word:upper()]
  if not command then
    answer.refuse(self, "no such command now")
  elseif argument:find "%z" then
    answer.refuse(self, "not understood")
  else
    command(self, argument ~= "" and argument or nil)
  end
end

local function converse(self)
  local conn = self.conn
  repeat
    conn:checkpoint(state_of(self))
    local line, _, code = conn:read_line(LINE_MOST)
    if line then
      obey(self, line)
    elseif code == "too_large" then
      answer.refuse(self, "the line is too long")
      self.is_over = true
    else -- who leaves without QUIT, or says nothing for too long, deletes nothing
      self.is_over = true
    end
    if self.errors >= self.settings.errors_max and not self.is_over then
      answer.refuse(self, "too many mistakes")
      self.is_over = true
    end
  until self.is_over
  if self.drop then
    self.drop:close()
  end
end

--- Serves a new connection, to its end.
---@param server table
---@param conn moonwire.stream
function session.serve(server, conn)
  local self = new(server, conn)
  conn:configure { read_timeout = server.settings.login_timeout }
  conn:write("+OK ", server.settings.greeting, "\r\n")
  converse(self)
end

--- Goes on with one that comes from older code.
---@param server table
---@param conn moonwire.stream
---@param state table
function session.resume(server, conn, state)
  local self = new(server, conn)
  self.name, self.errors, self.failures = state.name, state.errors, state.failures
  self.session.user = state.user
  if state.drop then
    local drop, err = Maildrop.restore(state.drop)
    if not drop then
      log.warn("a session ended, its mailbox is not to be had", { user = state.user, err = err })
      return
    end
    self.drop = drop
  end
  converse(self)
end

return session
