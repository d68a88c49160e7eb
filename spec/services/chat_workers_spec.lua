-- scripts/chat.lua in several workers: one chat, whichever of them has a connection, through a reload and the
-- death of a worker.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local lfs = require "lfs"
local net = require "moonwire.net"
local test = require "moonwire.test"

local SECONDS <const> = 30
local CLIENTS_MOST <const> = 60

local CONFIG <const> = [[
service "chat" {
  script = "%s/scripts/chat.lua", workers = 2, settings = { flood_burst = 1000 },
  listen = "tcp://127.0.0.1:0",
}
]]

local function await(conn, pattern)
  local last
  while true do
    local line, err = conn:read_line()
    if not line then
      error(("%s; the last line: %s"):format(err, last), 2)
    elseif line:find(pattern) then
      return line
    end
    last = line
  end
end

local function connect(address, nick)
  local conn = assert(net.connect(address, { read_timeout = SECONDS }))
  assert(conn:write("USER ", nick, " 0 * :", nick, "\r\n"))
  repeat -- a name is free a moment after the others hear that its owner has left
    assert(conn:write("NICK ", nick, "\r\nJOIN #lobby\r\n"))
    local line = await(conn, " [34][36][36] ")
  until line:find " 366 "
  return conn
end

-- How many connections the workers have, by their numbers.
local function connections(d)
  local counts, all = {}, 0
  for _, entry in ipairs(d:services "chat") do
    counts[entry.worker] = (counts[entry.worker] or 0) + entry.connections
    all = all + entry.connections
  end
  return counts, all
end

local function pid_of(d, number)
  for _, worker in ipairs(d:ask({ command = "status" }).workers) do
    if worker.worker == number then
      return worker.pid
    end
  end
end

-- Connects members until each worker has two: a list of { nick =, conn =, worker = }.
local function fill(d, address)
  local members, of = {}, { 0, 0 }
  local before = { 0, 0 }
  while of[1] < 2 or of[2] < 2 do
    assert(#members < CLIENTS_MOST, "all connections go to one worker")
    local member = { nick = "m" .. #members + 1 }
    member.conn = connect(address, member.nick)
    members[#members + 1] = member
    local counts
    condition.wait_until(function()
      local all
      counts, all = connections(d)
      return all == #members
    end, SECONDS)
    member.worker = counts[1] > before[1] and 1 or 2
    of[member.worker], before = of[member.worker] + 1, counts
  end
  return members
end

local function first_of(members, worker)
  for _, member in ipairs(members) do
    if member.worker == worker then
      return member
    end
  end
end

-- The members of the room, as one of them is told.
local function names(member)
  local found = {}
  member.conn:write "NAMES #lobby\r\n"
  while true do
    local line = await(member.conn, " 3[56][36] ")
    local row = line:match " 353 %S+ = #lobby :?(.*)$"
    if not row then
      break
    end
    for nick in row:gmatch "[^ @]+" do
      found[#found + 1] = nick
    end
  end
  table.sort(found)
  return table.concat(found, " ")
end

local function all_hear(members, from, text)
  from.conn:write("PRIVMSG #lobby :", text, "\r\n")
  for _, member in ipairs(members) do
    if member ~= from then
      await(member.conn, "^:" .. from.nick .. "!%S+ PRIVMSG #lobby :?" .. text .. "$")
    end
  end
end

test.deadline(180)

describe("scripts/chat.lua in two workers", function()
  local d, address, members, one, two

  setup(function()
    d = daemon.start { workers = 2, config = CONFIG:format(lfs.currentdir()) }
    address = d:address "chat"
    members = fill(d, address)
    one, two = first_of(members, 1), first_of(members, 2)
  end)

  teardown(function()
    for _, member in ipairs(members) do
      member.conn:close()
    end
    d:stop()
  end)

  it("is one chat", function()
    all_hear(members, one, "from one")
    all_hear(members, two, "from two")
    condition.wait_until(function() return names(one) == names(two) end, SECONDS)
    one.conn:write("PRIVMSG ", two.nick, " :psst\r\n")
    await(two.conn, "^:" .. one.nick .. "!%S+ PRIVMSG " .. two.nick .. " :?psst$")
    members[1].conn:write "TOPIC #lobby :what we talk about\r\n"
    for _, member in ipairs(members) do
      await(member.conn, "^:m1!%S+ TOPIC #lobby :what we talk about$")
    end
    two.conn:write("WHOIS ", one.nick, "\r\nNICK ", one.nick, "\r\n")
    await(two.conn, " 311 " .. two.nick .. " " .. one.nick .. " ")
    await(two.conn, " 433 ")
  end)

  it("is one chat while a reload moves all connections", function()
    for round = 1, 2 do
      one.conn:write("PRIVMSG #lobby :before ", round, "\r\n")
      assert.is_true(d:reload().ok)
      two.conn:write("PRIVMSG #lobby :after ", round, "\r\n")
      await(two.conn, " PRIVMSG #lobby :?before " .. round .. "$")
      await(one.conn, " PRIVMSG #lobby :?after " .. round .. "$")
    end
    all_hear(members, one, "after all")
    condition.wait_until(function() return names(one) == names(two) end, SECONDS)
  end)

  it("lets those go whose worker has died, and takes them in again", function()
    os.execute("kill -9 " .. pid_of(d, 2))
    local left = {}
    for _, member in ipairs(members) do
      left[member.nick] = member.worker == 2 or nil
    end
    while next(left) do
      local line = await(one.conn, " QUIT :?Quit: server gone$")
      left[line:match "^:([^!]+)!"] = nil
    end
    local back <close> = connect(address, two.nick)
    await(one.conn, "^:" .. two.nick .. "!%S+ JOIN :?#lobby$")
    back:write "PRIVMSG #lobby :back\r\n"
    await(one.conn, "^:" .. two.nick .. "!%S+ PRIVMSG #lobby :?back$")
  end)
end)
