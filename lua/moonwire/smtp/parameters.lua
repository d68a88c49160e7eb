--- The parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152, RFC 3030), SMTPUTF8 (RFC 6531), AUTH
--- (RFC 4954), RET, ENVID, NOTIFY and ORCPT (RFC 3461). Not for scripts.
local xtext = require "moonwire.smtp.xtext"

local parameters = {}

local ENVID_MOST <const>, ORCPT_MOST <const> = 100, 500
local BODIES <const> = { ["7BIT"] = "7bit", ["8BITMIME"] = "8bitmime", BINARYMIME = "binarymime" }

---@class moonwire.smtp.parameter_error
---@field unknown boolean whether the parameter is not known here at all
---@field text string

local function fail(text, unknown)
  return nil, { text = text, unknown = unknown or false }
end

-- Names in capital letters → values, or true.
local function split(text)
  local found, at = {}, 1
  while at <= #text do
    local name, value, behind = text:match("^ +(%w[%w-]*)=?([^ =]*)()", at)
    if not name then
      return text:find("^ +$", at) and found or nil
    end
    local has_value = text:sub(behind - #value - 1, behind - #value - 1) == "="
    name = name:upper()
    if found[name] or (has_value and value == "") or text:find("^=", behind) then
      return nil
    end
    found[name] = has_value and value or true
    at = behind
  end
  return found
end

local readers = { MAIL = {}, RCPT = {} }

function readers.MAIL.SIZE(value, envelope)
  local size = value ~= true and value:match("^%d+$") and #value <= 20 and tonumber(value)
  envelope.size = size and (math.tointeger(size) or math.maxinteger) or nil
  return size
end

function readers.MAIL.BODY(value, envelope, offers)
  local body = value ~= true and BODIES[value:upper()]
  envelope.body = body or nil
  return body and (body ~= "binarymime" or offers.binarymime)
end

function readers.MAIL.SMTPUTF8(value, envelope)
  envelope.smtputf8 = true
  return value == true
end

function readers.MAIL.AUTH(value, envelope)
  local mailbox = value ~= true and xtext.decode(value)
  envelope.auth = mailbox or nil
  return mailbox and #mailbox > 0
end

function readers.MAIL.RET(value, envelope)
  local wish = value ~= true and value:upper()
  envelope.ret = (wish == "FULL" or wish == "HDRS") and wish:lower() or nil
  return envelope.ret
end

function readers.MAIL.ENVID(value, envelope)
  envelope.envid = value ~= true and #value <= ENVID_MOST and xtext.decode(value) or nil
  return envelope.envid and envelope.envid:find("^[ -~]+$")
end

local function read_notify(value)
  local wish = {}
  for word in (value:lower() .. ","):gmatch("([^,]*),") do
    local known = word == "success" or word == "failure" or word == "delay" or word == "never"
    if not known or wish[word] then
      return nil
    end
    wish[word] = true
    wish[#wish + 1] = word
  end
  if wish.never and #wish > 1 then
    return nil
  end
  return table.move(wish, 1, #wish, 1, {})
end

function readers.RCPT.NOTIFY(value, recipient)
  recipient.notify = value ~= true and read_notify(value) or nil
  return recipient.notify
end

function readers.RCPT.ORCPT(value, recipient, offers)
  local kind, text = tostring(value):match("^(%w[%w-]*);(.+)$")
  kind = kind and kind:lower()
  local original = kind and #value <= ORCPT_MOST and xtext.decode_address(kind, text, offers.utf8)
  recipient.orcpt = original and not original:find("[%c\127]") and kind .. ";" .. original or nil
  return recipient.orcpt
end

--- Reads the parameters that stand behind a path.
---@param command "MAIL"|"RCPT"
---@param text string from the space on; ""
---@param into table an envelope or a recipient, whose fields are set
---@param offers { offered: table<string, boolean>, binarymime: boolean, utf8: boolean }
---@return table? into
---@return moonwire.smtp.parameter_error? problem
function parameters.read(command, text, into, offers)
  local found = split(text)
  if not found then
    return fail("malformed parameters")
  end
  for name, value in pairs(found) do
    local read = offers.offered[name] and readers[command][name]
    if not read then
      return fail(("parameter %s is not known here"):format(name), true)
    elseif not read(value, into, offers) then
      return fail(("malformed parameter %s"):format(name))
    end
  end
  return into
end

return parameters
