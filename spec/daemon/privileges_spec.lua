-- What workers may do, when the daemon was started as root.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local test = require "moonwire.test"
local vitals = require "spec.system.vitals"

test.deadline(90)

local NOBODY <const> = 65534

-- Sends code, gets what it returned or raised.
local SERVICE <const> = [[
local function answer(ok, ...)
  local words = table.pack(...)
  for i = 1, words.n do
    words[i] = tostring(words[i])
  end
  return (ok and "" or "raised ") .. table.concat(words, " ", 1, words.n)
end
return function(conn)
  local code = conn:read_all()
  conn:write(answer(pcall(assert(load(code, "=attempt")))))
end]]

local function is_root()
  return lfs.attributes("/proc/self", "uid") == 0
end

local function status_of(pid)
  local fields = {}
  for line in io.lines(("/proc/%d/status"):format(pid)) do
    local name, value = line:match "^(%w+):%s*(.-)%s*$"
    fields[name or ""] = value
  end
  return fields
end

local function run(address, code)
  local conn <close> = assert(net.connect(address, { read_timeout = 20 }))
  assert(conn:write(code))
  conn:shutdown_write()
  return conn:read_all()
end

local function start(config, scripts)
  scripts = scripts or {}
  scripts["do.lua"] = SERVICE
  return daemon.start { scripts = scripts, config = config, workers = 1 }
end

local function pid_of(d)
  return d:ask({ command = "status" }).workers[1].pid
end

