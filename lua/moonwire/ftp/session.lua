--- The dialogue on a control connection (RFC 959): reads commands, answers each in its turn, also while a
--- transfer runs. Not for scripts.
local data = require "moonwire.ftp.data"
local line = require "moonwire.ftp.line"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

local session = {}

local LINE_BYTES <const> = 4096
local PENDING_MOST <const> = 32 -- commands that wait for the end of a transfer

---@class moonwire.ftp.state plain data: what moves at a reload
---@field user? string that USER said
---@field name? string who is logged in
---@field folder string absolute
---@field type "A"|"I"
---@field protection "C"|"P" of data connections
---@field has_buffer_size? boolean PBSZ was said
---@field offset integer of REST
---@field rename_from? string absolute
---@field facts table<string, boolean> of MLST
---@field failures integer of logins
---@field extended_only? boolean EPSV ALL was said

---@class moonwire.ftp.session
---@field conn moonwire.stream the control connection
---@field options moonwire.ftp_service_options with defaults
---@field commands table<string, moonwire.ftp.command>
---@field state moonwire.ftp.state
---@field account? moonwire.ftp_account
---@field passive? moonwire.listener for the next data connection
---@field active? table for the next data connection
---@field transfer? moonwire.ftp.transfer the one that runs
---@field pending string[] lines that wait for its end
---@field ends? boolean after the next reply

--- A state to begin with.
---@param is_tls boolean
---@return moonwire.ftp.state
function session.fresh_state(is_tls)
  return {
    folder = "/", type = "A", protection = is_tls and "P" or "C", offset = 0, failures = 0,
    facts = { type = true, size = true, modify = true, perm = true, unique = true, ["UNIX.mode"] = true },
  }
end

local function reply(self, code, text, lines)
  return self.conn:write(line.reply(code, text, lines))
end

local function logged(self, transfer)
  self.transfer = nil
  if self.options.on_transfer then
    self.options.on_transfer(self.account, {
      kind = transfer.kind, path = transfer.path, bytes = transfer.bytes, seconds = transfer.seconds or 0,
      reply = transfer.reply or 426, peer = self.conn:peer_address(),
    })
  end
end

-- Waits for the end of the transfer, and tells it.
local function finish_transfer(self)
  local transfer = self.transfer
  if not transfer then
    return true
  end
  local code, text = transfer.task:join()
  if not code then
    code, text = 451, "The transfer failed"
  end
  logged(self, transfer)
  return reply(self, code, text)
end

--- Breaks the transfer off. Returns whether there was one.
---@param self moonwire.ftp.session
---@return boolean
function session.abort(self)
  local transfer = self.transfer
  if not transfer then
    data.forget(self)
    return false
  end
  transfer.task:cancel()
  local code, text = transfer.task:join()
  logged(self, transfer)
  reply(self, code or 426, code and text or "The transfer was aborted")
  return true
end

-- Waits for the end of the transfer or for bytes of the client. True: there are some.
local function hear_client(self)
  local conn = self.conn
  local listening = task.spawn(function()
    local _, _, code = conn:peek_some(1)
    while code == "timeout" do
      _, _, code = conn:peek_some(1)
    end
    return true
  end)
  local which = sync.select { self.transfer.task, listening }
  listening:cancel()
  listening:join()
  return which == 2
end

-- What is said during a transfer and cannot wait for its end.
local URGENT <const> = { ABOR = true, STAT = true }

local function read(self)
  return self.conn:read_line(LINE_BYTES)
end

-- Nothing that only this process has must be lost when the connection moves.
local function read_at_rest(self)
  if not data.is_agreed(self) then
    self.conn:checkpoint(self.state)
  end
  return read(self)
end

-- The next line to act on. Nil, err, code: there is none.
local function next_line(self)
  while self.transfer do
    if #self.pending >= PENDING_MOST or not hear_client(self) then
      finish_transfer(self)
    else
      local text, err, code = read(self)
      local verb = text and line.parse(text)
      if not text or URGENT[verb] then
        return text, err, code
      end
      table.insert(self.pending, text)
    end
  end
  if self.pending[1] then
    return table.remove(self.pending, 1)
  end
  return read_at_rest(self)
end

-- What forbids the command now: a reply.
local function objection(self, command, argument)
  if command.needs_login and not self.account then
    return 530, "Log in first"
  elseif command.writes and not self.account.may_write then
    return 550, "You may not write"
  elseif command.argument == "required" and argument == "" then
    return 501, "An argument is missing"
  elseif command.data and self.options.tls == "required" and self.state.protection ~= "P" then
    return 521, "The data connection must be protected: PROT P"
  elseif command.data and not data.is_agreed(self) then
    return 425, "PASV, EPSV, PORT or EPRT first"
  end
end

-- What may stand between REST and its transfer.
local KEEPS_OFFSET <const> = {}
for verb in ("PASV EPSV PORT EPRT TYPE REST SIZE MDTM NOOP MODE STRU ALLO PBSZ PROT STAT"):gmatch("%a+") do
  KEEPS_OFFSET[verb] = true
end

local function act(self, text)
  local verb, argument = line.parse(text)
  local command = verb and self.commands[verb]
  if not command then
    return reply(self, 500, "What is that?")
  end
  local code, answer, lines = objection(self, command, argument)
  if not code then
    code, answer, lines = command.run(self, argument)
  end
  if not KEEPS_OFFSET[verb] then
    self.state.offset = 0
  end
  if verb ~= "RNFR" then
    self.state.rename_from = nil
  end
  if code then
    return reply(self, code, answer, lines)
  end
  return true
end

local function farewell(self, code)
  if code == "too_large" then
    reply(self, 500, "The line is too long")
  elseif code == "timeout" then
    reply(self, 421, "Nothing has come for too long")
  end
end

--- Serves until one of both ends it.
---@param self moonwire.ftp.session
function session.converse(self)
  self.conn:configure { read_timeout = self.options.idle_timeout }
  local left <close> = setmetatable({}, { __close = function() -- luacheck: ignore 211
    session.leave(self)
  end })
  repeat
    local text, _, code = next_line(self)
    if not text then
      if self.transfer then
        self.transfer.task:cancel()
        self.transfer.task:join()
        logged(self, self.transfer)
      end
      return farewell(self, code)
    end
  until not act(self, text) or self.ends
end

--- Logs the user out.
---@param self moonwire.ftp.session
function session.leave(self)
  local account = self.account
  self.account = nil
  if account and self.options.on_logout then
    self.options.on_logout(account)
  end
end

return session
