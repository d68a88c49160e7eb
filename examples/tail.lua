-- examples/tail.lua — follows a file of a folder, as tail -F does: the first line is its name, the answer is
-- what it holds and whatever is added to it, also to a new one of that name.
--
--   build/moonwire run examples/tail.lua --listen tcp://127.0.0.1:7008 --set folder=/tmp
-- In two other terminals; type notes.txt and Enter, Enter again to leave:
--   date >> /tmp/notes.txt
--   nc 127.0.0.1 7008
local file = require "moonwire.file"
local task = require "moonwire.task"

local root

-- Sends what stands behind the position, and returns the new one. A file that is shorter was begun anew.
local function send_news(conn, opened, position)
  opened:seek(position <= opened:size() and position or 0)
  for chunk in opened:chunks() do
    conn:write(chunk)
  end
  return opened:position()
end

-- Whoever leaves, or types anything, wakes the task that waits for changes.
local function close_when_gone(conn, watch)
  conn:read_some(1)
  watch:close()
end

local function follow(conn, name)
  local watch <close> = assert(root:watch(name))
  local position, id = 0, nil
  task.spawn(close_when_gone, conn:configure { read_timeout = 24 * 3600 }, watch)
  repeat
    local opened <close> = root:open(name)
    local newest = opened and opened:stat().id
    if opened then
      position = send_news(conn, opened, newest == id and position or 0)
      id = newest
    end
  until not watch:next()
end

return {
  start = function(ctx)
    root = assert(file.root(ctx.config.folder or "."))
  end,
  connect = function(conn)
    local name = conn:read_line(255) or ""
    local status, err = root:stat(name)
    if status then
      follow(conn, name)
    else
      conn:write(err, "\n")
    end
  end,
}
