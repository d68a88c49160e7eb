local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local task = require "moonwire.task"
local vitals = require "spec.system.vitals"

local LEAST_OBJECT <const> = 16 -- bytes; nothing that Lua allocates is smaller

-- Some connections end well, some die of an error, of a reset, or of silence; some leave things open.
local SCRIPT <const> = [[
local net = require "moonwire.net"
local task = require "moonwire.task"
local timer = require "moonwire.timer"
local acts = {
  fail = function() error "on purpose" end,
  fail_deep = function(conn)
    task.with_timeout(5, function()
      local group <close> = task.group()
      group:spawn(task.sleep, 60)
      conn:write(nil)
    end)
  end,
  leave_open = function()
    timer.after(60, print)
    timer.every(60, print)
    task.spawn(task.sleep, 60)
    return { net.listen("tcp://127.0.0.1:0"), net.datagram("udp://127.0.0.1:0"), net.pair() }
  end,
  wait = function(conn) conn:read_line() end,
  much = function(conn)
    while conn:write(("x"):rep(20000)) do
    end
  end,
}
return {
  start = dofile "spec/fixtures/status.lua",
  options = { read_timeout = 0.3, write_timeout = 0.3 },
  connect = function(conn)
    local left = {}
    for line in conn:lines() do
      if acts[line] then
        left[#left + 1] = acts[line](conn)
      end
      conn:write(line, "\n")
    end
  end,
}]]

-- What a client does after it has said a word of the script's.
local function leave(conn)
  conn:close()
end
local function read_line(conn)
  assert(conn:read_line())
end
local function read_to_end(conn)
  conn:read_all()
end
local function reset(conn)
  assert(conn:read(1))
  conn:abort()
end

local VISITS <const> = {
  { "hello", read_line }, { "hello", read_line }, { "hello", leave }, { "", read_line },
  { "fail", read_to_end }, { "fail_deep", read_to_end }, { "leave_open", read_line },
  { "wait", leave }, { "much", reset }, { "much", leave },
}
local SILENT <const> = { { "wait", read_to_end }, { "half a line", read_to_end } }

local function visit(address, word, finish)
  local conn <close> = assert(net.connect(address))
  assert(conn:write(word, "\n"))
  finish(conn)
end

-- `width` clients at a time
local function visit_all(address, visits, rounds, width)
  local group <close> = task.group()
  for _ = 1, width do
    group:spawn(function()
      for _ = 1, rounds do
        for _, each in ipairs(visits) do
          visit(address, each[1], each[2])
        end
      end
    end)
  end
  assert(group:wait())
end

describe("a server that has served two thousand connections", function()
  it("has no task, stream, timer or descriptor more than before", function()
    local server <close> = moonwire.serve(SCRIPT)
    local baseline = vitals.status(server)
    assert.are.equal(1, baseline.streams) -- the one that asks
    visit_all(server.address, VISITS, 20, 10)
    visit_all(server.address, SILENT, 1, 50)
    vitals.await_baseline(server, baseline)
    assert.is_nil(server:log():find("left open", 1, true), server:log())
  end)

  -- The least that was in use in these rounds: it goes up and down with the sizes of tables.
  local function least(memory, first, last)
    return math.min(table.unpack(memory, first, last))
  end

  it("has no more memory in use, round after round", function()
    local server <close> = moonwire.serve(SCRIPT)
    local visits = {
      { "hello", read_line }, { "wait", leave }, { "leave_open", read_line }, { "much", reset },
    }
    local baseline, memory = vitals.status(server), {}
    for round = 1, 20 do
      visit_all(server.address, visits, 5, 10)
      vitals.await_baseline(server, baseline)
      memory[round] = vitals.status(server).memory
    end
    local grown = (least(memory, 16, 20) - least(memory, 6, 10)) / 2000
    assert.is_true(grown < LEAST_OBJECT, ("grown by %.1f bytes a connection"):format(grown))
  end)
end)
