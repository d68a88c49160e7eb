--- What was said in rooms, kept in memory of this worker. Not for scripts.
local history = {}

local EXPORT_MOST <const> = 16 * 1024 * 1024 -- bytes, about: a reload passes no more than 64 MiB on in all
history.LINES = 50 -- of a room

local LINE_BYTES <const> = 200 -- of a line, besides its text

--- Who keeps what was said: a table of functions. Entries are the plain events that members got.
---@class moonwire.chat_history
--- Keeps an entry; `room` is folded. `is_known`: another process has it, and keeps it where all can read it.
---@field add fun(room: string, entry: table, is_known?: boolean)
---@field recent fun(room: string, count: integer): table[] the last entries, the oldest first
---@field forget fun(room: string, is_known?: boolean)
---@field export? fun(): table all of it as plain data, for a reload; without it, it is kept elsewhere
---@field import? fun(data: table)
---@field start? fun() of one with a `prefix`: reads what the store has; from then on a task writes. May wait
---@field stop? fun() of the same: waits until all is written

-- Forgets the room that was quiet for the longest time.
local function make_room(kept)
  local oldest
  for room, lines in pairs(kept) do
    if not oldest or lines.turn < kept[oldest].turn then
      oldest = room
    end
  end
  kept[oldest] = nil
end

-- The rooms, those that were spoken in last first.
local function latest(kept)
  local rooms = {}
  for room in pairs(kept) do
    rooms[#rooms + 1] = room
  end
  table.sort(rooms, function(a, b) return kept[a].turn > kept[b].turn end)
  return rooms
end

local function size_of(lines)
  local bytes = 0
  for _, line in ipairs(lines) do
    bytes = bytes + #(line.text or "") + LINE_BYTES
  end
  return bytes
end

---@param options { lines?: integer, rooms?: integer }
---@return moonwire.chat_history
function history.memory(options)
  local most, rooms_most = options.lines or history.LINES, options.rooms or 1000
  local kept, count, turn = {}, 0, 0
  local keeper = {}

  function keeper.add(room, entry)
    local lines = kept[room]
    if not lines then
      lines, count = {}, count + 1
      if count > rooms_most then
        make_room(kept)
        count = count - 1
      end
      kept[room] = lines
    end
    turn = turn + 1
    lines.turn = turn
    lines[#lines + 1] = entry
    if #lines > 2 * most then -- now and then, so that a line costs no moving of all others
      kept[room] = table.move(lines, #lines - most + 1, #lines, 1, { turn = turn })
    end
  end

  function keeper.recent(room, wanted)
    local lines = kept[room] or {}
    wanted = math.min(wanted, most)
    return table.move(lines, math.max(1, #lines - wanted + 1), #lines, 1, {})
  end

  function keeper.forget(room)
    count = kept[room] and count - 1 or count
    kept[room] = nil
  end

  function keeper.export()
    local data, bytes = {}, 0
    for _, room in ipairs(latest(kept)) do
      local lines = keeper.recent(room, most)
      bytes = bytes + size_of(lines)
      if bytes > EXPORT_MOST then
        break
      end
      data[room] = { turn = kept[room].turn, lines = lines }
    end
    return data
  end

  function keeper.import(data)
    for room, saved in pairs(data) do
      count = kept[room] and count or count + 1
      kept[room] = saved.lines
      kept[room].turn = saved.turn
      turn = math.max(turn, saved.turn)
    end
  end

  return keeper
end

return history
