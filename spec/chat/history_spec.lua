-- What was said in rooms, kept in a store of any kind.
local chat = require "moonwire.chat"
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local redis_server = require "spec.redis.server"
local store = require "moonwire.store"
local task = require "moonwire.task"
local test = require "moonwire.test"

local SECONDS <const> = 20

local function texts(keeper, room, count)
  local found = {}
  for i, entry in ipairs(keeper.recent(room, count)) do
    found[i] = entry.text
  end
  return table.concat(found, " ")
end

local function await(conn, pattern)
  while true do
    local line = assert(conn:read_line())
    if line:find(pattern) then
      return line
    end
  end
end

local function irc_client(address, nick)
  local conn = assert(net.connect(address, { read_timeout = SECONDS }))
  conn:write("CAP REQ server-time\r\nNICK ", nick, "\r\nUSER ", nick, " 0 * :x\r\nCAP END\r\nJOIN #lobby\r\n")
  await(conn, " 366 ")
  return conn
end

-- Says something, ends the server, and looks what the next one knows.
local function expect_memory(url)
  local options = { "--set", "history=3", "--store", url }
  local listen = { "tcp://127.0.0.1:0" }
  do
    local server <close> = moonwire.serve { script = "scripts/chat.lua", listen = listen, options = options }
    local ann <close> = irc_client(server.address, "ann")
    for i = 1, 7 do
      ann:write("PRIVMSG #lobby :line ", i, "\r\n")
    end
    ann:write "PRIVMSG #lobby :äöü\r\nPING x\r\n"
    await(ann, "PONG")
    server:stop()
  end
  local server <close> = moonwire.serve { script = "scripts/chat.lua", listen = listen, options = options }
  local bob <close> = irc_client(server.address, "bob")
  for _, expected in ipairs { "line 6", "line 7", "äöü" } do
    assert.matches("^@time=%S+ :ann!~ann@127.0.0.1 PRIVMSG #lobby :?" .. expected .. "$", bob:read_line())
  end
end

test.deadline(120)

describe("history in the store", function()
  it("is what another keeper reads, for as many lines as it wants", function()
    local first = chat.history { lines = 4, prefix = "spec/a/" }
    first.start()
    for i = 1, 9 do
      first.add("#a", { text = "a" .. i, time = i })
      first.add("#b/c", { text = "b" .. i, time = i })
    end
    first.add("#a", { text = "of elsewhere", time = 10 }, true)
    first.stop()
    assert.are.equal("a7 a8 a9 of elsewhere", texts(first, "#a", 9))
    local second = chat.history { lines = 3, prefix = "spec/a/" }
    second.start()
    assert.are.equal("a7 a8 a9", texts(second, "#a", 9))
    assert.are.equal("b8 b9", texts(second, "#b/c", 2))
    second.forget "#a"
    second.stop()
    local third = chat.history { prefix = "spec/a/" }
    third.start()
    assert.are.equal("", texts(third, "#a", 9))
    assert.are.equal("b6 b7 b8 b9", texts(third, "#b/c", 9))
    third.stop()
  end)

  it("passes on what is not written yet", function()
    local old = chat.history { prefix = "spec/b/" }
    old.add("#a", { text = "one", time = 1 })
    local new = chat.history { prefix = "spec/b/" }
    new.import(old.export())
    assert.are.equal("one", texts(new, "#a", 9))
    new.start()
    new.stop()
    local third = chat.history { prefix = "spec/b/" }
    third.start()
    assert.are.equal("one", texts(third, "#a", 9))
    third.stop()
  end)

  it("passes on what its writer is about to write, in its order", function()
    local old, new = chat.history { prefix = "spec/c/" }, chat.history { prefix = "spec/c/" }
    old.start()
    old.add("#a", { text = "one", time = 1 })
    condition.wait_until(function() return store.get "spec/c/#a n" end, SECONDS)
    task.yield() -- the writer waits
    old.add("#a", { text = "two", time = 2 })
    old.add("#a", { text = "three", time = 3 })
    new.import(old.export())
    old.stop()
    new.start()
    new.stop()
    local third = chat.history { prefix = "spec/c/" }
    third.start()
    assert.are.equal("one two three", texts(third, "#a", 9))
    third.stop()
  end)

  it("refuses a prefix that is too long", function()
    local ok, message = pcall(function() chat.history { prefix = ("x"):rep(201) } end)
    assert.is_false(ok)
    assert.matches("history_spec.lua:%d+: .*option 'prefix'", message)
  end)
end)

describe("history of scripts/chat.lua", function()
  it("outlives a restart in LMDB", function()
    local place <close> = folder.new()
    lfs.mkdir(place.path .. "/store")
    expect_memory("lmdb://" .. place.path .. "/store")
  end)

  it("outlives a restart at Redis", function()
    local server = redis_server.start()
    local ok, err = pcall(expect_memory, server.url)
    server:stop()
    assert.is_true(ok, err)
  end)

  it("does not need the store", function()
    local server <close> = moonwire.serve {
      script = "scripts/chat.lua", listen = { "tcp://127.0.0.1:0" },
      options = { "--store", "redis://127.0.0.1:1" },
    }
    local ann <close> = irc_client(server.address, "ann")
    ann:write "PRIVMSG #lobby :hello\r\nPING x\r\n"
    await(ann, "PONG")
    local bob <close> = irc_client(server.address, "bob")
    assert.matches("PRIVMSG #lobby :?hello$", await(bob, "PRIVMSG"))
  end)
end)
