-- Where the log goes, in which form, and how much of it.
local condition = require "spec.support.condition"
local core = require "moonwire.core"
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local json = require "moonwire.json"
local lfs = require "lfs"
local net = require "moonwire.net"
local process = require "spec.support.process"

local SCRIPT <const> = [[
local log = require "moonwire.log"
return function(conn)
  local line = conn:read_line()
  log.debug("small " .. line)
  log.info("heard " .. line, { word = line })
  conn:write("x\n")
end]]

local CONFIG <const> = [[
log = { %s to = "%s/daemon.log" }
service "talk" { script = "talk.lua", listen = "tcp://127.0.0.1:0" }
]]

local function say(address, line)
  local conn <close> = assert(net.connect(address, { read_timeout = 5 }))
  assert(conn:write(line, "\n"))
  return conn:read_line()
end

-- A daemon whose log is a file: `place` keeps it.
local function start(place, options, more)
  return daemon.start {
    scripts = { ["talk.lua"] = SCRIPT },
    config = (more or "") .. CONFIG:format(options or "", place.path),
  }
end

local function entries(place, name)
  local list = {}
  for line in (place:read(name or "daemon.log") or ""):gmatch "[^\n]+" do
    list[#list + 1] = assert(json.decode(line), line)
  end
  return list
end

local function find(place, message, name)
  for _, entry in ipairs(entries(place, name)) do
    if entry.message == message then
      return entry
    end
  end
end

describe("the log of a daemon", function()
  local place

  before_each(function() place = folder.new() end)
  after_each(function() place:remove() end)

  it("goes to a file, which supervisor and workers open anew at SIGUSR1", function()
    local d <close> = start(place)
    local address = d:address("talk", nil, place:read "daemon.log")
    assert.equal("x", say(address, "one"))
    condition.wait_until(function() return place:read("daemon.log"):find "heard one" end)
    assert(os.rename(place.path .. "/daemon.log", place.path .. "/daemon.log.1"))
    assert.equal("x", say(address, "two"))
    condition.wait_until(function() return place:read("daemon.log.1"):find "heard two" end)
    d.process:signal "USR1"
    condition.wait_until(function() return place:read "daemon.log" end)
    local n = 0
    condition.wait_until(function() -- both workers
      n = n + 1
      say(address, "three" .. n)
      local text = place:read "daemon.log"
      return text:find "heard three" and n > 20
    end)
    local old = place:read "daemon.log.1"
    say(address, "four")
    condition.wait_until(function() return place:read("daemon.log"):find "heard four" end)
    assert.is_true(d:reload().ok)
    condition.wait_until(function() return place:read("daemon.log"):find "reloaded: generation 2" end)
    for _ = 1, 10 do
      say(address, "five")
    end
    assert.equal(old, place:read "daemon.log.1")
    assert.equal("", d.process:errors())
  end)

  it("is JSON when that is asked for, every line of it", function()
    local d <close> = start(place, 'format = "json",')
    local address = find(place, "listening").address
    assert.equal("x", say("tcp://" .. address, 'one "two"'))
    local entry = condition.wait_until(function() return find(place, 'heard one "two"') end)
    assert.equal("info", entry.level)
    assert.equal("talk", entry.service)
    assert.equal('one "two"', entry.word)
    assert.matches("^127%.0%.0%.1:%d+$", entry.connection)
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT", entry.time)
    d.folder:write("talk.lua", "return 1 +")
    assert.is_false(d:reload().ok)
    condition.wait_until(function() return #entries(place) >= 5 end)
  end)

  it("has what the level lets through, also after a reload and in a worker that comes later", function()
    local d <close> = start(place, 'level = "warn",')
    local address = d:ask({ command = "status" }).workers[1].report.services[1].listeners[1]
    assert.equal("x", say(address, "one"))
    assert.equal(0, (d:run("log", "debug")))
    assert.equal("x", say(address, "two"))
    condition.wait_until(function() return place:read("daemon.log"):find "small two" end)
    for _, worker in ipairs(d:ask({ command = "status" }).workers) do
      os.execute("kill -9 " .. worker.pid)
    end
    assert.equal("x", say(address, "three"))
    condition.wait_until(function() return place:read("daemon.log"):find "small three" end)
    assert.equal(0, (d:run("log", "error")))
    assert.equal("x", say(address, "four"))
    local begun = core.now()
    condition.wait_until(function() return core.now() > begun + 0.05 end)
    local text = place:read "daemon.log"
    assert.is_nil(text:find "one")
    assert.is_nil(text:find "four")
  end)

  it("is opened anew for workers that may not open it themselves", function()
    if lfs.attributes("/proc/self", "uid") ~= 0 then
      return pending "needs root"
    end
    assert.equal(0, (process.run { "chmod", "700", place.path }))
    local d <close> = start(place, nil, 'user = "nobody"')
    local address = d:address("talk", nil, place:read "daemon.log")
    assert(os.rename(place.path .. "/daemon.log", place.path .. "/daemon.log.1"))
    d.process:signal "USR1"
    condition.wait_until(function() return place:read "daemon.log" end)
    condition.wait_until(function()
      say(address, "one")
      return place:read("daemon.log"):find "heard one"
    end)
    for _, worker in ipairs(d:ask({ command = "status" }).workers) do
      os.execute("kill -9 " .. worker.pid)
    end
    assert.equal("x", say(address, "two"))
    condition.wait_until(function() return place:read("daemon.log"):find "heard two" end)
  end)
end)
