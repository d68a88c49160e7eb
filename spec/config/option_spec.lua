local place = require "spec.config.place"

local good, fault = place.good, place.fault

local function service(options)
  return ('service "echo" { script = "echo.lua", %s }'):format(options)
end

-- What is read of one service.
local function one(options)
  return good("workers = 4\n" .. service(options)).services[1]
end

local function is_faulty(expected, text)
  assert.are.equal("DIR/moonwire.lua:" .. expected, fault(text))
end

describe("the options of the daemon", function()
  it("have defaults", function()
    local daemon = good("").daemon
    assert.is_true(math.type(daemon.workers) == "integer" and daemon.workers >= 1)
    daemon.workers = nil
    assert.are.same({
      control = "/run/moonwire/control.sock", drain = 30, stuck = 5, reload_timeout = 30, processes = false,
      restart = { budget = 10, within = 60, most = 10 },
      log = { level = "info", format = "text", to = "auto" }, metrics = {}, store = "lmdb:",
    }, daemon)
  end)

  it("are set by assigning globals", function()
    local daemon = good([[
      workers, control, user, group = 3, "/tmp/x.sock", "moonwire", "adm"
      drain = 0; stuck = "750ms"; reload_timeout = "1m"
      restart = { budget = 3 }
      log = { level = "debug", to = "/var/log/moonwire.log" }
      metrics = { listen = "tcp://[::1]:9464" }
      store = "lmdb:///tmp/store?size=1G"
    ]]).daemon
    assert.are.same({
      workers = 3, control = "/tmp/x.sock", user = "moonwire", group = "adm", drain = 0, stuck = 0.75,
      reload_timeout = 60, restart = { budget = 3, within = 60, most = 10 }, processes = false,
      log = { level = "debug", format = "text", to = "/var/log/moonwire.log" },
      metrics = { listen = "tcp://[::1]:9464" }, store = "lmdb:///tmp/store?size=1G",
    }, daemon)
  end)

  it("have a store that workers share", function()
    is_faulty("1: store: there is no store of the kind 'nosuch:'", 'store = "nosuch:x"')
    is_faulty("1: store: memory: is not shared by workers", 'store = "memory:"')
    is_faulty('1: store: size: from 1M to 1T expected (such as "64M"), got "1K"', 'store = "lmdb:?size=1K"')
  end)

  it("may be read, and set again", function()
    assert.are.equal(6, good("workers = 3\nworkers = workers * 2").daemon.workers)
  end)

  it("are as many workers as the process may use processors, by default", function()
    local file <close> = assert(io.popen "nproc")
    assert.are.equal(math.min(64, file:read "n"), good("workers = 'auto'").daemon.workers)
  end)

  it("have an unknown name refused, with the nearest known one", function()
    is_faulty("3: unknown key 'workerz'; did you mean 'workers'?", "\n\nworkerz = 2")
    is_faulty("1: unknown key 'level'; did you mean 'log.level'?", "level = 'debug'")
    is_faulty("1: unknown key 'log.lvl'; did you mean 'level'?", "log = { lvl = 'debug' }")
    is_faulty("1: unknown key 'log.banana' (known: level, format, to)", "log = { banana = 1 }")
    is_faulty([[1: script is an option of services: service "NAME" { script = … }]], "script = 'x.lua'")
    assert.matches("unknown key 'banana' %(known: workers, control, .*bus%)", fault("banana = 1"))
  end)

  it("have wrong values refused, with what is expected", function()
    local auto = '1: workers: "auto" or an integer from 1 to 64 expected, got '
    is_faulty(auto .. "0", "workers = 0")
    is_faulty(auto .. "65", "workers = 65")
    is_faulty(auto .. "1.5", "workers = 1.5")
    is_faulty(auto .. '"many"', "workers = 'many'")
    is_faulty('1: drain: a duration from 0 to 7d (such as "10s" or "500ms") expected, got "10 years"',
      "drain = '10 years'")
    is_faulty('1: stuck: a duration from 500ms to 1h (such as "10s" or "500ms") expected, got 0.1',
      "stuck = 0.1")
    is_faulty("1: log: a table of options expected, got \"debug\"", "log = 'debug'")
    is_faulty('1: log.level: "debug", "info", "warn" or "error" expected, got "loud"',
      "log = { level = 'loud' }")
    is_faulty('1: log.to: "auto", "stderr" or "journal" or an absolute path expected, got "syslog"',
      "log = { to = 'syslog' }")
    is_faulty("1: restart.budget: an integer from 1 to 1000 expected, got a function",
      "restart = { budget = error }")
    is_faulty("1: control: an absolute path of at most 107 bytes expected, got \"x.sock\"",
      "control = 'x.sock'")
    assert.matches("at most 107 bytes", fault("control = '/" .. ("x"):rep(107) .. "'"))
    is_faulty('1: metrics.listen: a tcp:// address (such as "tcp://127.0.0.1:9464") expected, got "udp://:1"',
      "metrics = { listen = 'udp://:1' }")
    is_faulty("1: group: does nothing without user; set both", "group = 'adm'")
    is_faulty("1: log: a name expected, got the key 1", "log = { 'debug' }")
  end)

  it("say on which line of which file they were set", function()
    assert.are.equal("DIR/part.lua:2: stuck: a duration from 500ms to 1h (such as \"10s\" or \"500ms\") "
      .. "expected, got true", fault("include 'part.lua'\ndrain = 1", { ["part.lua"] = "\nstuck = true" }))
  end)
end)

