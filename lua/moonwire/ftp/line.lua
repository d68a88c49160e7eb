--- Lines of the control connection (RFC 959, with the Telnet that is in it) and names in them.
--- Not for scripts.
local line = {}

local IAC <const> = "\255"

-- A byte 255 of a name may come alone: then no Telnet command follows it.
local function without_telnet(text)
  return (text:gsub("\255(.?)", function(follower)
    if follower == IAC then
      return IAC
    end
    return follower ~= "" and follower < "\240" and IAC .. follower or ""
  end))
end

--- Takes a line apart. What stands before the verb is the Synch of an ABOR (RFC 959 page 34), and not looked
--- at.
---@param text string without its end
---@return string? verb in capitals; nil: the line is no command
---@return string? argument "" when there is none
function line.parse(text)
  local verb, space, argument = without_telnet(text:gsub("^[\128-\255]+", "")):match("^(%a+)( ?)(.*)$")
  if not verb or (space == "" and argument:find("%S")) then
    return nil
  end
  return verb:upper(), argument
end

--- A name as a client sends it (RFC 2640 §2.2): CR as CR NUL, and LF as NUL.
---@param text string
---@return string name
function line.decode_name(text)
  return (text:gsub("\r%z", "\r"):gsub("%z", "\n"))
end

--- The same the other way, for lists and replies: a name can begin no line.
---@param name string
---@return string text
function line.encode_name(name)
  return (name:gsub("[\r\n]", { ["\r"] = "\r\0", ["\n"] = "\0" }))
end

--- A name in a reply on the control connection, in quotes.
---@param name string
---@return string
function line.quote(name)
  return '"' .. line.encode_name(name):gsub('"', '""'):gsub(IAC, IAC .. IAC) .. '"'
end

--- A reply of one line or, with a list of lines, of several (RFC 959 §4.2).
---@param code integer
---@param text string
---@param lines? string[] those between the first and the last
---@return string
function line.reply(code, text, lines)
  if not lines then
    return ("%d %s\r\n"):format(code, text)
  end
  local parts = { ("%d-%s\r\n"):format(code, text) }
  for i, one in ipairs(lines) do
    parts[i + 1] = " " .. one .. "\r\n"
  end
  parts[#parts + 1] = ("%d End\r\n"):format(code)
  return table.concat(parts)
end

return line
