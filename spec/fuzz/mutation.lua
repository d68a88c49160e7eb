--- Changes texts at random, for specs that fuzz.
local mutation = {}

-- A piece of the text again, somewhere else.
local function repeat_piece(text, at)
  local from = math.random(0, #text)
  return text:sub(1, at) .. text:sub(from, from + math.random(60)) .. text:sub(at + 1)
end

--- Changes a text in places: puts a word in, leaves something out, exchanges a byte, or does something else.
---@param text string
---@param count integer how often
---@param words string[] what means something in such texts
---@param other? fun(text: string, at: integer): string default: repeats a piece of it somewhere else
---@return string
function mutation.change(text, count, words, other)
  for _ = 1, count do
    local at, kind = math.random(0, #text), math.random(4)
    if kind == 1 then
      text = text:sub(1, at) .. words[math.random(#words)] .. text:sub(at + 1)
    elseif kind == 2 then
      text = text:sub(1, at) .. text:sub(at + math.random(10))
    elseif kind == 3 then
      text = text:sub(1, at) .. string.char(math.random(0, 255)) .. text:sub(at + 2)
    else
      text = (other or repeat_piece)(text, at)
    end
  end
  return text
end

return mutation
