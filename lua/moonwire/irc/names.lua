--- Who is in a room, as rows of names. Not for scripts.
---
--- Everybody who joins is told all names: in a large room that is most of what a join costs. So the rows are
--- kept, and one who joins is added to them; any other change makes them anew.
local register = require "moonwire.chat.register"

local names = {}

local ROW_MOST <const> = 400 -- bytes of names in a line

local kept = setmetatable({}, { __mode = "k" }) -- by rooms

--- What stands before a name: "@" for an operator, "+" for a voice.
---@param status moonwire.chat_status
---@param is_multi? boolean all that fit, not just the first
---@return string
function names.prefix(status, is_multi)
  if status.operator then
    return is_multi and status.voice and "@+" or "@"
  end
  return status.voice and "+" or ""
end

local function add(rows, word)
  local row = rows[#rows]
  if row and #row + #word < ROW_MOST then
    rows[#rows] = row .. " " .. word
  else
    rows[#rows + 1] = word
  end
end

--- The rows of a room; not to be changed.
---@param room moonwire.room
---@param is_multi? boolean as of `prefix`
---@return string[]
function names.rows(room, is_multi)
  local of_room, key = kept[room], is_multi and "multi" or "single"
  if not of_room or of_room.epoch ~= room.epoch then
    of_room = { epoch = room.epoch }
    kept[room] = of_room
  end
  local list = of_room[key] or { count = 0, rows = {} }
  of_room[key] = list
  local order = register.order(room)
  for i = list.count + 1, #order do
    local member = order[i]
    add(list.rows, names.prefix(room.members[member], is_multi) .. member.nick)
  end
  list.count = #order
  return list.rows
end

return names
