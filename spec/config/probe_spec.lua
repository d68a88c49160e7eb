local core = require "moonwire.core"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local place = require "spec.config.place"
local probe = require "moonwire.probe"
local process = require "spec.support.process"

local function keep_rights() end

-- Judges a config of one service whose script is given, with further files beside it.
local function judge(text, options, files)
  local here <close> = folder.new()
  here:write("script.lua", text)
  for name, content in pairs(files or {}) do
    here:write(name, content)
  end
  options = options or 'listen = "tcp://127.0.0.1:0"'
  local config = ('service "one" { script = "script.lua", %s }'):format(options)
  local result = probe.judge(here:write("moonwire.lua", config), keep_rights)
  local folder_name = here.path:gsub("%p", "%%%0")
  result.fault = result.fault and result.fault:gsub(folder_name, "DIR")
  return result, here.path
end

local function is_faulty(expected, ...)
  assert.are.equal(expected .. ' (service "one")', judge(...).fault)
end

describe("the judge of scripts", function()
  it("takes a handler, a table of functions, and nothing for a service", function()
    for _, text in ipairs {
      "return function() end", "return { connect = function() end }",
      "return { connect = print, start = print, stop = print, resume = print }",
      "return { connect = print, handoff = print, adopt = print, options = {} }",
      "#!/usr/bin/moonwire\nreturn print", "\xEF\xBB\xBFreturn print",
    } do
      assert.is_nil(judge(text).fault, text)
    end
    is_faulty("DIR/script.lua: the script returned no handler for connections; end it with: "
      .. "return function(conn) … end", "local x = 1")
    is_faulty("DIR/script.lua: a script returns a function, a table of them or nothing, not a number",
      "return 5")
    is_faulty("DIR/script.lua: unknown field 'conect' in the table that the script returned",
      "return { conect = print }")
    is_faulty("DIR/script.lua: the field 'connect' of the service must be a function, not a string",
      "return { connect = 'x' }")
  end)

  it("wants the functions that the listeners need", function()
    local udp = 'listen = "udp://127.0.0.1:0"'
    assert.is_nil(judge("return { datagram = print }", udp).fault)
    local missing = "DIR/script.lua: the script has no '%s' function, and the service listens on %s"
    is_faulty(missing:format("datagram", "udp://127.0.0.1:0"),
      "return print", udp)
    is_faulty(missing:format("connect' or 'request", "tcp://127.0.0.1:0"),
      "return { datagram = print }", 'listen = { "udp://127.0.0.1:0", "tcp://127.0.0.1:0" }')
    assert.is_nil(judge("return { start = print }", "").fault)
    is_faulty("DIR/script.lua: the service listens nowhere and its script has no 'start' function: "
      .. "it would do nothing", "return print", "")
  end)

  it("says file, line and message of what is wrong", function()
    is_faulty("DIR/script.lua:3: syntax error near 'x'", "\n\nx x")
    is_faulty("DIR/script.lua:2: attempt to call a nil value (global 'nope')", "\nnope()")
    is_faulty("DIR/script.lua:1: broken", "error 'broken'")
    is_faulty("DIR/script.lua: raised a table", "error {}")
    is_faulty("DIR/script.lua:1: assignment to the undeclared global 'x'; declare it local, or set it with "
      .. "rawset(_G, …)", "x = 1")
    local module = { ["part.lua"] = "\nlocal t = nil\nreturn t.x" }
    is_faulty("DIR/part.lua:3: attempt to index a nil value (local 't')", "require 'part'", nil, module)
    is_faulty("DIR/part.lua:1: unexpected symbol near <eof>", "require 'part'", nil,
      { ["part.lua"] = "x =" })
    assert.matches("^DIR/script.lua:1: module 'nowhere' not found:.*no source 'DIR/nowhere.lua'",
      judge("require 'nowhere'").fault)
    local long = ("long/"):rep(30)
    assert.are.equal(("DIR/%sscript.lua:1: no (service \"x\")"):format(long), judge("return print",
      ('listen = ":0" }\nservice "x" { script = "%sscript.lua"'):format(long), { [long
        .. "script.lua"] = "error 'no'" }).fault)
  end)

  it("lets nothing wait, and keeps nothing", function()
    is_faulty("DIR/script.lua:1: cannot wait here: no task is running", "require 'moonwire.task'.sleep(1)")
    assert.is_nil(judge([[
      local net, task = require "moonwire.net", require "moonwire.task"
      task.spawn(error, "this never runs")
      local listener = assert(net.listen "tcp://127.0.0.1:0")
      rawset(_G, "leftover", 1)
      return print]]).fault)
    assert.is_nil(rawget(_G, "leftover"))
  end)

  it("ends what computes for ever, whatever it catches", function()
    for _, text in ipairs {
      "while true do end", "while true do pcall(function() while true do end end) end",
      "local co = coroutine.wrap(function() while true do end end)\nwhile true do pcall(co) end",
    } do
      assert.matches("^DIR/script.lua:%d: computes for too long: is there an endless loop%?",
        judge(text, 'listen = ":0", limits = { cpu = "50ms" }').fault)
    end
  end)

  it("ends what takes more memory than the service may", function()
    assert.matches("^DIR/script.lua: not enough memory", judge("local t = {} for i = 1, 1e7 do t[i] = {} end",
      "limits = { memory = '8M' }").fault)
  end)

  it("has each script in a state of its own", function()
    local files = {
      ["other.lua"] = "assert(rawget(_G, 'mark') == nil) assert(package.loaded.part == nil) return print",
      ["part.lua"] = "",
    }
    local more = 'listen = ":0" }\nservice "two" { listen = ":0", script = "other.lua"'
    assert.is_nil(judge("rawset(_G, 'mark', 1) require 'part' return print", more, files).fault)
  end)

  it("sandboxes those of others", function()
    local sandboxed = 'listen = "tcp://127.0.0.1:0", sandbox = true'
    is_faulty("DIR/script.lua:1: attempt to index a nil value (global 'io')", "io.open 'x' return print",
      sandboxed)
    is_faulty("DIR/script.lua:1: computes for too long: is there an endless loop?", "while true do end",
      sandboxed .. ", limits = { cpu = '50ms' }")
    local result, path = judge("local p = require 'sub.part' assert(p.x == 1) return print", sandboxed,
      { ["sub/part.lua"] = "return { x = 1 }" })
    assert.is_nil(result.fault)
    assert.are.equal("return { x = 1 }", result.services[1].worker.sources[path .. "/sub/part.lua"])
  end)

  it("gives up rights between the config and the scripts", function()
    local here <close> = folder.new()
    here:write("echo.lua", place.ECHO)
    local path = here:write("moonwire.lua",
      'user, group = "nobody", "nogroup"\nservice "x" { script = "echo.lua" }')
    local given
    local result = probe.judge(path, function(...)
      given = { ... }
      return "become nobody: not allowed"
    end)
    assert.are.same({ "nobody", "nogroup" }, given)
    assert.are.equal(path .. ": become nobody: not allowed", result.fault)
  end)
end)

