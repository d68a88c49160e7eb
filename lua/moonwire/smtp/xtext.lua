--- Texts in parameters of commands: xtext (RFC 3461 §4), and addresses with more than ASCII (RFC 6533 §3).
--- Not for scripts.
local xtext = {}

--- What an xtext stands for.
---@param text string
---@return string? value nil: it is none
function xtext.decode(text)
  local plain = text:gsub("%+(%x%x)", "")
  if not plain:find("^[!-*,-<>-~]*$") or text:find("%+%x?[a-f]") then
    return nil
  end
  return (text:gsub("%+(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

--- A text as xtext.
---@param value string
---@return string
function xtext.encode(value)
  return (value:gsub("[^!-*,-<>-~]", function(byte)
    return ("+%02X"):format(byte:byte())
  end))
end

local function decode_point(digits)
  local point = tonumber(digits, 16)
  local is_character = point <= 0x10FFFF and (point < 0xD800 or point > 0xDFFF)
  return is_character and utf8.char(point) or nil
end

--- What an address of ORCPT stands for: of the type "utf-8" with its own escapes, all others xtext.
---@param kind string in small letters
---@param text string
---@param allows_utf8 boolean whether characters may stand for themselves
---@return string? value
function xtext.decode_address(kind, text, allows_utf8)
  if kind ~= "utf-8" then
    return xtext.decode(text)
  end
  if text:find("[%c \127]") or text:find("[\128-\255]") and not (allows_utf8 and utf8.len(text)) then
    return nil
  end
  local value = text:gsub("\\x{(%x+)}", function(digits)
    return #digits <= 6 and decode_point(digits) or nil
  end)
  return value
end

return xtext