describe("metrics.listen", function()
  it("adds a service that answers there, in one worker", function()
    local metrics = "workers = 3 metrics = { listen = 'tcp://127.0.0.1:9464' }\n"
    local services = good(metrics .. service "").services
    assert.are.same({ "echo", "metrics" }, { services[1].name, services[2].name })
    assert.matches("/scripts/metrics%.lua$", services[2].script)
    assert.are.same({ 1 }, services[2].workers)
    assert.are.equal("tcp://127.0.0.1:9464", services[2].listeners[1].address)
  end)

  it("has an address and a name that no other service has", function()
    local metrics = "metrics = { listen = 'tcp://127.0.0.1:9464' }\n"
    is_faulty('1: service "metrics": listen: tcp://127.0.0.1:9464 is the address of the service "echo" '
      .. "at DIR/moonwire.lua:2, too; give one another port",
      metrics .. service "listen = 'tcp://127.0.0.1:9464'")
    is_faulty('1: there is a service "metrics" already, at DIR/moonwire.lua:2; give one another name',
      metrics .. "service 'metrics' { script = 'echo.lua' }")
  end)
end)

describe("a service", function()
  it("has defaults", function()
    local read = one ""
    read.at = nil
    local script = read.script
    read.script = nil
    assert.matches("^/tmp/.*/echo%.lua$", script)
    assert.are.same({
      name = "echo", listeners = {}, settings = {}, sandbox = false, processes = false, drain = 30,
      limits = {
        connections = 10000, per_address = 0, accept_rate = 0, accept_burst = 0, idle = 0, total = 0,
        memory = 1 << 30, cpu = 1,
      },
      allow = {}, deny = {}, proxies = {}, proxy_timeout = 10, options = {},
    }, read)
  end)

  it("has what it is given", function()
    local read = one [[
      settings = { greeting = "hi", list = { 1, 2.5, true }, deep = { [3] = { x = "y" } } },
      sandbox = true, drain = "5s", processes = true,
      limits = {
        connections = false, per_address = 5, accept_rate = 2.5, idle = "1m", total = "1h", memory = "64M",
        cpu = false,
      },
      allow = "10.0.0.0/8", deny = { "::1", "192.0.2.0/24" },
      proxies = { "10.0.0.0/8", "unix" }, proxy_timeout = "500ms",
      options = { read_timeout = false, high_mark = "128K", defer = true },
    ]]
    assert.are.same({ greeting = "hi", list = { 1, 2.5, true }, deep = { [3] = { x = "y" } } }, read.settings)
    assert.are.same({
      connections = 0, per_address = 5, accept_rate = 2.5, accept_burst = 3, idle = 60, total = 3600,
      memory = 64 << 20, cpu = 0,
    }, read.limits)
    assert.are.same({ true, 5, true }, { read.sandbox, read.drain, read.processes })
    assert.are.same({ { "10.0.0.0/8" }, { "::1", "192.0.2.0/24" } }, { read.allow, read.deny })
    assert.are.same({ { "10.0.0.0/8", "unix" }, 0.5 }, { read.proxies, read.proxy_timeout })
    assert.are.same({ read_timeout = false, high_mark = 131072, defer = true }, read.options)
  end)

  it("has the drain time of the daemon unless it has its own", function()
    assert.are.equal(7, good("drain = 7\n" .. service "").services[1].drain)
    assert.are.equal(7, good(service "" .. "\ndrain = 7").services[1].drain)
  end)

  it("makes it a daemon that may start programs when it may", function()
    assert.is_true(good(service "processes = true").daemon.processes)
    assert.is_false(good(service "processes = false").daemon.processes)
  end)

  it("runs on all workers, on some, or on a number of them", function()
    assert.is_nil(one "".workers)
    assert.is_nil(one "workers = 4".workers)
    assert.are.same({ 1, 2 }, one "workers = 2".workers)
    assert.are.same({ 2, 4 }, one "workers = { 4, 2, 2 }".workers)
    assert.matches("there is no worker 5, there are 4; set workers = 5 for the daemon",
      fault("workers = 4\n" .. service "workers = 5"))
    assert.matches("one worker at least", fault(service "workers = {}"))
    assert.matches("workers: an integer from 1 to 64 or a list of worker numbers expected, got \"all\"",
      fault(service "workers = 'all'"))
  end)

  it("has faults named with line, service and key", function()
    is_faulty([[2: service "echo": unknown key 'conections'; did you mean 'limits.connections'?]],
      "\n" .. service "\n\n conections = 1")
    is_faulty([[1: service "echo": unknown key 'limits.memroy'; did you mean 'memory'?]],
      service "limits = { memroy = 1 }")
    is_faulty([[1: service "echo": limits.connections: an integer from 1 to 10000000 or false for no limit ]]
      .. "expected, got 0", service "limits = { connections = 0 }")
    is_faulty([[1: service "echo": limits.memory: a size from 1M to 1T (such as "64M") or false for no ]]
      .. 'limit expected, got "64MB"', service "limits = { memory = '64MB' }")
    is_faulty([[1: service "echo": a name expected, got the key 1]], service "5")
    is_faulty([[1: service "echo": sandbox: true or false expected, got "yes"]], service "sandbox = 'yes'")
    is_faulty([[1: service "echo": settings: a table of plain data expected, got 5]], service "settings = 5")
    is_faulty([[1: service "echo": limits.accept_burst: does nothing without limits.accept_rate; set both]],
      service "limits = { accept_burst = 3 }")
    is_faulty([[1: service "echo": options: low_mark must not be above high_mark, 16384 > 1024]],
      service "options = { high_mark = '1K' }")
    is_faulty([[1: service "echo": options: high_mark must not be above queue_limit, 8388608 > 4194304]],
      service "options = { high_mark = '8M' }")
  end)

  it("has settings of plain data only, refused by their path", function()
    assert.matches("settings%.a%.b%[2%]: strings, numbers, booleans and tables of these expected, got a func",
      fault(service "settings = { a = { b = { 1, error } } }"))
    assert.matches("settings%.me: the table contains itself",
      fault("local t = {}\nt.me = t\n" .. service "settings = t"))
    assert.matches("nested more than 90 deep", fault("local t = {}\nfor _ = 1, 100 do t = { t } end\n"
      .. service "settings = t"))
    assert.matches("the key of a table must be a string or a number, not a table",
      fault(service "settings = { [{}] = 1 }"))
    assert.matches("got a library", fault(service "settings = { s = string }"))
    assert.are.same({ { 1 }, { 1 } },
      one "settings = (function() local t = { 1 } return { t, t } end)()".settings)
  end)

  it("names a script that is there", function()
    assert.matches("script: there is no file DIR/other.lua, and no /.*/other.lua",
      fault("service 'x' { script = 'other.lua' }"))
    assert.matches("there is no file /nowhere/x.lua$", fault("service 'x' { script = '/nowhere/x.lua' }"))
    assert.matches('nothing says what the service does; add script = "FILE.lua"', fault("service 'x' {}"))
    local part = { ["conf.d/part.lua"] = "service 'y' { script = 'y.lua' }", ["conf.d/y.lua"] = "" }
    local read, path = good("include 'conf.d/*.lua'", part)
    assert.are.equal(path .. "/conf.d/y.lua", read.services[1].script)
  end)

  it("may name a script that came with Moonwire", function()
    local read = good("service 'x' { script = 'examples/line_echo.lua' }").services[1]
    assert.matches("/examples/line_echo%.lua$", read.script)
    assert.is_nil(read.script:find("^/tmp/lua_"))
  end)

  it("has a name of its own", function()
    is_faulty('2: there is a service "echo" already, at DIR/moonwire.lua:1; give one another name',
      service "" .. "\n" .. service "")
    for _, name in ipairs { '""', '"a b"', '"-a"', '("x"):rep(64)', "5", "{}" } do
      assert.matches("service: a name of at most 63 letters, digits, '_', '%-' and '%.' expected",
        fault(("service(%s) {}"):format(name)))
    end
  end)

  it("has a table", function()
    local expected = ':1: service "x": a table expected behind the name, as in: service "x" { … }'
    for _, text in ipairs {
      "service 'x'", "service 'x' \n include 'none*.lua'", "service 'x'\nservice 'y' {}", "service 'x' 'y'",
    } do
      assert.are.equal("DIR/moonwire.lua" .. expected, fault(text))
    end
  end)

  it("is one of 256 at most", function()
    local text = "for i = 1, %d do service('s' .. i) { script = 'echo.lua' } end"
    assert.are.equal(256, #good(text:format(256)).services)
    assert.matches('service "s257": there are more than 256 services', fault(text:format(257)))
  end)
end)

describe("networks", function()
  it("are addresses with a number of bits", function()
    for _, text in ipairs { "10.0.0.0/8", "0.0.0.0/0", "192.0.2.7", "::1", "::/0", "2001:db8::/32" } do
      assert.are.same({ text }, one(("allow = %q"):format(text)).allow)
    end
  end)

  it("are nothing else", function()
    is_faulty([[1: service "echo": deny: "localhost": no network: such as 10.0.0.0/8, 192.0.2.1, fe80::/10 ]]
      .. "or ::1", service "deny = 'localhost'")
    is_faulty([[1: service "echo": deny[2]: "10.0.0.0/33": behind the slash: the number of bits, up to 32 ]]
      .. "for IPv4 and 128 for IPv6", service "deny = { '::1', '10.0.0.0/33' }")
    assert.matches('proxies: "Unix": no network', fault(service "proxies = 'Unix'"))
    assert.matches('deny: "10.1.2.3/8": the address has bits behind the prefix',
      fault(service "deny = '10.1.2.3/8'"))
    assert.matches('allow: a network %(such as "10.0.0.0/8", .* expected, got 7', fault(service "allow = 7"))
  end)
end)
