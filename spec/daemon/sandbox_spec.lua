-- Scripts from others as services of a daemon, beside one that is trusted.
local condition = require "spec.support.condition"
local core = require "moonwire.core"
local daemon = require "spec.support.daemon"
local net = require "moonwire.net"
local task = require "moonwire.task"

local ECHO <const> = [[return function(conn) for line in conn:lines() do conn:write(line, "\n") end end]]

-- A line is code, whose values or error are the answer.
local GUEST <const> = [[
local words = require "guest.words"
local function answer(ok, ...)
  local list = table.pack(...)
  for i = 1, list.n do list[i] = tostring(list[i]) end
  return (ok and "" or "raised ") .. table.concat(list, " ", 1, list.n)
end
local function talk(conn, state)
  while true do
    conn:checkpoint(state)
    local line = conn:read_line()
    if not line then return end
    state.count = state.count + 1
    if line == "hello" then
      conn:write(words.hello, " ", state.count, "\n")
    else
      conn:write(answer(pcall(assert(load(line, "=line")))), "\n")
    end
  end
end
return { connect = function(conn) talk(conn, { count = 0 }) end, resume = talk }
]]

local CONFIG <const> = [[
service "echo" { script = "echo.lua", listen = "tcp://127.0.0.1:0" }
service "guest" {
  script = "guest.lua", listen = "tcp://127.0.0.1:0", sandbox = true,
  limits = { cpu = "300ms", memory = "16M" },
}
]]

local function words(text)
  return ('return { hello = "%s" }'):format(text)
end

describe("a sandboxed service of a daemon", function()
  local d

  before_each(function()
    d = daemon.start {
      workers = 1, config = CONFIG,
      scripts = { ["echo.lua"] = ECHO, ["guest.lua"] = GUEST, ["guest/words.lua"] = words "hello" },
    }
  end)
  after_each(function() d:stop() end)

  local function enter(name)
    return assert(net.connect(d:address(name), { read_timeout = 10 }))
  end

  local function exchange(conn, line)
    assert(conn:write(line, "\n"))
    return conn:read_line()
  end

  it("has modules of its own, and reaches no files and no processes", function()
    local conn <close> = enter "guest"
    assert.equal("hello 1", exchange(conn, "hello"))
    for _, code in ipairs {
      "return io", "return os.execute", "return os.getenv", "return debug", "return package.loadlib",
      "return loadfile", "return string.dump",
    } do
      assert.equal("nil", exchange(conn, code), code)
    end
    for _, name in ipairs { "moonwire.file", "moonwire.process", "moonwire.core", "lfs", "../echo" } do
      assert.matches("^raised ", exchange(conn, ("return require %q"):format(name)), name)
    end
    assert.matches("^raised ", exchange(conn, [[string.rep = 1]]))
    assert.equal("3", exchange(conn, "return 1 + 2"))
  end)

  it("has a part of the store, which it keeps", function()
    local conn <close> = enter "guest"
    for code, expected in pairs {
      ['return require "moonwire.store".open'] = "nil",
      ['return require "moonwire.store".set("a", 7)'] = "true",
      ['return require "moonwire.store".get "../echo/a"'] = "nil not found not_found",
    } do
      assert.equal(expected:match "^%S+", exchange(conn, code):match "^%S+", code)
    end
    assert.equal("7", exchange(conn, 'return (require "moonwire.store".get "a")'))
    assert.is_true(d:reload().ok)
    local again <close> = enter "guest"
    assert.equal("8", exchange(again, 'return (require "moonwire.store".incr "a")'))
  end)

  it("computes and remembers within limits, and its neighbours go on", function()
    local neighbour <close> = enter "echo"
    local worst, ended = 0, false
    local group <close> = task.group()
    group:spawn(function()
      while not ended do
        local begun = core.now()
        assert.equal("x", exchange(neighbour, "x"))
        worst = math.max(worst, core.now() - begun)
        task.sleep(0.005)
      end
    end)
    local looping <close> = enter "guest"
    assert.is_nil((exchange(looping, "while true do end"))) -- ended amid it
    d:wait_for_log "service=guest.*"
    local eating <close> = enter "guest"
    assert.matches("not enough memory", exchange(eating, "local t = {} for i = 1, 1e9 do t[i] = {} end"))
    local guest <close> = enter "guest"
    assert.equal("hello 1", exchange(guest, "hello"))
    ended = true
    group:wait()
    assert.is_true(worst < 1, ("the neighbour waited for %.3f s"):format(worst))
    assert.equal(0, d:ask({ command = "status" }).workers[1].restarts)
  end)

  it("is reloaded like any other, with its own modules, and its connections move", function()
    local conn <close> = enter "guest"
    assert.equal("hello 1", exchange(conn, "hello"))
    d.folder:write("guest/words.lua", words "good day")
    local answer = d:reload { service = "guest" }
    assert.is_true(answer.ok, answer.error)
    assert.equal(1, answer.moved)
    assert.equal("good day 2", exchange(conn, "hello"))
    d.folder:write("guest/words.lua", "return {")
    answer = d:reload()
    assert.is_false(answer.ok)
    assert.matches("guest/words%.lua:1", answer.error)
    d.folder:write("guest/words.lua", "while true do end")
    answer = d:reload()
    assert.is_false(answer.ok)
    assert.matches("guest", answer.error)
    assert.equal("good day 3", exchange(conn, "hello"))
  end)

  it("keeps the modules of its generation when its worker dies", function()
    d.folder:write("guest/words.lua", "return {")
    os.execute("kill -9 " .. d:ask({ command = "status" }).workers[1].pid)
    local conn = condition.wait_until(function() return net.connect(d:address "guest") end)
    assert.equal("hello 1", exchange(conn, "hello"))
    conn:close()
  end)

  it("runs what an operator says, within the sandbox", function()
    local status, output = d:run("eval", "guest", "1 + 1, ctx.name")
    assert.equal(0, status)
    assert.matches('2.*guest', output)
    local errors
    status, output, errors = d:run("eval", "guest", "return io.open('/etc/passwd')")
    assert.equal(1, status)
    assert.matches("nil value", output .. errors)
    status, output, errors = d:run("eval", "guest", "while true do end")
    assert.equal(1, status, output .. errors)
    assert.equal(0, (d:run("eval", "guest", "1")))
  end)
end)
