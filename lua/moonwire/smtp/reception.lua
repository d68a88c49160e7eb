--- Messages as they come: DATA, and BDAT (RFC 3030). Not for scripts.
local core = require "moonwire.core"
local dots = require "moonwire.smtp.dots"
local intake = require "moonwire.smtp.intake"
local reply = require "moonwire.smtp.reply"
local trace = require "moonwire.smtp.trace"

local reception = {}

local PIECE <const> = 65536
local DROPPED_MOST <const> = 16 * 1024 * 1024 -- bytes of a message that is refused already
local BARE <const> = reply.new(550, "5.5.2", "lines end with CR and LF, both")
local LATE <const> = reply.new(421, "4.4.2", "the message did not end in time")

-- Begins the message of the envelope, which is the dialogue's from now on. Nil: why not.
local function begin(self)
  local envelope, settings = self.session.envelope, self.settings
  if not envelope then
    return nil, reply.new(503, "5.5.1", "begin with MAIL")
  elseif #envelope.recipients == 0 then
    return nil, reply.new(554, "5.5.1", "nobody to send it to")
  end
  local sink, answer = self:ask("on_message", self.session, envelope)
  if not sink then
    self.session.envelope = nil
    return nil, answer
  end
  self.due = core.now() + (settings.message_timeout or math.huge)
  self.message = intake.new(sink, settings, function(...)
    return self:call(...)
  end, function(header)
    return trace.fields(envelope, header, settings)
  end)
  return self.message
end

local function finish(self)
  local done, answer = self.message:finish()
  local id = self.session.envelope.id
  self:forget()
  if not done then
    return self:pass_on(answer)
  end
  self.messages, self.junk = self.messages + 1, 0
  self:say(250, "2.0.0", done == true and "accepted as " .. id or done)
end

-- Why no more of a message is waited for; nil: it is.
local function impatience(self, message)
  if core.now() > self.due then
    return LATE
  elseif message.problem and message.size > self.settings.size_max + DROPPED_MOST then
    return message.problem
  end
end

-- Reads in the time of messages. True; nil: the rest has not come, and the dialogue is over.
local function receive(self, read, ...)
  self.conn:configure { read_timeout = self.settings.data_timeout }
  local is_whole, code, answer = read(self, ...)
  self.conn:configure { read_timeout = self.settings.command_timeout }
  answer = answer or code == "timeout" and LATE
  if is_whole then
    return true
  elseif answer then
    self:leave(answer.code, answer.enhanced, answer.text)
  end
  self.is_over = true
end

local function judge_lines(reader, message)
  if reader.is_bare then
    message:fail(BARE)
  elseif reader.is_long then
    message:fail(reply.new(550, "5.6.0", ("lines of %d bytes at most"):format(reader.line_max)))
  end
end

-- To the end of the data. Nil, a code: the client has ended or is silent; and a reply, if that is known.
local function read_data(self, message)
  local conn, reader = self.conn, dots.new(self.settings.text_line_max)
  local data, used, answer
  repeat
    local chunk, _, code = conn:peek_some(PIECE)
    if not chunk then
      return nil, code
    end
    data, used = reader:feed(chunk)
    conn:read(used or #chunk)
    judge_lines(reader, message)
    message:write(data)
    answer = impatience(self, message)
  until used or answer
  return used, nil, answer
end

--- DATA.
---@param self moonwire.smtp.dialogue
---@param argument string
function reception.data(self, argument)
  local envelope = self.session.envelope
  if argument ~= "" then
    return self:refuse(501, "5.5.4", "nothing may follow that command")
  elseif self.message or envelope and envelope.body == "binarymime" then
    return self:refuse(503, "5.5.1", "go on with BDAT")
  end
  local message, answer = begin(self)
  if not message then
    return self:pass_on(answer)
  end
  self:say(354, nil, "go on, and end with a dot")
  if receive(self, read_data, message) then
    finish(self)
  end
end

-- Whether a CR or LF stands alone, where bytes go on that ended with a CR or did not.
local function is_bare(bytes, after_cr)
  return after_cr and bytes:byte() ~= 10 or not after_cr and bytes:byte() == 10
    or bytes:find("\r[^\n]") ~= nil or bytes:find("[^\r]\n") ~= nil
end

local function take(self, message, bytes)
  if self.session.envelope.body ~= "binarymime" and is_bare(bytes, message.ends_with_cr) then
    message:fail(BARE)
  end
  message.ends_with_cr = bytes:byte(-1) == 13
  message:write(bytes)
  return impatience(self, message)
end

-- The bytes of a chunk, into the message or away.
local function read_chunk(self, size, message)
  while size > 0 do
    local bytes, _, code = self.conn:read_some(math.min(size, PIECE))
    if not bytes then
      return nil, code
    end
    size = size - #bytes
    local answer = message and take(self, message, bytes) or core.now() > self.due and LATE
    if answer then
      return nil, nil, answer
    end
  end
  return true
end

-- A chunk of no message: it is read all the same, if that is not asking too much.
local function drop_chunk(self, size, answer)
  if size > self.settings.size_max + DROPPED_MOST then
    return self:leave(answer.code, answer.enhanced, answer.text)
  end
  self.due = core.now() + (self.settings.message_timeout or math.huge)
  if receive(self, read_chunk, size) then
    self:pass_on(answer)
  end
end

--- BDAT. A chunk whose size is not understood ends the dialogue: nobody knows where the next command begins.
---@param self moonwire.smtp.dialogue
---@param argument string
function reception.bdat(self, argument)
  local digits, last = argument:match("^(%d+) *(%a*)$")
  if not digits or #digits > 15 or last ~= "" and last:upper() ~= "LAST" then
    return self:leave(501, "5.5.4", "BDAT size [LAST]")
  end
  local size, message, answer = tonumber(digits), self.message, nil
  if not message then
    message, answer = begin(self)
  end
  if not message then
    return drop_chunk(self, size, answer)
  elseif not receive(self, read_chunk, size, message) then
    return
  end
  if message.ends_with_cr and last ~= "" and self.session.envelope.body ~= "binarymime" then
    message:fail(BARE)
  end
  if last ~= "" then
    finish(self)
  elseif message.problem then
    answer = message.problem
    self:forget()
    self:pass_on(answer)
  else
    self:say(250, "2.0.0", ("%d bytes"):format(size))
  end
end

return reception
