-- Daemons that share a bus over Redis, as users run them.
local authority = require "spec.support.authority"
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local redis = require "moonwire.redis"
local redis_server = require "spec.redis.server"
local task = require "moonwire.task"
local test = require "moonwire.test"

local WAIT_SECONDS <const> = 30

test.deadline(180)

-- Publishes each line that a client says; "?" asks for what this worker has heard, "+" counts in the store.
local SERVICE <const> = [[
local bus = require "moonwire.bus"
local store = require "moonwire.store"
local task = require "moonwire.task"

local service, heard = {}, {}

function service.start()
  local subscription = bus.subscribe("said.>"):keep()
  task.spawn(function()
    for value in subscription do
      heard[#heard + 1] = value.text
    end
  end)
end

function service.connect(conn, ctx)
  conn:write(ctx.worker, "\n")
  for line in conn:lines() do
    if line == "?" then
      conn:write(table.concat(heard, " "), "\n")
    elseif line == "+" then
      local sum, _, code = store.incr "n"
      conn:write(tostring(sum or code), "\n")
    else
      bus.publish("said.it", { text = line })
    end
  end
end

return service
]]

local function start(url, workers)
  return daemon.start {
    scripts = { ["chat.lua"] = SERVICE }, workers = workers or 1, config = ([[
      bus = "%s"
      store = "%s"
      service "chat" { script = "chat.lua", listen = "tcp://127.0.0.1:0" }
    ]]):format(url, url),
  }
end

-- A connection to that worker: the kernel chooses one for each.
local function connect(running, worker)
  return condition.wait_until(function()
    local conn = assert(net.connect(running:address "chat", { read_timeout = WAIT_SECONDS }))
    if conn:read_line() == tostring(worker) then
      return conn
    end
    conn:close()
  end, WAIT_SECONDS)
end

local function await(conn, text)
  local line
  condition.wait_until(function()
    conn:write "?\n"
    line = assert(conn:read_line())
    return line == text
  end, WAIT_SECONDS, function()
    return ("%q instead of %q"):format(line, text)
  end)
end

local function count(text, what)
  local _, found = text:gsub(what, "")
  return found
end

local function metric(running, name)
  local text = running:ask { command = "metrics" }.text
  return tonumber(text:match("\nbus_bridge_" .. name .. "{[^\n]*} (%S+)"))
end

describe("daemons that share a bus", function()
  it("hear each other in all workers, in order, and themselves once", function()
    local server <close> = redis_server.start()
    local one <close> = start(server.url, 2)
    local two <close> = start(server.url, 2)
    local conns = { connect(one, 1), connect(one, 2), connect(two, 1), connect(two, 2) }
    conns[1]:write "a\nb\n"
    for _, conn in ipairs(conns) do
      await(conn, "a b")
    end
    conns[4]:write "c\nd\n"
    for _, conn in ipairs(conns) do
      await(conn, "a b c d")
      conn:close()
    end
    condition.wait_until(function() return metric(one, "sent_total") == 2 end, WAIT_SECONDS)
    assert.are.same({ 2, 0, 0, 1 },
      { metric(one, "received_total"), metric(one, "dropped_total"), metric(one, "missed_total"),
        metric(one, "connected") })
  end)

  it("go on by themselves while Redis is away, and together when it is back", function()
    local server <close> = redis_server.start()
    local one <close> = start(server.url)
    local two <close> = start(server.url)
    local ann <close> = connect(one, 1)
    local bob <close> = connect(two, 1)
    ann:write "a\n"
    await(bob, "a")
    server:kill()
    one:wait_for_log("bus: other daemons cannot be reached", WAIT_SECONDS)
    two:wait_for_log("bus: other daemons cannot be reached", WAIT_SECONDS)
    ann:write "b\nc\n"
    bob:write "d\n"
    await(ann, "a b c")
    await(bob, "a d")
    condition.wait_until(function() return metric(one, "dropped_total") == 2 end, WAIT_SECONDS)
    server:start()
    one:wait_for_log("bus: other daemons can be reached again .*dropped=2", WAIT_SECONDS)
    two:wait_for_log("bus: other daemons can be reached again .*dropped=1", WAIT_SECONDS)
    ann:write "e\n"
    await(bob, "a d e")
    bob:write "f\n"
    await(ann, "a b c e f")
    assert.are.equal(1, count(one:log(), "cannot be reached"))
    assert.are.same({ 1, 2 }, { metric(one, "missed_total"), metric(two, "missed_total") })
  end)

  it("start while Redis is away", function()
    local server <close> = redis_server.start()
    server:kill()
    local one <close> = start(server.url)
    local two <close> = start(server.url)
    local ann <close> = connect(one, 1)
    local bob <close> = connect(two, 1)
    ann:write "a\n"
    await(ann, "a")
    server:start()
    one:wait_for_log("can be reached again", WAIT_SECONDS)
    two:wait_for_log("can be reached again", WAIT_SECONDS)
    ann:write "b\n"
    await(bob, "b")
  end)

  it("go on by themselves when Redis takes their connections and never answers", function()
    local server <close> = redis_server.start()
    server.process:signal "STOP"
    local one <close> = start(server.url)
    local ann <close> = connect(one, 1)
    ann:write "a\n"
    await(ann, "a")
    for _ = 1, 3 do
      ann:write "+\n"
      assert.are.equal("unreachable", ann:read_line())
    end
    ann:write "b\n"
    await(ann, "a b")
    one:wait_for_log("bus: other daemons cannot be reached", WAIT_SECONDS)
    server.process:signal "CONT"
    one:wait_for_log("bus: other daemons can be reached again", WAIT_SECONDS)
  end)

  it("lose nothing and hear nothing twice while they reload", function()
    local server <close> = redis_server.start()
    local one <close> = start(server.url)
    local two <close> = start(server.url)
    local ann <close> = connect(one, 1)
    local bob <close> = connect(two, 1)
    local expected, done = {}, false
    local writer = task.spawn(function()
      while not done do
        expected[#expected + 1] = tostring(#expected + 1)
        ann:write(expected[#expected], "\n")
        task.sleep(0.001)
      end
    end)
    for _ = 1, 3 do
      for _, running in ipairs { one, two } do
        assert.is_true(running:reload({ service = "bus" }).ok)
      end
    end
    done = true
    writer:join()
    await(bob, table.concat(expected, " "))
    await(ann, table.concat(expected, " "))
    assert.are.same({ 0, 0 }, { metric(one, "dropped_total"), metric(two, "missed_total") })
  end)

  it("lose nothing when new code takes over before Redis has answered it", function()
    local server <close> = redis_server.start()
    local one <close> = start(server.url)
    local two <close> = start(server.url)
    local ann <close> = connect(one, 1)
    local bob <close> = connect(two, 1)
    ann:write "a\n"
    await(bob, "a")
    server.process:signal "STOP"
    local reloaded = one:reload({ service = "bus" }).ok -- which waits for two seconds
    ann:write "b\n"
    await(ann, "a b")
    server.process:signal "CONT"
    assert.is_true(reloaded)
    ann:write "c\n"
    await(ann, "a b c")
    if not one:log():find "cannot be reached" then -- as it is where all this takes more than five seconds
      await(bob, "a b c")
    end
  end)

  it("go on after a canary that was taken back", function()
    local server <close> = redis_server.start()
    local one <close> = start(server.url)
    local two <close> = start(server.url)
    local ann <close> = connect(one, 1)
    local bob <close> = connect(two, 1)
    ann:write "a\n"
    await(bob, "a")
    one.folder:write("chat.lua", (SERVICE:gsub('conn:write%(ctx.worker', 'error "a fault" %0')))
    local outcome
    local trial = task.spawn(function()
      outcome = one:reload { canary = 0.5, seconds = 600 }
    end)
    condition.wait_until(function() return #one:services "bus" == 2 or outcome end, WAIT_SECONDS)
    ann:write "b\n"
    await(bob, "a b")
    condition.wait_until(function()
      local conn <close> = assert(net.connect(one:address "chat"))
      conn:read_line()
      return outcome
    end, WAIT_SECONDS)
    trial:join()
    assert.is_false(outcome.ok)
    ann:write "c\n"
    await(bob, "a b c")
    bob:write "d\n"
    await(ann, "a b c d")
  end)
end)

describe("the URL of a bus", function()
  it("is judged with the config, and its password told to nobody", function()
    for url, problem in pairs {
      ["redis://ann:secret@cache:x"] = "bus: no URL of Redis, as are redis://host:6379/0",
      ["http://ann:secret@cache"] = "bus: no URL of a bus, such as",
      ["redis://cache?size=4M"] = "bus: unknown option 'size' (known: authorities, prefix)",
      ["redis://cache?authorities=ca.pem"] = "bus: the option 'authorities' goes with rediss://",
    } do
      local here <close> = folder.new()
      local path = here:write("moonwire.lua", ("bus = %q"):format(url))
      local status, _, errors = process.run { moonwire.binary, "check", "-c", path }
      assert.are.equal(1, status)
      assert.is_truthy(errors:find(problem, 1, true), errors)
      assert.is_nil(errors:find "secret")
    end
  end)

  it("may hold a password, which the log does not show", function()
    local server <close> = redis_server.start("--requirepass", "sesame-7")
    for user, word in pairs { [""] = "joined", wrong = "cannot be reached" } do
      local one <close> = start((server.url:gsub("//", "//" .. user .. ":sesame-7@")))
      one:wait_for_log(word, WAIT_SECONDS)
      assert.is_nil(one:log():find "sesame")
    end
  end)

  it("may ask for TLS, and say whom to trust", function()
    local here <close> = folder.new()
    local ca = authority.new(here)
    local pair, port = ca:issue { "localhost" }, redis_server.free_port()
    assert(os.execute("chmod -R a+rX " .. here.path)) -- daemons do not run as root
    local _ <close> = redis_server.start("--tls-port", port, "--tls-cert-file", pair.certificate,
      "--tls-key-file", pair.key, "--tls-ca-cert-file", ca.file, "--tls-auth-clients", "no")
    local url = ("rediss://localhost:%d?authorities=%s"):format(port, ca.file)
    local one <close> = start(url)
    local two <close> = start(url)
    local ann <close> = connect(one, 1)
    local bob <close> = connect(two, 1)
    ann:write "a\n"
    await(bob, "a")
    for sum, conn in ipairs { ann, bob } do
      conn:write "+\n"
      assert.are.equal(tostring(sum), conn:read_line())
    end
    local stranger <close> = start("rediss://localhost:" .. port)
    stranger:wait_for_log("cannot be reached.*certificate", WAIT_SECONDS)
  end)

  it("may name another prefix: who has another one is elsewhere", function()
    local server <close> = redis_server.start()
    local one <close> = start(server.url .. "?prefix=one")
    local two <close> = start(server.url .. "?prefix=two")
    local ann <close> = connect(one, 1)
    local bob <close> = connect(two, 1)
    ann:write "a\n"
    condition.wait_until(function() return metric(one, "sent_total") == 1 end, WAIT_SECONDS)
    bob:write "b\n"
    await(bob, "b")
  end)
end)

describe("moonwire run --bus", function()
  it("publishes to daemons before it ends, and hears them", function()
    local server <close> = redis_server.start()
    local one <close> = start(server.url)
    local ann <close> = connect(one, 1)
    local status, log = moonwire.run {
      code = [[require "moonwire.bus".publish("said.it", { text = "hello" })]],
      options = { "--bus", server.url },
    }
    assert.are.equal(0, status, log)
    await(ann, "hello")
  end)

  it("refuses what is no URL", function()
    local status, log = moonwire.run { code = "print(1)", options = { "--bus", "redis://ann:secret@" } }
    assert.are.equal(1, status)
    assert.is_truthy(log:find("--bus: no URL of Redis", 1, true), log)
    assert.is_nil(log:find "secret")
  end)
end)

describe("a bridge", function()
  it("says once that it may not publish, and goes on alone", function()
    local server <close> = redis_server.start()
    local client = assert(redis.connect(server.url))
    assert(client:call("ACL", "SETUSER", "mute", "on", ">word", "&*", "+subscribe", "+hello", "+auth"))
    local one <close> = start((server.url:gsub("//", "//mute:word@")))
    local ann <close> = connect(one, 1)
    for _, text in ipairs { "a", "a b" } do
      ann:write(text:sub(-1), "\n")
      await(ann, text)
    end
    assert.are.equal(1, count(one:log(), "cannot be reached.*NOPERM"))
    assert.are.equal(0, count(one:log(), "can be reached again"))
    assert.are.equal(2, metric(one, "dropped_total"))
  end)

  it("leaves what is no message of a daemon alone", function()
    local server <close> = redis_server.start()
    local one <close> = start(server.url)
    local ann <close> = connect(one, 1)
    local client = assert(redis.connect(server.url))
    for _, text in ipairs { "", "hello", "MWB1", ("MWB1" .. ("o"):rep(24) .. "no message") } do
      assert.are.equal(1, client:call("PUBLISH", "moonwire:bus", text))
    end
    ann:write "a\n"
    await(ann, "a")
    assert.are.same({ 0, 1 }, { metric(one, "received_total"), metric(one, "connected") })
  end)
end)
