--- One message of a client: MAIL, RCPT, DATA, and what became of each recipient. Not for scripts.
local answer = require "moonwire.smtp.answer"
local stuffing = require "moonwire.smtp.stuffing"
local xtext = require "moonwire.smtp.xtext"

local delivery = {}

local AT_ONCE <const> = 100 -- commands that are sent before their replies are read
local BODIES <const> = { ["8bitmime"] = " BODY=8BITMIME" }

local function result_of(recipient, reply, is_delivered)
  return {
    address = recipient.address, is_delivered = is_delivered or false,
    is_permanent = not is_delivered and reply.code >= 500, code = reply.code, enhanced = reply.enhanced,
    text = reply.text,
  }
end

local function no(code, enhanced, text)
  return { code = code, enhanced = enhanced, text = text }
end

local function for_all(recipients, reply)
  local results = {}
  for i, recipient in ipairs(recipients) do
    results[i] = result_of(recipient, reply)
  end
  return results
end

local function needs_utf8(envelope)
  local all = envelope.sender
  for _, recipient in ipairs(envelope.recipients) do
    all = all .. recipient.address
  end
  return envelope.smtputf8 or all:find("[\128-\255]") ~= nil
end

-- Why the server cannot take it; nil: it may.
local function obstacle(envelope, extensions)
  local most = math.tointeger(tonumber(extensions.SIZE))
  if envelope.needs_utf8 and not (extensions.SMTPUTF8 and extensions["8BITMIME"]) then
    return no(550, "5.6.7", "the server does not take such addresses")
  elseif envelope.body == "binarymime" then
    return no(550, "5.6.3", "such messages are not sent")
  elseif most and most > 0 and (envelope.size or 0) > most then
    return no(552, "5.3.4", ("the server takes messages of %d bytes at most"):format(most))
  end
end

