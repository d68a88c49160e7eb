--- Reports to a sender of what could not be delivered (RFC 3464). Not for scripts.
local report = {}

local REASON_MOST <const> = 500

--- One line of visible ASCII: what others have answered goes into fields of ours.
---@param text any
---@return string
function report.plain(text)
  return (tostring(text):gsub("[%c\127-\255]+", " "):sub(1, REASON_MOST))
end

local plain = report.plain

local function describe(failure)
  local status = plain(failure.reason):match "%f[%d][45]%.%d%d?%d?%.%d%d?%d?%f[%D]" or "5.0.0"
  return table.concat({
    "", "Final-Recipient: rfc822;" .. plain(failure.address), "Action: failed",
    "Status: 5" .. status:sub(2), "Diagnostic-Code: smtp; " .. plain(failure.reason), "",
  }, "\n")
end

local function explain(failures)
  local lines = {}
  for i, failure in ipairs(failures) do
    lines[i] = ("<%s>: %s\n"):format(plain(failure.address), plain(failure.reason))
  end
  return table.concat(lines)
end

local FORM <const> = [[
Date: %s
From: Mail Delivery System <MAILER-DAEMON@%s>
To: <%s>
Subject: Undelivered mail returned to sender
Message-ID: <%s@%s>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="%s"

--%s
Content-Type: text/plain; charset=us-ascii

Your message could not be delivered to all of its recipients:

%s
--%s
Content-Type: message/delivery-status

Reporting-MTA: dns;%s
Arrival-Date: %s
%s
--%s
Content-Type: text/rfc822-headers

%s
--%s--
]]

local function date(seconds)
  return os.date("!%a, %d %b %Y %H:%M:%S +0000", seconds)
end

--- The text of a report, with CRLF: it may be for another server.
---@param id string of the report
---@param hostname string
---@param envelope moonwire.mail.envelope of the message
---@param failures moonwire.mail.recipient[] with `reason`
---@param header string of the message
---@return string
function report.write(id, hostname, envelope, failures, header)
  local boundary, blocks = "report-" .. id, {}
  for i, failure in ipairs(failures) do
    blocks[i] = describe(failure)
  end
  local text = FORM:format(date(os.time()), hostname, plain(envelope.sender), id, hostname, boundary,
    boundary, explain(failures), boundary, hostname, date(envelope.taken), table.concat(blocks), boundary,
    (header:gsub("\r", ""):gsub("\n+$", "")), boundary)
  return (text:gsub("\n", "\r\n"))
end

return report
