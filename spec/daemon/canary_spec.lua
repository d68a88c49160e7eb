-- alone: its shares count connections that are under way beside others that are slow
-- A new generation that a share of the new connections meets first.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local json = require "moonwire.json"
local net = require "moonwire.net"
local task = require "moonwire.task"

-- Says its version; a line "fail" is an error of the handler.
local TALK <const> = [[
local function talk(conn)
  while true do
    conn:checkpoint({})
    local line = conn:read_line()
    if not line then return end
    conn:write("%s ", line, "\n")
  end
end
return { connect = talk, resume = talk }
]]

-- Every so many connections, counted in each worker, the handler dies.
local FAULTY <const> = [[
local count = 0
return function(conn)
  count = count + 1
  conn:write("%s\n")
  if count %% %d == 0 then error("a fault of %s") end
end
]]

local function greeting(address)
  local conn <close> = assert(net.connect(address, { read_timeout = 5 }))
  return conn:read_line()
end

local function exchange(conn, line)
  assert(conn:write(line, "\n"))
  return conn:read_line()
end

-- Begins a reload with a trial, waits until that is on, and returns a function that waits for the outcome.
local function begin_trial(d, group, ...)
  local words, result = { "reload", ... }, nil
  group:spawn(function() result = table.pack(d:run(table.unpack(words))) end)
  condition.wait_until(function()
    for _, entry in ipairs(d:services()) do
      if entry.state == "canary" then
        return true
      end
    end
    return result
  end)
  return function()
    condition.wait_until(function() return result end, 15)
    return table.unpack(result, 1, result.n)
  end
end

-- Connections one after the other until `done` says so; how many met which greeting.
local function connect_until(address, done)
  local seen = {}
  repeat
    local word = greeting(address)
    seen[word] = (seen[word] or 0) + 1
    task.sleep(0.002)
  until done()
  return seen
end

