--- What a server writes before a message: where it came from (RFC 5321 §4.4), and for those who submit what
--- they have left out (RFC 6409 §8). Not for scripts.
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"

local trace = {}

--- A new id, of a session or a message.
---@return string
function trace.id()
  return codec.hex_encode(crypto.random_bytes(10))
end

local function date()
  return os.date("!%a, %d %b %Y %H:%M:%S +0000")
end

--- How a message came, as of RFC 3848 and RFC 6531 §4.3.
---@param session moonwire.smtp.session
---@param is_utf8 boolean?
---@return string
function trace.protocol(session, is_utf8)
  if not session.esmtp then
    return "SMTP"
  end
  return (is_utf8 and "UTF8SMTP" or "ESMTP") .. (session.tls and "S" or "") .. (session.user and "A" or "")
end

local function literal(client)
  if not client then
    return "local"
  end
  return client:find(":", 1, true) and "[IPv6:" .. client .. "]" or "[" .. client .. "]"
end

local function received(envelope, hostname)
  local single = #envelope.recipients == 1 and envelope.recipients[1].address
  return ("Received: from %s (%s)\r\n\tby %s with %s id %s%s;\r\n\t%s\r\n"):format(
    envelope.hello, literal(envelope.client), hostname, envelope.protocol, envelope.id,
    single and "\r\n\tfor <" .. single .. ">" or "", date())
end

local function has(header, name)
  return ("\n" .. header:lower()):find("\n" .. name .. "[ \t]*:") ~= nil
end

--- The fields to stand before a message.
---@param envelope moonwire.smtp.envelope
---@param header string
---@param settings { hostname: string, submission?: boolean }
---@return string
function trace.fields(envelope, header, settings)
  local fields = received(envelope, settings.hostname)
  if settings.submission and not has(header, "date") then
    fields = fields .. "Date: " .. date() .. "\r\n"
  end
  if settings.submission and not has(header, "message%-id") then
    fields = fields .. ("Message-ID: <%s@%s>\r\n"):format(envelope.id, settings.hostname)
  end
  return fields
end

return trace
