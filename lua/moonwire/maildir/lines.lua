--- Line ends of messages, which come in pieces: on the disk LF, over the wire CRLF. Not for scripts.
local lines = {}

--- How many lines of a piece end with LF alone.
---@param chunk string
---@param is_cr boolean whether a CR stands before the piece
---@return integer count
---@return boolean is_cr whether it ends with one
function lines.count_bare(chunk, is_cr)
  local _, ends = chunk:gsub("\n", "")
  local _, whole = chunk:gsub("\r\n", "")
  if is_cr and chunk:sub(1, 1) == "\n" then
    whole = whole + 1
  end
  if chunk ~= "" then
    is_cr = chunk:sub(-1) == "\r"
  end
  return ends - whole, is_cr
end

return lines
