--- Reports to a sender of what became of a message (RFC 3464, RFC 3461). Not for scripts.
local report = {}

local REASON_MOST <const> = 500

-- What the kinds of reports begin with, and the class of status of each action.
local KINDS <const> = {
  failed = {
    subject = "Undelivered mail returned to sender", status = "5",
    text = "Your message could not be delivered to all of its recipients:",
  },
  delayed = {
    subject = "Delayed mail, which is still being tried", status = "4",
    text = "Your message could not be delivered yet to all of its recipients. It is tried again;\n"
      .. "you need not do anything:",
  },
  delivered = {
    subject = "Mail was delivered", status = "2", text = "Your message has arrived at:",
  },
  relayed = {
    subject = "Mail was handed on", status = "2",
    text = "Your message was handed on to a server that does not tell what becomes of it, for:",
  },
}
local ORDER <const> = { "failed", "delayed", "relayed", "delivered" }

---@class moonwire.mail.reporter
---@field id string of the report
---@field hostname string
---@field expire number seconds until a message is given up

--- One line of visible ASCII: what others have answered goes into fields of ours.
---@param text any
---@return string
function report.plain(text)
  return (tostring(text):gsub("[%c\127-\255]+", " "):sub(1, REASON_MOST))
end

local plain = report.plain

-- An address, which may have more than ASCII in it.
local function plain_address(text)
  return (text:gsub("[%c\127]+", " "))
end

--- Whether there are addresses in a report with more than ASCII in them (RFC 6533).
---@param envelope moonwire.mail.envelope
---@param found moonwire.mail.notice[]
---@return boolean
function report.needs_utf8(envelope, found)
  local is_needed = envelope.sender:find "[\128-\255]" ~= nil
  for _, notice in ipairs(found) do
    is_needed = is_needed or notice.recipient.address:find "[\128-\255]" ~= nil
  end
  return is_needed
end

local function date(seconds)
  return os.date("!%a, %d %b %Y %H:%M:%S +0000", seconds)
end

local function status_of(notice)
  local class = KINDS[notice.action].status
  local found = notice.recipient.reason
    and plain(notice.recipient.reason):match "%f[%d][245]%.%d%d?%d?%.%d%d?%d?%f[%D]"
  return class .. (found and found:sub(2) or ".0.0")
end

-- The fields of one recipient.
local function describe(reporter, envelope, notice)
  local recipient = notice.recipient
  local lines = { "" }
  local function add(name, value)
    lines[#lines + 1] = value and ("%s: %s"):format(name, value) or nil
  end
  local kind = recipient.address:find "[\128-\255]" and "utf-8;" or "rfc822;"
  add("Original-Recipient", recipient.orcpt and plain_address(recipient.orcpt))
  add("Final-Recipient", kind .. plain_address(recipient.address))
  add("Action", notice.action)
  add("Status", status_of(notice))
  add("Diagnostic-Code", recipient.reason and "smtp; " .. plain(recipient.reason))
  add("Will-Retry-Until", notice.action == "delayed" and date(envelope.taken + math.ceil(reporter.expire)))
  return table.concat(lines, "\n") .. "\n"
end

-- What is said in words, for each kind of which there is something.
local function explain(found)
  local lines = {}
  for _, action in ipairs(ORDER) do
    local is_first = true
    for _, notice in ipairs(found) do
      if notice.action == action then
        lines[#lines + 1] = is_first and KINDS[action].text .. "\n" or nil
        local reason = notice.recipient.reason and ": " .. plain(notice.recipient.reason) or ""
        lines[#lines + 1] = ("<%s>%s"):format(plain_address(notice.recipient.address), reason)
        is_first = false
      end
    end
    lines[#lines + 1] = not is_first and "" or nil
  end
  return table.concat(lines, "\n")
end

local function subject_of(found)
  for _, action in ipairs(ORDER) do
    for _, notice in ipairs(found) do
      if notice.action == action then
        return KINDS[action].subject
      end
    end
  end
end

local FORM <const> = [[
Date: @date
From: Mail Delivery System <MAILER-DAEMON@@hostname>
To: <@sender>
Subject: @subject
Message-ID: <@id@@hostname>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=@status; boundary="report-@id"

--report-@id
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

@text
--report-@id
Content-Type: message/@status

@envid]] .. [[
Reporting-MTA: dns;@hostname
Arrival-Date: @arrival
@recipients
--report-@id
Content-Type: @type
Content-Transfer-Encoding: 8bit

@message
--report-@id--
]]

--- The text of a report, with CRLF: it may be for another server.
---@param reporter moonwire.mail.reporter
---@param envelope moonwire.mail.envelope of the message
---@param found moonwire.mail.notice[]
---@param message string what comes back of it
---@param is_whole boolean whether that is all of it, or its header
---@return string
function report.write(reporter, envelope, found, message, is_whole)
  local blocks = {}
  for i, notice in ipairs(found) do
    blocks[i] = describe(reporter, envelope, notice)
  end
  local is_utf8 = report.needs_utf8(envelope, found)
  local types = is_utf8 and { "message/global", "message/global-headers" }
    or { "message/rfc822", "text/rfc822-headers" }
  local values = {
    date = date(os.time()), hostname = reporter.hostname, id = reporter.id,
    sender = plain_address(envelope.sender), subject = subject_of(found), text = explain(found),
    arrival = date(envelope.taken),
    envid = envelope.envid and ("Original-Envelope-Id: %s\n"):format(plain(envelope.envid)) or "",
    recipients = table.concat(blocks), type = is_whole and types[1] or types[2],
    status = is_utf8 and "global-delivery-status" or "delivery-status",
    message = message:gsub("\r", ""):gsub("\n+$", ""),
  }
  return (FORM:gsub("@(%l+)", values):gsub("\n", "\r\n"))
end

return report
