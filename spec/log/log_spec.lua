local folder = require "spec.support.folder"
local log = require "moonwire.log"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"

local function run(code, ...)
  local _, errors = moonwire.run { code = code, options = { ... } }
  return errors
end

-- Entries as Python's json module reads them: one "key=repr" a line.
local function parse_json(text)
  local status, output, errors = process.run {
    "python3", "-c", [[
import json, sys
for line in sys.stdin:
    entry = json.loads(line)
    print(" ".join("%s=%r" % (k, entry[k]) for k in sorted(entry) if k != "time"))]],
    input = text,
  }
  assert.are.equal(0, status, errors)
  return output
end

describe("an entry", function()
  it("has moment, level, message, where it comes from, and its fields in order", function()
    local entry = run [[
      require "moonwire.log".warn("disk is filling", { used = 91, path = "/var", full = false })]]
    assert.is_truthy(entry:find(
      "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ warn  disk is filling service=script task=1 "
        .. "full=false path=/var used=91\n$"), entry)
  end)

  it("quotes and escapes what would break the line", function()
    local entry = run [[require "moonwire.log".info("a\nb", { value = 'two words "x"\r\n\27[31m' })]]
    local _, lines = entry:gsub("\n", "")
    assert.are.equal(1, lines)
    assert.is_truthy(entry:find([[a\nb]], 1, true), entry)
    assert.is_nil(entry:find("\27", 1, true))
  end)

  it("is cut at its limit, not lost", function()
    local entry = run [[require "moonwire.log".info("big", { value = ("x"):rep(100000) })]]
    assert.is_truthy(#entry > 4000 and #entry < 20000)
    assert.is_truthy(entry:find("big", 1, true))
  end)

  it("knows the connection and the task, also in a task that the handler started", function()
    local server <close> = moonwire.serve [[
      local log, task = require "moonwire.log", require "moonwire.task"
      return function(conn)
        log.info("outer")
        task.spawn(function() log.info("inner") end):join()
      end]]
    local conn <close> = assert(net.connect(server.address))
    conn:read_all()
    local client = conn:local_address()
    for _, message in ipairs { "outer", "inner" } do
      local line = server:wait_for_log(" " .. message .. " ")
      assert.is_truthy(line:find("service=script connection=" .. client .. " task=", 1, true), line)
    end
    local outer, inner = server:log():match "outer .-task=(%d+).-inner .-task=(%d+)"
    assert.are_not.equal(outer, inner)
  end)

  it("is a JSON object with --log-format json", function()
    local entries = run([[
      local log = require "moonwire.log"
      log.info("début \"x\"\n", { n = 1.5, flag = true, text = "1", bytes = "\255\1" })
      local t = nil; t.x = 1]], "--log-format", "json")
    local parsed = parse_json(entries)
    assert.is_truthy(parsed:find([[flag=True level='info' message='début "x"\n' n=1.5 service=]], 1, true))
    assert.is_truthy(parsed:find("service='script' task=1 text='1'", 1, true), parsed)
    assert.is_truthy(parsed:find("level='error' message=.- traceback="), parsed)
  end)
end)

describe("levels", function()
  local CODE <const> = [[
    local log = require "moonwire.log"
    log.debug("one") log.info("two") log.warn("three") log.error("four")]]

  it("leave out what is below", function()
    for level, expected in pairs {
      debug = "one two three four", info = "two three four", warn = "three four", error = "four",
    } do
      local words = {}
      for word in run(CODE, "--log-level", level):gmatch "Z %a+ +(%a+)" do
        words[#words + 1] = word
      end
      assert.are.equal(expected, table.concat(words, " "))
    end
  end)

  it("can be asked and set by a script", function()
    local before = log.get_level()
    log.set_level "error"
    assert.are.equal("error", log.get_level())
    assert.is_false(log.is_enabled "warn")
    assert.is_true(log.is_enabled "error")
    log.set_level(before)
  end)
end)

describe("a log file", function()
  it("is appended to", function()
    local place <close> = folder.new()
    local path = place:write("moonwire.log", "before\n")
    local errors = run([[require "moonwire.log".info("into the file")]], "--log-file", path)
    assert.are.equal("", errors)
    local file <close> = assert(io.open(path))
    local text = file:read "a"
    assert.is_truthy(text:find("^before\n.- into the file service=script"), text)
  end)

  it("that cannot be opened ends the start with the reason", function()
    local path = "/no/such/folder/x"
    local status, _, errors = process.run { moonwire.binary, "run", "-e", "", "--log-file", path }
    assert.are.equal(2, status)
    assert.is_truthy(errors:find("--log-file " .. path .. ": No such file or directory", 1, true), errors)
  end)
end)

describe("misuse", function()
  it("raises and blames the caller", function()
    for _, case in ipairs {
      { function() log.info() end, "string expected" },
      { function() log.info("x", 1) end, "table expected" },
      { function() log.info("x", { [1] = 1 }) end, "field names must be strings" },
      { function() log.set_level "loud" end, '"debug", "info", "warn" or "error" expected' },
    } do
      local ok, message = pcall(case[1])
      assert.is_false(ok)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end
  end)
end)

describe("a fault of the world that ends a task", function()
  it("is one info entry without a traceback", function()
    local server <close> = moonwire.serve {
      code = [[return function(conn) for line in conn:lines { max = 10 } do conn:write(line) end end]],
    }
    local conn <close> = assert(net.connect(server.address))
    conn:write(("x"):rep(100))
    conn:read_all()
    local line = server:wait_for_log "too_large"
    assert.is_truthy(line:find("Z info  ", 1, true), line)
    assert.is_nil(server:log():find("\n\t", 1, true))
  end)
end)