describe("the sources of a generation", function()
  local FILES <const> = {
    ["part.lua"] = "return 'part'", ["deep/init.lua"] = "return 'deep'",
      ["deep/inner.lua"] = "return 'inner'",
    ["unused.lua"] = "",
  }
  local TEXT <const> = "assert(require 'part' == 'part' and require 'deep' == 'deep')\n"
    .. "assert(require 'deep.inner' == 'inner')\nrequire 'moonwire.json'\nreturn print"

  it("are the texts of the script and of its own modules", function()
    local result, path = judge(TEXT, nil, FILES)
    local expected = { [path .. "/script.lua"] = TEXT }
    for _, name in ipairs { "part.lua", "deep/init.lua", "deep/inner.lua" } do
      expected[path .. "/" .. name] = FILES[name]
    end
    assert.are.same(expected, result.services[1].worker.sources)
    table.sort(result.files)
    assert.are.same({
      path .. "/deep/init.lua", path .. "/deep/inner.lua", path .. "/moonwire.lua", path .. "/part.lua",
      path .. "/script.lua",
    }, result.files)
  end)

  it("are told as files also when the script is wrong", function()
    local result, path = judge("require 'part'\nerror 'x'", nil, FILES)
    assert.are.same({ path .. "/moonwire.lua", path .. "/script.lua" }, table.move(result.files, 1, 2, 1, {}))
    assert.are.equal(path .. "/part.lua", result.files[3])
  end)

  -- Loads in a process of its own what was recorded, with other things on the disk.
  local function load_recorded(option, files)
    local here <close> = folder.new()
    for name, content in pairs(files) do
      here:write(name, content)
    end
    local _, output, errors = process.run {
      moonwire.binary, "run", option, "-e", [[
        local script = require "moonwire.script"
        local path = (...) .. "/script.lua"
        local chunk = assert(script.load { script = path, sources = {
          [path] = "#!/usr/bin/moonwire\nlocal part = require 'part'\nreturn function() return part end",
          [(...) .. "/part.lua"] = "return 'recorded'",
        } })
        io.stderr:write(chunk()())]], "--", here.path,
    }
    return output .. errors
  end

  it("are what a worker runs, whatever lies on the disk by then", function()
    local script = "--log-level=info"
    assert.are.equal("recorded", load_recorded(script, { ["part.lua"] = "return 'changed'" }))
    assert.are.equal("recorded", load_recorded(script, {}))
    assert.are.equal("recorded", load_recorded(script, { ["part/init.lua"] = "return 'another'" }))
  end)
end)

