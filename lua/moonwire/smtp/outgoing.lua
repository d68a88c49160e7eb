--- Envelopes that are to be sent, checked: nothing of them may become a command of its own. Not for scripts.
local address = require "moonwire.smtp.address"

local outgoing = {}

local UTF8 <const> = { utf8 = true }
local FIELDS <const> = { "body", "smtputf8", "size", "ret", "envid" }
local RETURNS <const> = { full = true, hdrs = true }
local WISHES <const> = { success = true, failure = true, delay = true, never = true }

local function written(text)
  local mailbox = type(text) == "string" and address.parse(text, UTF8)
  return mailbox and mailbox.address or nil
end

local function is_notify(list)
  for _, wish in ipairs(list) do
    if not WISHES[wish] then
      return false
    end
  end
  return #list > 0
end

local function read_recipient(given)
  local recipient = type(given) == "table" and given or { address = given }
  local where, original = written(recipient.address), recipient.orcpt
  if not where then
    return nil, "is no address of mail"
  elseif recipient.notify and not is_notify(recipient.notify) then
    return nil, "has no good 'notify'"
  elseif original and not tostring(original):find("^%w[%w-]*;[^%c]+$") then
    return nil, "has no good 'orcpt'"
  end
  return { address = where, notify = recipient.notify, orcpt = original }
end

local function problem_of(envelope)
  if envelope.ret and not RETURNS[envelope.ret] then
    return "'ret' is 'full' or 'hdrs'"
  elseif envelope.size and math.type(envelope.size) ~= "integer" then
    return "'size' is an integer"
  elseif envelope.envid and not tostring(envelope.envid):find("^[ -~]+$") then
    return "'envid' is ASCII"
  elseif #envelope.recipients == 0 then
    return "there are no recipients"
  end
end

--- An envelope with what is sent of it.
---@param given moonwire.smtp.outgoing
---@return moonwire.smtp.outgoing? envelope
---@return string? err
function outgoing.read(given)
  local envelope = { recipients = {}, sender = given.sender == "" and "" or written(given.sender) }
  if not envelope.sender then
    return nil, "the sender is no address of mail"
  end
  for i, one in ipairs(given.recipients) do
    local recipient, problem = read_recipient(one)
    if not recipient then
      return nil, ("recipient %d %s"):format(i, problem)
    end
    envelope.recipients[i] = recipient
  end
  for _, name in ipairs(FIELDS) do
    envelope[name] = given[name]
  end
  local problem = problem_of(envelope)
  return not problem and envelope or nil, problem
end

return outgoing
