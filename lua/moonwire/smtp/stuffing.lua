--- A message as DATA carries it: a dot more where a line begins with one, and its end (RFC 5321 §4.5.2).
--- Not for scripts.

---@class moonwire.smtp.stuffing
---@field context string the last two bytes
local stuffing = {}
stuffing.__index = stuffing

--- Begins a message.
---@return moonwire.smtp.stuffing
function stuffing.new()
  return setmetatable({ context = "\r\n" }, stuffing)
end

-- Whether a CR or LF stands alone; a CR at the end may get its LF yet. Line by line, not byte by byte.
local function is_bare(text)
  local at = 1
  while true do
    local cr, lf = text:find("\r", at, true), text:find("\n", at, true)
    if not lf then
      return cr ~= nil and cr < #text
    elseif cr ~= lf - 1 then
      return true
    end
    at = lf + 1
  end
end

--- The bytes to send for a piece of it.
---@param piece string
---@return string? bytes nil: a CR or LF stands alone, which nobody may send
function stuffing:write(piece)
  local text = self.context .. piece
  if is_bare(text:byte(2) == 10 and text or text:sub(2)) then
    return nil
  end
  self.context = text:sub(-2)
  if text:find("\r\n.", 1, true) then
    text = text:gsub("\r\n%.", "\r\n..")
  end
  return text:sub(3)
end

--- The bytes behind the last piece.
---@return string? bytes nil as of write
function stuffing:finish()
  if self.context:byte(2) == 13 then
    return nil
  end
  return self.context == "\r\n" and ".\r\n" or "\r\n.\r\n"
end

return stuffing