local function mail_command(envelope, extensions)
  local parts = { "MAIL FROM:<", envelope.sender, ">" }
  local function add(is_offered, name, value)
    if is_offered and value then
      parts[#parts + 1] = (" %s=%s"):format(name, value)
    end
  end
  add(extensions.SIZE, "SIZE", envelope.size)
  add(extensions.DSN, "RET", envelope.ret and envelope.ret:upper())
  add(extensions.DSN, "ENVID", envelope.envid and xtext.encode(envelope.envid))
  parts[#parts + 1] = extensions["8BITMIME"] and BODIES[envelope.body] or ""
  parts[#parts + 1] = envelope.needs_utf8 and " SMTPUTF8" or ""
  return table.concat(parts)
end

local function rcpt_command(recipient, extensions)
  local notify, original = "", ""
  if extensions.DSN and recipient.notify then
    notify = " NOTIFY=" .. table.concat(recipient.notify, ","):upper()
  end
  if extensions.DSN and recipient.orcpt then
    local kind, text = recipient.orcpt:match("^(%w[%w-]*);(.+)$")
    original = kind and (" ORCPT=%s;%s"):format(kind, xtext.encode(text)) or ""
  end
  return ("RCPT TO:<%s>%s%s"):format(recipient.address, notify, original)
end

-- Says commands, some before the replies when the server can take that. The replies; nil, err, code, and
-- those that came.
local function ask_all(self, commands)
  local replies, at_once = {}, self.extensions.PIPELINING and AT_ONCE or 1
  for at = 1, #commands, at_once do
    local last = math.min(at + at_once - 1, #commands)
    local ok, err, code = self.conn:write(table.concat(commands, "\r\n", at, last), "\r\n")
    if not ok then
      return nil, "write command: " .. err, code, replies
    end
    for i = at, last do
      replies[i], err, code = answer.read(self.conn)
      if not replies[i] then
        return nil, err, code, replies
      end
    end
  end
  return replies
end

-- Says whose message it is and whom it is for. Results of those who are refused, and how many are not.
local function introduce(self, envelope)
  local commands = { mail_command(envelope, self.extensions) }
  for _, recipient in ipairs(envelope.recipients) do
    commands[#commands + 1] = rcpt_command(recipient, self.extensions)
  end
  local replies, err, code, some = ask_all(self, commands)
  if some and some[1] and some[1].code >= 300 then
    replies = some -- the server has refused the message, and gone
  end
  if not replies then
    return nil, err, code
  elseif replies[1].code >= 300 then
    return for_all(envelope.recipients, replies[1]), 0
  end
  local results, count = {}, 0
  for i, recipient in ipairs(envelope.recipients) do
    local reply = replies[i + 1]
    local is_taken = reply.code >= 200 and reply.code < 300
    count = count + (is_taken and 1 or 0)
    results[i] = not is_taken and result_of(recipient, reply) or false
  end
  return results, count
end

local function next_piece(source)
  if type(source) == "function" then
    return source
  end
  return function()
    local piece = source
    source = nil
    return piece
  end
end

local function bare()
  return nil, "send message: a CR or LF stands alone in it", "invalid"
end

-- Who does not offer 8BITMIME must get no such bytes, whatever (RFC 6152 §3).
local function is_too_wide(self, piece)
  return not self.extensions["8BITMIME"] and piece:find("[\128-\255]") ~= nil
end

local function wide()
  return nil, "send message: it is not ASCII, which is all that the server takes", "unsupported"
end

-- The text with its end, as it comes.
local function send_text(self, source)
  local stuffed, read = stuffing.new(), next_piece(source)
  while true do
    local piece, err, code = read()
    if not piece and err then
      return nil, err, code
    elseif piece and is_too_wide(self, piece) then
      return wide()
    end
    local bytes
    if piece then
      bytes = stuffed:write(piece)
    else
      bytes = stuffed:finish()
    end
    if not bytes then
      return bare()
    end
    local ok
    ok, err, code = self.conn:write(bytes)
    if not ok or not piece then
      return ok, err, code
    end
  end
end

local function send_data(self, source)
  local reply, err, code = answer.ask(self.conn, "DATA")
  if reply and reply.code < 400 and reply.code ~= 354 then
    return nil, ("DATA: the server says %d"):format(reply.code), "protocol"
  elseif not reply or reply.code ~= 354 then
    return reply, err, code
  end
  local ok
  ok, err, code = send_text(self, source)
  if not ok then
    return nil, err, code
  end
  self.conn:configure { read_timeout = self.options.end_timeout }
  reply, err, code = answer.read(self.conn)
  self.conn:configure { read_timeout = self.options.command_timeout }
  return reply, err, code
end

-- For those who were not refused what the server said of the message.
local function complete(results, envelope, reply)
  for i, recipient in ipairs(envelope.recipients) do
    results[i] = results[i] or result_of(recipient, reply, reply.code >= 200 and reply.code < 300)
  end
  return results
end

-- Makes a connection that is amid a message, but has sent none, good for another. A server that has refused
-- all may go at once.
local function reset(self, results)
  if not answer.ask(self.conn, "RSET") then
    self.conn:abort()
  end
  return results
end

--- Sends a message.
---@param self moonwire.smtp_connection
---@param envelope moonwire.smtp.outgoing as of outgoing.read
---@param source string|fun(): string?, string?, string?
---@return moonwire.smtp.result[]? results
---@return string? err
---@return moonwire.code? code
function delivery.perform(self, envelope, source)
  envelope.needs_utf8 = needs_utf8(envelope)
  local why = obstacle(envelope, self.extensions)
  if why then
    return for_all(envelope.recipients, why)
  end
  local results, count, code = introduce(self, envelope)
  if not results then
    return nil, count, code
  elseif count == 0 then
    return reset(self, results)
  end
  local reply, err
  reply, err, code = send_data(self, source)
  if not reply then
    return nil, err, code
  end
  return complete(results, envelope, reply)
end

return delivery
