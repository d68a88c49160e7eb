--- Text as it travels in the mode netascii: lines end in CR LF, a CR alone is CR NUL. Not for scripts.
local netascii = {}

local ENCODED <const> = { ["\n"] = "\r\n", ["\r"] = "\r\0" }
local DECODED <const> = { ["\r\n"] = "\n", ["\r\0"] = "\r" }

--- Encodes a piece of text: each byte stands for itself, so that it may be cut anywhere.
---@param text string
---@return string
function netascii.encode(text)
  return (text:gsub("[\r\n]", ENCODED))
end

--- A function that decodes piece after piece; called without one it returns what is left at the end.
---@return fun(piece: string?): string
function netascii.decoder()
  local held = ""
  return function(piece)
    if not piece then
      return held
    end
    piece = held .. piece
    held = piece:sub(-1) == "\r" and "\r" or ""
    return (piece:sub(1, #piece - #held):gsub("\r[\n%z]", DECODED))
  end
end

return netascii