describe("a worker of a daemon that root started", function()
  local d

  setup(function()
    if is_root() then
      d = start [[
user = "nobody"
service "do" { script = "do.lua", listen = { "tcp://127.0.0.1:0", "tcp://127.0.0.1:613" } }
]]
    end
  end)
  teardown(function() return d and d:stop() end)

  local function as_root(name, fn)
    it(name, function()
      if not d then
        return pending "needs root"
      end
      return fn()
    end)
  end

  as_root("is the user of the config, has no capabilities, and can get none", function()
    local status = status_of(pid_of(d))
    assert.equal(("%d\t"):rep(4):format(NOBODY, NOBODY, NOBODY, NOBODY), status.Uid .. "\t")
    assert.equal(("%d\t"):rep(4):format(NOBODY, NOBODY, NOBODY, NOBODY), status.Gid .. "\t")
    assert.is_truthy(status.Groups == "" or status.Groups == tostring(NOBODY), status.Groups)
    for _, name in ipairs { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" } do
      assert.equal(("0"):rep(16), status[name], name)
    end
    assert.equal("1", status.NoNewPrivs)
    assert.equal("2", status.Seccomp)
  end)

  as_root("starts no programs", function()
    if vitals.is_sanitized(d.process:pid()) then
      return -- the leak check of AddressSanitizer is a process
    end
    local address = d:address "do"
    assert.matches("^nil .*not permitted.* denied$",
      run(address, [[return require "moonwire.process".spawn { "/bin/true" }]]))
    assert.matches("not permitted", run(address, [[return os.execute "true"]]))
    assert.matches("^nil ", run(address, [[return io.popen "true"]])) -- the C library says that memory is out
  end)

  as_root("does all else that scripts do", function()
    local address = d:address "do"
    for _, case in ipairs {
      { [[return #require "moonwire.crypto".scrypt("secret", "salty salt 16 b.", { length = 32 })]], "^32" },
      { [[local c = require "moonwire.crypto"; return c.generate_key("ed25519"):kind()]], "ed25519" },
      { [[local c = require "moonwire.crypto"; return c.generate_key("rsa"):is_private()]], "true" },
      { [[local c = require "moonwire.crypto"; local k = c.random_bytes(32)
          return c.open(k, c.seal(k, "sealed"))]], "sealed" },
      { [[return require "moonwire.dns".addresses("localhost")[1] ~= nil]], "true" },
      { [[return select(-1, require "moonwire.dns".records("nowhere.invalid", "A")) ~= nil]], "true" },
      { [[local file = require "moonwire.file"; local name = os.tmpname()
          assert(file.write(name, "written")); local text = assert(file.read(name)); assert(file.remove(name))
          return text]], "written" },
      { [[local file = require "moonwire.file"; local name = os.tmpname(); os.remove(name)
          assert(file.make_folder(name)); local watch = file.watch(name)
          assert(file.write(name .. "/x", "1")); local event = watch:next(5)
          assert(file.remove(name .. "/x")); os.remove(name); return event.name]], "x" },
      { [[local net = require "moonwire.net"; local path = os.tmpname(); os.remove(path)
          assert(net.serve("unix://" .. path, function(conn) conn:write "from a unix socket" end))
          return net.connect("unix://" .. path):read_all()]], "from a unix socket" },
      { [[local net = require "moonwire.net"; local a = assert(net.datagram "udp://127.0.0.1:0")
          local b = assert(net.connect_datagram("udp://" .. a:local_address())); b:send "from udp"
          return a:receive(5)]], "from udp" },
      { [[local timer = require "moonwire.timer"; local t = require "moonwire.task"; local n = 0
          timer.every(0.01, function() n = n + 1 end); t.sleep(0.1); return n > 2]], "true" },
      { [[local net = require "moonwire.net"; local a, b = net.pair(); a:write "through a pair"; a:close()
          return b:read_all()]], "through a pair" },
      { [[return os.time() > 0 and os.getenv "PATH" ~= nil and os.date() ~= ""]], "true" },
      { [[return io.open("/etc/shadow")]], "denied" },
      { [[local x = 0; while true do x = x + 1 end]], "" },
      { [[local t = {}; for i = 1, 1e5 do t[i] = ("x"):rep(100) end; return #t]], "100000" },
    } do
      assert.matches(case[2], run(address, case[1]), case[1])
    end
  end)

  as_root("has ports below 1024 of its own, those that a reload adds as well", function()
    assert.equal("2", run("tcp://127.0.0.1:613", "return 1 + 1"))
    d:configure [[
user = "nobody"
service "do" { script = "do.lua", listen = { "tcp://127.0.0.1:0", "tcp://127.0.0.1:614" } }
]]
    local answer = d:reload()
    assert.is_true(answer.ok, answer.error)
    assert.equal("3", run("tcp://127.0.0.1:614", "return 1 + 2"))
    condition.wait_until(function() return select(3, net.connect "tcp://127.0.0.1:613") == "refused" end)
  end)

  as_root("of a service with `processes` may start programs, which gain no rights", function()
    local other <close> = start [[
user = "nobody"
service "do" { script = "do.lua", listen = "tcp://127.0.0.1:0", processes = true }
]]
    local address = other:address "do"
    assert.equal("2", status_of(pid_of(other)).Seccomp)
    local text = run(address, [[
      return require "moonwire.process".run({ "cat", "/proc/self/status" }).output]])
    assert.matches("Uid:\t65534\t65534\t65534\t65534", text)
    assert.matches("NoNewPrivs:\t1", text)
    assert.matches("CapBnd:\t0000000000000000", text)
    assert.matches("Seccomp:\t2", text)
  end)

  as_root("runs our own specs of functions", function()
    local other <close> = daemon.start {
      workers = 1,
      env = { MOONWIRE = moonwire.binary },
      scripts = { ["suite.lua"] = [[
        local task = require "moonwire.task"
        return {
          start = function(ctx)
            task.spawn(function()
              package.path = "./?.lua;" .. package.path
              require "moonwire.test".main { arguments = ctx.config }
            end)
          end,
        }]] },
      config = [[
user = "nobody"
service "suite" {
  script = "suite.lua", processes = true, limits = { cpu = false },
  settings = { "spec/dns", "spec/sync", "spec/file/watch_spec.lua" },
}]],
    }
    local result = condition.wait_until(function()
      return other.process:output():match "%d+ passed, %d+ failed, %d+ skipped"
    end, 60, function() return other:log() .. other.process:output() end)
    assert.matches("^%d%d+ passed, 0 failed", result, other.process:output())
  end)

  as_root("of a user that is not there does not start; the message says so", function()
    local place <close> = folder.new()
    place:write("do.lua", SERVICE)
    local path = place:write("moonwire.lua", [[
control = "]] .. place.path .. [[/control.sock"
user = "nobody-of-this-name"
service "do" { script = "do.lua", listen = "tcp://127.0.0.1:0" }]])
    local status, _, errors = process.run { moonwire.binary, "start", "-c", path }
    assert.equal(1, status)
    assert.matches('there is no user "nobody%-of%-this%-name"', errors)
  end)
end)
