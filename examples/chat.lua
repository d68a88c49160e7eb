-- examples/chat.lua — one chat room over TCP lines. Who reads too slowly is dropped: nobody waits for them.
--
--   build/moonwire run examples/chat.lua --listen tcp://127.0.0.1:7002
-- In two other terminals; type a nickname, then talk. /who tells who is here, /quit leaves (Enter ends nc).
--   nc 127.0.0.1 7002
local members = {} -- nickname → connection

-- write would wait for a reader whose queue is full, and the room with it; try_write refuses instead.
local function tell(text, except)
  for _, conn in pairs(members) do
    if conn ~= except and not conn:try_write(text, "\n") then
      conn:abort() -- ends its reading too, so its task leaves the room
    end
  end
end

-- Whoever joins leaves when this value goes out of scope, however the task ends.
local function join(name, conn)
  members[name] = conn
  tell("* " .. name .. " joined", conn)
  return setmetatable({}, {
    __close = function()
      members[name] = nil
      tell("* " .. name .. " left")
    end,
  })
end

local function who()
  local names = {}
  for name in pairs(members) do
    names[#names + 1] = name
  end
  table.sort(names)
  return "* here: " .. table.concat(names, ", ") .. "\n"
end

local function talk(name, conn)
  local _ <close> = join(name, conn)
  conn:write(who())
  for line in conn:lines { max = 400 } do
    if line == "/quit" then
      return
    elseif line == "/who" then
      conn:write(who())
    else
      tell(name .. ": " .. line, conn)
    end
  end
end

return function(conn)
  conn:write("Your nickname?\n")
  for name in conn:lines { max = 80 } do
    if name:find("^[%w_-]+$") and #name <= 20 and not members[name] then
      return talk(name, conn:configure { read_timeout = 3600 }) -- seconds of silence
    end
    conn:write("1 to 20 letters, digits, _ or -, and not taken. Your nickname?\n")
  end
end
