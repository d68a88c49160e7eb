--- What bridges say to each other: whose message it is, its number, and its bytes. Not for scripts.
local frame = {}

local FORMAT <const> = ">c4c16I8"
local SIZE <const> = FORMAT:packsize()
local MARK <const> = "MWB1"

--- Bytes of an origin.
frame.ORIGIN = 16

---@param origin string of frame.ORIGIN bytes
---@param number integer
---@param bytes string of the message
---@return string
function frame.pack(origin, number, bytes)
  return FORMAT:pack(MARK, origin, number) .. bytes
end

---@param text string
---@return string? origin nil: this is no frame
---@return integer number
---@return string bytes
function frame.unpack(text)
  if #text < SIZE or text:sub(1, #MARK) ~= MARK then
    return nil, 0, ""
  end
  local _, origin, number = FORMAT:unpack(text)
  return origin, number, text:sub(SIZE + 1)
end

return frame