describe("what the supervisor is told", function()
  local function message_of(text)
    local here <close> = folder.new()
    here:write("echo.lua", place.ECHO)
    local path = here:write("moonwire.lua", text)
    return core.data.decode(probe.message(path, keep_rights)), here.path
  end

  it("is a message with a message for the workers in each service", function()
    local told, path = message_of [[
      workers = 4
      service "echo" {
        script = "echo.lua", workers = { 1, 3 }, settings = { a = { 1, 2.5, "x" } }, drain = "5s",
        listen = { "tcp://127.0.0.1:7000", { address = "unix:///run/x", mode = "660" } },
      }]]
    assert.is_nil(told.fault)
    assert.are.same({ 4, "/run/moonwire/control.sock", 30, "info" },
      { told.daemon.workers, told.daemon.control, told.daemon.drain, told.daemon.log.level })
    assert.are.same({ path .. "/moonwire.lua", path .. "/echo.lua" }, told.files)
    local service = told.services[1]
    local blob = core.data.decode(service.blob)
    service.blob = nil
    assert.are.same({
      name = "echo", workers = { 1, 3 }, drain = 5, listeners = {
        {
          address = "tcp://127.0.0.1:7000", kind = "stream",
          backlog = 4096, nodelay = true, keepalive = false, v6_only = false,
        },
        { address = "unix:///run/x", kind = "stream", backlog = 4096, mode = 432 },
      },
    }, service)
    assert.are.same({
      name = "echo", script = path .. "/echo.lua", settings = { a = { 1, 2.5, "x" } }, sandbox = false,
      processes = false, options = {}, drain = 5, allow = {}, deny = {}, proxies = {},
      proxy_timeout = 10,
      limits = {
        connections = 10000, per_address = 0, accept_rate = 0, accept_burst = 0, idle = 0, total = 0,
        memory = 1 << 30, cpu = 1,
      },
      sources = { [path .. "/echo.lua"] = place.ECHO },
    }, blob)
  end)

  it("is the fault, and what was read", function()
    local told, path = message_of "workers = 0"
    assert.are.same({
      fault = path .. '/moonwire.lua:1: workers: "auto" or an integer from 1 to 64 expected, got 0',
      files = { path .. "/moonwire.lua" },
    }, told)
  end)
end)

describe("moonwire check", function()
  local NOTE <const> = "moonwire: note: the config names no user: started by root, "
    .. "its scripts run as nobody\n"
  local NAMED <const> = 'user = "nobody" '

  local function check(text, files)
    local here <close> = folder.new()
    here:write("echo.lua", place.ECHO)
    for name, content in pairs(files or {}) do
      here:write(name, content)
    end
    local path = here:write("moonwire.lua", text)
    local status, output, errors = process.run { moonwire.binary, "check", "-c", path }
    local name = here.path:gsub("%p", "%%%0")
    return status, (output:gsub(name, "DIR")), (errors:gsub(name, "DIR"))
  end

  it("tells what a config that is good has", function()
    assert.are.same({ 0, "DIR/moonwire.lua: 0 services, 0 listeners: ok\n", "" }, { check(NAMED) })
    assert.are.same({ 0, "DIR/moonwire.lua: 1 service, 1 listener: ok\n", "" },
      { check(NAMED .. 'service "echo" { listen = "tcp://127.0.0.1:7000", script = "echo.lua" }') })
    assert.are.same({ 0, "DIR/moonwire.lua: 2 services, 3 listeners: ok\n", "" }, { check(NAMED .. [[
      service "a" { listen = { "tcp://127.0.0.1:1", "unix:///nowhere/x.sock" }, script = "echo.lua" }
      service "b" { listen = "tcp://127.0.0.1:2", script = "echo.lua" }]]) })
  end)

  it("has scripts judged as nobody for root when the config names no user", function()
    local here <close> = folder.new()
    local is_root = lfs.attributes(here.path, "uid") == 0
    local script = [[
      assert(not io.open("/proc/self/status"):read("a"):find "Uid:%s+0%s")
      return { start = print }]]
    local status, _, errors = check('service "x" { script = "x.lua" }', { ["x.lua"] = script })
    assert.are.same({ 0, is_root and NOTE or "" }, { status, errors })
  end)

  it("tells the fault of one that is not, on standard error, and fails", function()
    assert.are.same({ 1, "",
      "moonwire: DIR/moonwire.lua:1: unknown key 'workerz'; did you mean 'workers'?\n" },
      { check "workerz = 2" })
    assert.are.same({ 1, "", "moonwire: DIR/bad.lua:1: unexpected symbol near <eof> (service \"x\")\n" },
      { check(NAMED .. 'service "x" { script = "bad.lua" }', { ["bad.lua"] = "x =" }) })
    local status, output, errors = process.run { moonwire.binary, "check", "-c", "/nowhere.lua" }
    assert.are.same({ 1, "", "moonwire: /nowhere.lua: No such file or directory\n" }, { status, output,
      errors })
  end)
end)
