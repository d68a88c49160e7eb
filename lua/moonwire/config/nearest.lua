--- The known name that an unknown one was probably meant to be. Not for scripts.
local nearest = {}

local FAR <const> = 3 -- this many changes make it another word

-- How many letters must be added, removed, replaced, or swapped with their neighbour.
local function distance(a, b)
  local before, above = nil, {}
  for j = 0, #b do
    above[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same and 0 or 1))
      if before and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, above = above, row
  end
  return above[#b]
end

--- The nearest of the names, when one is near: most of its letters are there.
---@param word string
---@param names string[]
---@return string?
function nearest.find(word, names)
  local best, least = nil, math.min(FAR, (#word + 1) // 2 + 1)
  word = word:lower()
  for _, name in ipairs(names) do
    local changes = distance(word, name:lower())
    if changes < least then
      best, least = name, changes
    end
  end
  return best
end

return nearest
