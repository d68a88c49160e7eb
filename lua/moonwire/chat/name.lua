--- Names of members and rooms, and masks of them. Not for scripts.
local name = {}

---@param text string
---@return string
function name.fold(text)
  return (text:gsub("%u", string.lower))
end

--- Whether it can be a nickname: as RFC 2812 has it, but longer.
---@param text any
---@param max integer bytes
---@return boolean
function name.is_nick(text, max)
  return type(text) == "string" and #text <= max
    and text:find "^[A-Za-z%[%]\\`_^{|}][%w%[%]\\`_^{|}-]*$" ~= nil
end

--- Whether it can be the name of a room: "#" and UTF-8 without blanks, commas, colons and control bytes.
---@param text any
---@param max integer bytes
---@return boolean
function name.is_room(text, max)
  return type(text) == "string" and #text <= max and text:find "^#[^%c ,:]+$" ~= nil
    and utf8.len(text) ~= nil
end

--- Whether it can be said: UTF-8 in one line, not empty.
---@param text any
---@param max integer bytes
---@return boolean
function name.is_text(text, max)
  return type(text) == "string" and text ~= "" and #text <= max and not text:find "[%z\r\n]"
    and utf8.len(text) ~= nil
end

--- Whether a text fits a mask. Takes no longer than the product of both lengths.
---@param mask string
---@param text string
---@return boolean
function name.matches(mask, text)
  mask, text = name.fold(mask), name.fold(text)
  local m, t, star, from = 1, 1, nil, nil
  while t <= #text do
    local byte = mask:byte(m)
    if byte == 42 then -- "*" takes nothing at first
      star, from, m = m, t, m + 1
    elseif byte == 63 or byte == text:byte(t) then -- "?"
      m, t = m + 1, t + 1
    elseif star then -- and one byte more each time that what follows does not fit
      m, from = star + 1, from + 1
      t = from
    else
      return false
    end
  end
  return mask:find("^%**$", m) ~= nil
end

return name