describe("a canary", function()
  it("gets its share of new connections and becomes current; nobody notices more", function()
    local d <close> = daemon.start { scripts = { ["talk.lua"] = TALK:format "old" } }
    local group <close> = task.group()
    local address = d:address "talk"
    local early <close> = assert(net.connect(address))
    assert.equal("old a", exchange(early, "a"))
    d.folder:write("talk.lua", TALK:format "new")
    local finish = begin_trial(d, group, "--canary", "20%", "--for", "2s")
    local conns, new = {}, 0
    for i = 1, 400 do
      conns[i] = assert(net.connect(address))
      new = new + (exchange(conns[i], "x") == "new x" and 1 or 0)
    end
    assert.is_true(new > 40 and new < 130, ("%d of 400 met the canary"):format(new))
    assert.equal("old b", exchange(early, "b"))
    local status, output, errors = finish()
    assert.equal(0, status, errors)
    assert.matches("generation 2 in 2%.%d+ s; connections: %d+ moved, 0 kept, 0 ended", output)
    assert.equal(401 - new, tonumber(output:match "(%d+) moved"))
    assert.equal("new c", exchange(early, "c"))
    for i = 1, 400 do
      assert.equal("new y", exchange(conns[i], "y"))
      conns[i]:close()
    end
    condition.wait_until(function() return #d:services "talk" == 2 end)
  end)

  it("that fails is taken back by itself, with the rates, and its connections move back", function()
    local d <close> = daemon.start { scripts = { ["talk.lua"] = TALK:format "old" } }
    local group <close> = task.group()
    local address = d:address "talk"
    d.folder:write("talk.lua", TALK:format("new"):gsub("if not line then return end", [[
    if not line then return end
    if line == "die" then error "a fault of the new one" end]]))
    local finish = begin_trial(d, group, "--canary", "50%", "--for", "60s")
    local met = {}
    while #met < 10 do
      local conn = assert(net.connect(address))
      if exchange(conn, "x") == "new x" then
        met[#met + 1] = conn
      else
        conn:close()
      end
    end
    for i = 1, 5 do
      assert.is_nil((exchange(met[i], "die")))
    end
    local status, _, errors = finish()
    assert.equal(1, status)
    assert.matches("generation 2 was taken back: 5 errors, %d+%.%d+ %% of its connections, "
      .. "against 0%.00 %%", errors)
    for i = 6, 10 do
      assert.equal("old y", exchange(met[i], "y"))
      met[i]:close()
    end
    for _ = 1, 20 do
      local conn <close> = assert(net.connect(address))
      assert.equal("old z", exchange(conn, "z"))
    end
    condition.wait_until(function() return #d:services "talk" == 2 end)
    local answer = d:ask { command = "status" }
    assert.equal("running", answer.state)
    assert.equal(1, answer.reloads.failed)
    assert.equal(1, answer.generation)
    d.folder:write("talk.lua", TALK:format "mended")
    assert.is_true(d:reload().ok)
    local conn <close> = assert(net.connect(address))
    assert.equal("mended z", exchange(conn, "z"))
  end)

  it("may fail as often as the old one does, times the factor", function()
    local d <close> = daemon.start {
      workers = 1, scripts = { ["a.lua"] = FAULTY:format("old", 4, "the old one") },
    }
    local group <close> = task.group()
    d.folder:write("a.lua", FAULTY:format("new", 2, "the new one"))
    local finished
    local finish = begin_trial(d, group, "--canary", "50%", "--for", "3s", "--factor", "4")
    group:spawn(function() finished = table.pack(finish()) end)
    local seen = connect_until(d:address "a", function() return finished end)
    assert.equal(0, finished[1], finished[3])
    assert.is_true(seen.new > 20 and seen.old > 20)
    assert.equal("new", greeting(d:address "a"))
    d.folder:write("a.lua", FAULTY:format("newest", 1, "the newest one"))
    finished = nil
    finish = begin_trial(d, group, "--canary", "50%", "--for", "30s", "--factor", "1.2")
    group:spawn(function() finished = table.pack(finish()) end)
    connect_until(d:address "a", function() return finished end)
    assert.equal(1, finished[1])
    assert.matches("100%.00 %% of its connections, against %d+%.%d+ %%", finished[3])
    assert.equal("new", greeting(d:address "a"))
  end)

  it("ends when the daemon is told to stop, or another reload waits for it", function()
    local d <close> = daemon.start { scripts = { ["talk.lua"] = TALK:format "old" } }
    local group <close> = task.group()
    local finish = begin_trial(d, group, "--canary", "50%", "--for", "1s")
    local answer = d:reload()
    assert.is_true(answer.ok)
    assert.equal(3, answer.generation)
    assert.equal(0, (finish()))
    finish = begin_trial(d, group, "--canary", "50%", "--for", "600s", "--json")
    assert.equal(0, (d:run("stop")))
    local status, _, errors = finish()
    assert.equal(1, status)
    assert.matches("stops", errors)
    assert.equal(0, d.process:wait(5))
  end)

  it("is taken back when a worker dies of it", function()
    local d <close> = daemon.start {
      scripts = { ["talk.lua"] = TALK:format "old" },
      config = [[service "talk" { script = "talk.lua", listen = "tcp://127.0.0.1:0", processes = true }]],
    }
    local group <close> = task.group()
    d.folder:write("talk.lua", [[return function() os.execute "kill -9 $PPID" end]])
    local finish = begin_trial(d, group, "--canary", "50%", "--for", "60s")
    local ended
    group:spawn(function() ended = table.pack(finish()) end)
    condition.wait_until(function()
      local conn <close> = net.connect(d:address "talk", { read_timeout = 1 })
      if conn and conn:write "x\n" then
        conn:read_line()
      end
      return ended
    end, 15)
    assert.equal(1, ended[1])
    assert.matches("taken back: worker %d has died in the trial", ended[3])
    for _ = 1, 20 do
      local conn <close> = assert(net.connect(d:address "talk", { read_timeout = 5 }))
      assert.equal("old z", exchange(conn, "z"))
    end
  end)

  it("is refused with a share or a factor that makes no sense", function()
    local d <close> = daemon.start { scripts = { ["talk.lua"] = TALK:format "old" } }
    for _, words in ipairs {
      { "--canary", "0%", "--for", "2s" }, { "--canary", "120%", "--for", "2s" }, { "--canary", "5%" },
      { "--canary", "5%", "--for", "2s", "--factor", "-1" }, { "--factor", "2" },
    } do
      assert.equal(2, (d:run("reload", table.unpack(words))), json.encode(words))
    end
    assert.equal("invalid", d:reload({ canary = 2 }).code)
    assert.equal(1, d:ask({ command = "status" }).generation)
  end)
end)
