local config = require "moonwire.config"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local place = require "spec.config.place"
local process = require "spec.support.process"

local good, fault = place.good, place.fault

-- What is read in a process whose environment is another: Lua that is run with `whole` and `fault` there.
local function read_with(env, text, code)
  local here <close> = folder.new()
  here:write("moonwire.lua", text)
  local _, output, errors = process.run {
    moonwire.binary, "run", "-e", [[
      local config = require "moonwire.config"
      local whole, fault = config.read((...) .. "/moonwire.lua")
      io.write(tostring(]] .. (code or "fault") .. "))", "--", here.path, env = env,
  }
  return (output .. errors):gsub(here.path:gsub("%p", "%%%0"), "DIR")
end

describe("the world of a config", function()
  it("has a little of Lua, and nothing that reaches anything", function()
    local names = {}
    for _, name in ipairs {
      "os", "io", "debug", "package", "require", "load", "loadfile", "dofile", "setmetatable", "getmetatable",
      "rawset", "rawget", "rawequal", "rawlen", "pcall", "xpcall", "coroutine", "collectgarbage", "print",
        "utf8",
      "_G", "_VERSION", "moonwire", "arg", "warn",
    } do
      assert.matches("moonwire%.lua:1: there is no '" .. name .. "' in a config", fault("local x = " .. name))
      names[name] = _G[name] ~= nil
    end
    assert.is_true(names.os and names.load and names.utf8)
    good [[
      assert(tonumber("5") == 5 and tostring(5) == "5" and type({}) == "table" and select("#", 1, 2) == 2)
      assert(string.format("%d", 3) == "3" and ("x"):upper() == "X" and math.max(1, 2) == 2)
      assert(table.concat({ 1, 2 }, ",") == "1,2" and next({}) == nil)
      local n = 0
      for i in ipairs { 1, 2 } do n = n + i end
      for _ in pairs { a = 1 } do n = n + 1 end
      assert(n == 4)
    ]]
  end)

  it("cannot be changed", function()
    assert.matches("moonwire.lua:1: a library cannot be changed in a config", fault("string.upper = nil"))
    assert.matches("moonwire.lua:1: a library cannot be changed in a config", fault("math.x = 1"))
    assert.matches("'env' is a word of the config, and cannot be set", fault("env = 1"))
    assert.matches("'string' is a word of the config, and cannot be set", fault("string = {}"))
    assert.matches("DIR/moonwire.lua:1: %a+ to index a ", fault("('x').y.z = 1"))
    assert.are.equal("X", ("x"):upper())
  end)

  it("suggests a word for one that it does not have", function()
    assert.matches("there is no 'servic' in a config; did you mean 'service'%?", fault("servic 'x' {}"))
    assert.matches("there is no 'tonumer' in a config; did you mean 'tonumber'%?",
      fault("local x = tonumer '1'"))
    assert.matches("there is no 'os' in a config, which knows credential, env, include, service,",
      fault("os.exit()"))
  end)

  it("takes text only", function()
    assert.matches("DIR/moonwire.lua", fault("\27Lua"))
  end)

  it("has what is wrong with the Lua told with file and line", function()
    assert.are.equal("DIR/moonwire.lua:2: unexpected symbol near <eof>", fault("\nworkers ="))
    assert.are.equal("DIR/moonwire.lua:2: attempt to index a nil value (global 'metrics')",
      fault("\nmetrics.listen = 'x'"))
    assert.are.equal("DIR/moonwire.lua:1: no way", fault("error 'no way'"))
    assert.are.equal("DIR/moonwire.lua: raised a table", fault("error {}"))
    assert.are.equal("DIR/moonwire.lua:1: assertion failed!", fault("assert(false)"))
  end)

  it("has whole paths in what it is told, however long", function()
    local long = ("long/"):rep(30) .. "part.lua"
    for text, message in pairs { ["x ="] = "unexpected symbol near <eof>", ["error 'no'"] = "no" } do
      assert.are.equal(("DIR/%s:1: %s"):format(long, message), fault(("include %q"):format(long),
        { [long] = text }))
    end
  end)

  it("is left when it computes for ever", function()
    local expected = "DIR/moonwire.lua:2: computes for too long: is there an endless loop?"
    local text = "workers = 1\nwhile true do end"
    local output = read_with({}, text)
    assert.are.equal(expected, output:sub(1, #expected))
  end)

  it("is left when there is no such file", function()
    local whole, problem, files = config.read "/nowhere/moonwire.lua"
    assert.is_nil(whole)
    assert.are.equal("/nowhere/moonwire.lua: No such file or directory", problem)
    assert.are.same({ "/nowhere/moonwire.lua" }, files)
    assert.matches("^/tmp: Is a directory", (select(2, config.read "/tmp")))
  end)
end)

describe("include", function()
  it("reads files that fit a pattern, in the order of their names, beside the file that includes", function()
    local read, path = good("include 'conf.d/*.lua'", {
      ["conf.d/20-b.lua"] = "workers = 2 include 'deep/x.lua'", ["conf.d/10-a.lua"] = "workers = 1",
      ["conf.d/deep/x.lua"] = "workers = workers + 10", ["conf.d/.hidden.lua"] = "x =",
        ["conf.d/c.txt"] = "x =",
    })
    assert.are.equal(12, read.daemon.workers)
    for i, name in ipairs { "moonwire.lua", "conf.d/10-a.lua", "conf.d/20-b.lua", "conf.d/deep/x.lua" } do
      assert.are.equal(path .. "/" .. name, read.files[i])
    end
  end)

  it("takes a pattern that nothing fits, but no name of a file that is not there", function()
    good "include 'none/*.lua'"
    assert.are.equal("DIR/moonwire.lua:1: DIR/none.lua: No such file or directory",
      fault "include 'none.lua'")
    assert.matches("moonwire.lua:1: include: a path or a pattern .* expected, got 5$", fault "include(5)")
  end)

  it("takes absolute paths, and folders with odd names", function()
    local here <close> = folder.new()
    local path = here:write("a*[b]?/moonwire.lua", "include 'x*.lua'\ninclude 'y.lua'\ninclude '"
      .. here:write("z.lua", "drain = 3") .. "'")
    here:write("a*[b]?/x1.lua", "workers = 1")
    here:write("a*[b]?/y.lua", "stuck = 2")
    local daemon = assert(config.read(path)).daemon
    assert.are.same({ 1, 2, 3 }, { daemon.workers, daemon.stuck, daemon.drain })
  end)

  it("refuses circles", function()
    assert.are.equal("DIR/moonwire.lua:1: include: DIR/moonwire.lua includes itself",
      fault "include '*wire.lua'")
    assert.are.equal("DIR/b.lua:2: include: DIR/a.lua includes itself",
      fault("include 'a.lua'", { ["a.lua"] = "include 'b.lua'", ["b.lua"] = "\ninclude 'a.lua'" }))
    assert.matches("include: files are included more than 20 deep",
      fault("include './a/../moonwire.lua'", { ["a/x"] = "" }))
  end)

  it("says which files were read, also when one is wrong", function()
    local here <close> = folder.new()
    local part = here:write("part.lua", "x =")
    local path = here:write("moonwire.lua", "include 'part.lua'")
    local _, _, files = config.read(path)
    assert.are.same({ path, part }, files)
    here:write("part.lua", "workers = 'x'")
    _, _, files = config.read(path)
    assert.are.same({ path, part }, files)
  end)
end)

describe("env", function()
  it("gives a variable of the environment", function()
    assert.are.equal("/run/x", read_with({ SOCKET = "/run/x" }, "control = env 'SOCKET'",
      "whole.daemon.control"))
  end)

  it("gives the default when there is none", function()
    assert.are.equal("/run/y",
      read_with({ SOCKET = false }, "control = env('SOCKET', '/run/y')", "whole.daemon.control"))
    assert.are.equal(5, good("workers = env('MOONWIRE_NOT_SET', 5)").daemon.workers)
  end)

  it("gives a value of the type that the default has", function()
    assert.are.equal("3", read_with({ N = "3" }, "workers = env('N', 1)", "whole.daemon.workers"))
    assert.are.equal("table:true", read_with({ B = "true" }, [[
      local b = env("B", false)
      assert(b == true)]], "type(whole.daemon) .. ':' .. tostring(fault == nil)"))
    local message = "DIR/moonwire.lua:1: env: the variable %s must be a %s, as its default is, not %q"
    assert.are.equal(message:format("N", "number", "many"),
      read_with({ N = "many" }, "workers = env('N', 1)"))
    assert.are.equal(message:format("B", "boolean", "yes"),
      read_with({ B = "yes" }, "local b = env('B', true)"))
  end)

  it("is a fault when there is neither", function()
    assert.are.equal('DIR/moonwire.lua:2: env: the environment has no variable MOONWIRE_NOT_SET; set it, '
      .. 'or give a default: env("MOONWIRE_NOT_SET", "…")', fault "\nlocal x = env 'MOONWIRE_NOT_SET'")
    assert.matches("env: the name of a variable expected, got nothing", fault "local x = env()")
  end)
end)

describe("credential", function()
  it("gives what systemd has put into a file, without the last end of line", function()
    local here <close> = folder.new()
    here:write("token", "secret \n")
    here:write("two", "a\nb\n\n")
    local env = { CREDENTIALS_DIRECTORY = here.path }
    local text = "control = '/' .. credential 'token'\nassert(credential 'two' == 'a\\nb\\n')"
    assert.are.equal("[/secret ]", read_with(env, text, "'[' .. whole.daemon.control .. ']'"))
  end)

  it("is a fault when it is not there", function()
    local expected = "DIR/moonwire.lua:1: credential: token: there is no $CREDENTIALS_DIRECTORY; "
      .. "systemd sets it for a unit with LoadCredential=token:FILE"
    local text = "local x = credential 'token'"
    assert.are.equal(expected, read_with({ CREDENTIALS_DIRECTORY = false }, text))
    assert.matches("credential: /nowhere/token: No such file or directory; the unit needs LoadCredential=to",
      read_with({ CREDENTIALS_DIRECTORY = "/nowhere" }, text))
  end)

  it("takes a name, not a path", function()
    for _, name in ipairs { "../x", "/etc/passwd", "..", "." } do
      assert.are.equal(("DIR/moonwire.lua:1: credential: %s: a name expected, not a path"):format(name),
        read_with({ CREDENTIALS_DIRECTORY = "/etc" }, ("local x = credential %q"):format(name)))
    end
  end)
end)

describe("the path of the control socket", function()
  local function control(text)
    local here <close> = folder.new()
    return config.control(here:write("moonwire.lua", text))
  end

  it("is told without what only the daemon has, and whatever else is wrong", function()
    assert.are.equal("/run/moonwire/control.sock", control "workers = 0")
    assert.are.equal("/run/x.sock", control [[
      control = "/run/x.sock"
      service "x" { script = "none.lua", settings = { token = credential "token",
        secret = env "MOONWIRE_NOT_SET" } }
    ]])
  end)

  it("is a fault when it is wrong itself", function()
    local path, problem = control "control = 5"
    assert.is_nil(path)
    assert.matches("moonwire.lua:1: control: an absolute path", problem)
    assert.matches("unexpected symbol", (select(2, control "x =")))
  end)
end)

it("a config is found by a relative path, too", function()
  local here <close> = folder.new()
  local before = lfs.currentdir()
  here:write("moonwire.lua", "service 'echo' { script = 'echo.lua' }")
  here:write("echo.lua", place.ECHO)
  lfs.chdir(here.path)
  local whole, problem = config.read "moonwire.lua"
  lfs.chdir(before)
  assert(whole, problem)
  assert.are.same({ "moonwire.lua", "echo.lua" }, { whole.files[1], whole.services[1].script })
end)
