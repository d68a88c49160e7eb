-- Scripts that want more memory than they may have.
local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local vitals = require "spec.system.vitals"

local MEBIBYTE <const> = 1024 * 1024

-- The handler does what the first line says.
local SCRIPT <const> = [[
local task = require "moonwire.task"
local kept
local acts = {
  tables = function()
    local all = {}
    while true do all[#all + 1] = {} end
  end,
  strings = function()
    local text = "x"
    while true do text = text .. text end
  end,
  caught = function(conn)
    local ok, message = pcall(function()
      local all = {}
      while true do all[#all + 1] = { #all } end
    end)
    conn:write(tostring(ok), " ", message, "\n")
  end,
  again = function()
    local all = {}
    while true do
      pcall(function() while true do all[#all + 1] = {} end end)
    end
  end,
  slowly = function()
    local all = {}
    while true do
      pcall(function() for _ = 1, 20 do all[#all + 1] = ("x"):rep(10000) .. #all end end)
      task.sleep(0.02)
    end
  end,
  keeps = function()
    kept = kept or {}
    while true do
      pcall(function() for _ = 1, 200 do kept[#kept + 1] = ("x"):rep(10000) .. #kept end end)
      task.sleep(0.02)
    end
  end,
}
return {
  start = dofile "spec/fixtures/status.lua",
  connect = function(conn)
    for line in conn:lines() do
      if acts[line] then
        acts[line](conn)
      end
      conn:write(line, "\n")
    end
  end,
}]]

local function serve()
  return moonwire.serve { code = SCRIPT, options = { "--memory-limit", "16M", "--cpu-limit", 0 } }
end

local function start(server, act)
  local conn = assert(net.connect(server.address))
  assert(conn:configure { read_timeout = 25 })
  assert(conn:write(act, "\n"))
  return conn
end

local function say(conn, count)
  for i = 1, count do
    assert(conn:write(i, "\n"))
    assert.are.equal(tostring(i), conn:read_line())
  end
end

local function resident(server)
  local file <close> = assert(io.open(("/proc/%d/status"):format(server.process:pid())))
  return tonumber(file:read("a"):match("\nVmRSS:%s*(%d+) kB")) * 1024
end

describe("a handler that wants more memory than there may be", function()
  for act, place in pairs { tables = 6, strings = 10 } do
    it("ends with an error that names the line, and the others go on: " .. act, function()
      local server <close> = serve()
      local neighbour <close> = assert(net.connect(server.address))
      say(neighbour, 1)
      local baseline = vitals.status(server)
      local conn <close> = start(server, act)
      assert.are.equal("", conn:read_all())
      server:wait_for_log("error not enough memory")
      assert.matches(("\n\t[^\n]*script%%.lua:%d: in "):format(place), server:log())
      say(neighbour, 5)
      vitals.await_baseline(server, baseline)
      assert.is_true(resident(server) < 64 * MEBIBYTE)
    end)
  end

  it("may catch the error and go on", function()
    local server <close> = serve()
    local conn <close> = start(server, "caught")
    assert.are.equal("false not enough memory", conn:read_line())
    assert.are.equal("caught", conn:read_line())
    say(conn, 5)
  end)

  it("is ended when it tries again and again", function()
    local server <close> = serve()
    local neighbour <close> = assert(net.connect(server.address))
    say(neighbour, 1)
    local conn <close> = start(server, "again")
    assert.are.equal("", conn:read_all())
    local entry = server:wait_for_log("error goes on although the memory limit is reached")
    assert.is_truthy(entry:find("connection=" .. conn:local_address(), 1, true), entry)
    say(neighbour, 5)
  end)
end)

describe("a service whose memory is used up", function()
  it("loses its tasks when they keep it so, says at which line, and serves new connections", function()
    local server <close> = serve()
    local conns = {}
    for i = 1, 4 do
      conns[i] = start(server, "slowly")
    end
    for _, conn in ipairs(conns) do
      conn:read_all()
      conn:close()
    end
    condition.wait_until(function()
      local log = server:log()
      return log:find("the memory limit of 16.0 MiB cannot be kept: all tasks of the service end", 1, true)
        or log:find("goes on although the memory limit is reached", 1, true)
    end, 20, function() return server:log() end)
    local newcomer <close> = assert(net.connect(server.address))
    say(newcomer, 5)
  end)

  it("by something that belongs to no task ends with status 1, and says at which line", function()
    local server <close> = serve()
    condition.wait_until(function()
      local conn <close> = net.connect(server.address)
      if conn then
        conn:write "keeps\n"
        conn:read_all()
      end
      return server.process:status()
    end, 20, function() return server:log() end)
    assert.are.equal(1, server.process:status())
    assert.matches("error the memory limit of 16.0 MiB cannot be kept: ", server:log(), 1, true)
    assert.matches("refused at [^\n]*script%.lua:35 ", server:log())
  end)
end)

describe("moonwire.memory", function()
  it("tells what is used, what was taken, and the limit", function()
    local status, errors = moonwire.run {
      options = { "--memory-limit", "64M" },
      code = [[
        local moonwire = require "moonwire"
        collectgarbage()
        local before = moonwire.memory()
        local kept = ("x"):rep(10 * 1024 * 1024)
        collectgarbage()
        local after = moonwire.memory()
        assert(after.used - before.used >= #kept and after.used - before.used < #kept + 2^20)
        assert(after.taken - before.taken >= #kept and after.taken >= after.used * 0.9)
        assert(after.limit == 64 * 2^20)]],
    }
    assert.are.equal(0, status, errors)
    local unlimited, message = moonwire.run {
      options = { "--memory-limit", "0" }, code = [[assert(require "moonwire".memory().limit == nil)]],
    }
    assert.are.equal(0, unlimited, message)
  end)
end)
