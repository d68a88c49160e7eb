--- What Lua says of an error, with whole paths: Lua shortens long ones. Not for scripts.
local core = require "moonwire.core"

local message = {}

local LENGTH <const> = 59 -- bytes that Lua shows of the name of a chunk

local function short(path)
  return #path > LENGTH and "..." .. path:sub(-(LENGTH - 3)) or path
end

--- The text of an error, which begins with a file.
---@param problem any that was raised
---@param path string of the file to name when the error names none
---@param paths string[] of files that it may name
---@return string
function message.whole(problem, path, paths)
  local _, fault = core.is_fault(problem)
  local text = fault or type(problem) == "string" and problem or ("raised a %s"):format(type(problem))
  for _, one in ipairs(paths) do
    local start = short(one) .. ":"
    if text:sub(1, #start) == start then
      return one .. ":" .. text:sub(#start + 1)
    end
  end
  return ("%s: %s"):format(path, text)
end

return message
