--- Replies of a server: their form, and what stands for the words that callbacks refuse with.
--- Not for scripts.
local reply = {}

local LINE_MOST <const> = 400 -- bytes of a text; a line of a reply has 512 at most

---@class moonwire.smtp.reply
---@field code integer 200 to 599
---@field enhanced? string "5.1.1" (RFC 3463); greetings and the like have none
---@field text string

-- What a client is told for a code of errors; never what `err` says, which is for the log.
local WORDS <const> = {
  denied = { 550, "5.7.1", "refused" },
  not_found = { 550, "5.1.1", "no such mailbox here" },
  invalid = { 550, "5.6.0", "not acceptable" },
  unsupported = { 554, "5.6.1", "not supported" },
  too_large = { 552, "5.3.4", "too large" },
  full = { 452, "4.3.1", "no room: try again later" },
  busy = { 450, "4.2.1", "busy: try again later" },
}
local OTHERWISE <const> = { 451, "4.3.0", "not possible for now: try again later" }

--- Makes a reply.
---@param code integer
---@param enhanced string?
---@param text string
---@return moonwire.smtp.reply
function reply.new(code, enhanced, text)
  return { code = code, enhanced = enhanced, text = text }
end

--- The reply for what a callback has returned behind nil or false.
---@param err any
---@param code any a word, or "550 5.1.1", with which err is the text for the client
---@return moonwire.smtp.reply
---@return boolean is_told whether err has gone into it
function reply.of(err, code)
  local basic, class, rest = tostring(code or ""):match("^([45]%d%d) ([45])(%.%d%d?%d?%.%d%d?%d?)$")
  if basic and basic:sub(1, 1) == class then
    return reply.new(tonumber(basic), class .. rest, type(err) == "string" and err or "refused"), true
  end
  local word = WORDS[code or (err == nil and "denied")] or OTHERWISE
  return reply.new(word[1], word[2], word[3]), false
end

-- What may stand in a reply: ASCII without control characters.
local function clean(line)
  return (line:gsub("[^ -~]", "?"):sub(1, LINE_MOST))
end

--- The bytes of a reply. A text of several lines is a reply of several lines.
---@param it moonwire.smtp.reply
---@return string
function reply.format(it)
  local lines, prefix = {}, it.enhanced and it.enhanced .. " " or ""
  for line in (it.text:gsub("\r\n", "\n") .. "\n"):gmatch("([^\n]*)\n") do
    lines[#lines + 1] = ("%d-%s%s"):format(it.code, prefix, clean(line))
  end
  lines[#lines] = lines[#lines]:gsub("^(%d+)%-", "%1 ")
  return table.concat(lines, "\r\n") .. "\r\n"
end

return reply
