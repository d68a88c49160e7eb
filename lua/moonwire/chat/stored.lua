--- What was said in rooms, kept in memory and behind that in the store. Not for scripts.
---
--- A room is a ring of keys, "PREFIX#room 17", and "PREFIX#room n" counts what was said there: names of rooms
--- have no blanks. Memory answers; a task writes, so that nobody waits for a store that is far away.
local log = require "moonwire.log"
local memory = require "moonwire.chat.history"
local store = require "moonwire.store"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local timer = require "moonwire.timer"

local stored = {}

local QUEUE_MOST <const> = 2000 -- lines that wait to be written
local PAGE <const> = 1000 -- keys read at once
local COMPLAIN_SECONDS <const> = 60

-- Says that something did not work, and not for each line anew.
local function complain(keeper, what, err)
  if not keeper.complained or timer.now() - keeper.complained > COMPLAIN_SECONDS then
    keeper.complained = timer.now()
    log.warn("history of the chat: " .. what, { err = tostring(err) })
  end
end

local function count_key(options, room)
  return options.prefix .. room .. " n"
end

local function line_key(options, room, number)
  return ("%s%s %d"):format(options.prefix, room, number % options.lines)
end

local function write(options, room, entry)
  local number, err = store.incr(count_key(options, room))
  if not number then
    return nil, err
  end
  store.expire(count_key(options, room), options.expire)
  local line = { number = number }
  for field, value in pairs(entry) do
    line[field] = value
  end
  return store.set(line_key(options, room, number), line, { expire = options.expire })
end

-- All lines, also of a time when more were kept.
local function forget(options, room)
  local keys
  repeat
    keys = {}
    for key in store.scan(options.prefix .. room .. " ", { max = PAGE }) do
      keys[#keys + 1] = key
    end
    for _, key in ipairs(keys) do
      assert(store.delete(key) ~= nil, "cannot be deleted")
    end
  until #keys < PAGE
  return true
end

-- One page of the store into lists by room; the last key, if there may be more.
local function read_page(prefix, after, rooms)
  local count, last = 0, nil
  for key, line in store.scan(prefix, { max = PAGE, after = after }) do
    local room = key:match("^(.*) %d+$", #prefix + 1)
    if room and type(line) == "table" and math.type(line.number) == "integer" then
      rooms[room] = rooms[room] or {}
      table.insert(rooms[room], line)
    end
    count, last = count + 1, key
  end
  return count == PAGE and last or nil
end

local function read_all(prefix)
  local rooms, after = {}, nil
  repeat
    after = read_page(prefix, after, rooms)
  until not after
  return rooms
end

-- The rooms in the order in which they were spoken in last.
local function in_order(rooms)
  local names, last = {}, {}
  for room, lines in pairs(rooms) do
    table.sort(lines, function(a, b) return a.number < b.number end)
    names[#names + 1], last[room] = room, lines[#lines].time or 0
  end
  table.sort(names, function(a, b) return last[a] < last[b] end)
  return names
end

local function load_into(keeper, prefix)
  local rooms = read_all(prefix)
  for _, room in ipairs(in_order(rooms)) do
    for _, line in ipairs(rooms[room]) do
      line.number = nil
      keeper.add(room, line, true)
    end
  end
end

local function do_job(keeper, options, job)
  local ok, written, err = pcall(job.entry and write or forget, options, job.room, job.entry)
  if not ok or written == nil then
    complain(keeper, "not written", ok and err or written)
  end
end

-- What waits to be written, in its order, and whether more may come.
---@class moonwire.chat.jobs
---@field news moonwire.event
---@field is_over boolean

local function work(keeper, options, jobs)
  repeat
    jobs.news:wait()
    jobs.news:clear()
    local job = table.remove(jobs, 1)
    while job do
      do_job(keeper, options, job)
      job = table.remove(jobs, 1)
    end
  until jobs.is_over
end

-- Lines that an older generation did not write any more go to the newer one with the rest.
local function pass_on(keeper, jobs, push)
  local export, import = keeper.export, keeper.import

  function keeper.export()
    local waiting = table.move(jobs, 1, #jobs, 1, {})
    for i = #jobs, 1, -1 do
      jobs[i] = nil
    end
    return { rooms = export(), waiting = waiting }
  end

  function keeper.import(data)
    import(data.rooms)
    for _, job in ipairs(data.waiting) do
      push(job)
    end
  end
end

---@param options { lines: integer, rooms?: integer, prefix: string, expire: number|false }
---@return moonwire.chat_history
function stored.new(options)
  local keeper = memory.memory(options)
  local add, forget_in_memory = keeper.add, keeper.forget
  local jobs = { news = sync.event(), is_over = false }

  local function push(job)
    if #jobs >= QUEUE_MOST then
      return complain(keeper, "too much waits to be written", "full")
    end
    jobs[#jobs + 1] = job
    jobs.news:set()
  end

  function keeper.add(room, entry, is_known)
    add(room, entry)
    if not is_known then
      push { room = room, entry = entry }
    end
  end

  function keeper.forget(room, is_known)
    forget_in_memory(room)
    if not is_known then
      push { room = room }
    end
  end

  function keeper.start()
    local ok, err = pcall(load_into, keeper, options.prefix)
    if not ok then
      complain(keeper, "not read", err)
    end
    keeper.writer = task.spawn(work, keeper, options, jobs)
  end

  function keeper.stop()
    jobs.is_over = true
    jobs.news:set()
    return keeper.writer and keeper.writer:join()
  end

  pass_on(keeper, jobs, push)
  return keeper
end

return stored
