-- A reload when a file is saved, in the ways that editors have.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local lfs = require "lfs"
local net = require "moonwire.net"
local task = require "moonwire.task"

local VERSION <const> = [[return function(conn) conn:write("%s\n") end]]
local WITH_MODULE <const> = [[local words = require "words"
return function(conn) conn:write(words.greeting, "\n") end]]

local FURTHER <const> = [[
service "%s" { script = "../a.lua", listen = "tcp://127.0.0.1:0", settings = { word = "%s" } }]]

local function greeting(address)
  local conn <close> = net.connect(address, { read_timeout = 5 })
  return conn and conn:read_line()
end

local function await_greeting(d, name, text)
  condition.wait_until(function() return greeting(d:address(name)) == text end, 10, function()
    return ("%q is not served; the log:\n%s\n"):format(text, d:log())
  end)
end

local function reloads(d)
  return d:ask({ command = "status" }).reloads
end

-- Until no reload has begun for a while.
local function await_rest(d)
  local seen, same = nil, 0
  condition.wait_until(function()
    local now = reloads(d)
    local sum = now.done + now.failed
    same = sum == seen and same + 1 or 0
    seen = sum
    task.sleep(0.02)
    return same > 15
  end, 10)
  return reloads(d)
end

local function start(scripts, config)
  return daemon.start { scripts = scripts, config = config, options = { "--watch" }, workers = 1 }
end

local function rename(d, from, to)
  assert(os.rename(d.folder.path .. "/" .. from, d.folder.path .. "/" .. to))
end

describe("moonwire start --watch", function()
  it("reloads when a script is written in place", function()
    local d <close> = start { ["a.lua"] = VERSION:format "one" }
    d.folder:write("a.lua", VERSION:format "two")
    await_greeting(d, "a", "two")
    d.folder:write("a.lua", VERSION:format "three")
    await_greeting(d, "a", "three")
    assert.same({ 2, 0 }, { await_rest(d).done, reloads(d).failed })
  end)

  it("reloads when a script is replaced by renaming, again and again", function()
    local d <close> = start { ["a.lua"] = VERSION:format "one" }
    for _, word in ipairs { "two", "three", "four" } do
      d.folder:write(".a.lua.new", VERSION:format(word))
      rename(d, ".a.lua.new", "a.lua")
      await_greeting(d, "a", word)
    end
  end)

  it("reloads when vim saves: backup by renaming, then a new file of the old name", function()
    local d <close> = start { ["a.lua"] = VERSION:format "one" }
    for _, word in ipairs { "two", "three" } do
      d.folder:write(".a.lua.swp", "of the editor")
      d.folder:write("4913", "") -- whether files can be made here
      os.remove(d.folder.path .. "/4913")
      rename(d, "a.lua", "a.lua~")
      d.folder:write("a.lua", VERSION:format(word))
      os.remove(d.folder.path .. "/a.lua~")
      await_greeting(d, "a", word)
    end
    assert.equal(0, await_rest(d).failed)
  end)

  it("reloads when what a link leads to is saved, and when the link leads elsewhere", function()
    local d <close> = start({ ["a.lua"] = VERSION:format "zero" })
    d.folder:write("real/a.lua", VERSION:format "one")
    d.folder:write("other/a.lua", VERSION:format "three")
    assert(lfs.link("real", d.folder.path .. "/current", true))
    d:configure [[service "b" { script = "current/a.lua", listen = "tcp://127.0.0.1:0" }]]
    d:wait_for_log "service=b"
    await_greeting(d, "b", "one")
    d.folder:write("real/a.lua", VERSION:format "two")
    await_greeting(d, "b", "two")
    assert(lfs.link("other", d.folder.path .. "/current.new", true))
    rename(d, "current.new", "current")
    await_greeting(d, "b", "three")
    d.folder:write("other/a.lua", VERSION:format "four")
    await_greeting(d, "b", "four")
  end)

  it("reloads when a module is saved that a script requires", function()
    local d <close> = start({ ["a.lua"] = WITH_MODULE, ["words.lua"] = [[return { greeting = "one" }]] },
      [[service "a" { script = "a.lua", listen = "tcp://127.0.0.1:0" }]])
    await_greeting(d, "a", "one")
    d.folder:write("words.lua", [[return { greeting = "two" }]])
    await_greeting(d, "a", "two")
  end)

  it("reloads when the config or a file that it includes is saved, or a further one comes", function()
    local d <close> = start({
      ["a.lua"] = [[return function(conn, ctx) conn:write(ctx.config.word, "\n") end]],
      ["conf.d/b.lua"] = FURTHER:format("b", "b1"),
    }, [[
service "a" { script = "a.lua", listen = "tcp://127.0.0.1:0", settings = { word = "a1" } }
include "conf.d/*.lua"]])
    await_greeting(d, "b", "b1")
    d.folder:write("conf.d/b.lua", FURTHER:format("b", "b2"))
    await_greeting(d, "b", "b2")
    d:configure [[
service "a" { script = "a.lua", listen = "tcp://127.0.0.1:0", settings = { word = "a2" } }
include "conf.d/*.lua"]]
    await_greeting(d, "a", "a2")
    d.folder:write("conf.d/c.lua", FURTHER:format("c", "c1"))
    d:wait_for_log "service=c"
    await_greeting(d, "c", "c1")
  end)

  it("makes one or two reloads of a burst of saves", function()
    local d <close> = start { ["a.lua"] = VERSION:format "one", ["b.lua"] = VERSION:format "one" }
    for i = 1, 10 do
      d.folder:write("a.lua", VERSION:format(i))
      d.folder:write("b.lua", VERSION:format(i))
    end
    await_greeting(d, "a", "10")
    await_greeting(d, "b", "10")
    local count = await_rest(d).done
    assert.is_true(count >= 1 and count <= 2, tostring(count))
  end)

  it("serves on when what was saved is broken, says so, and takes the next good one", function()
    local d <close> = start({ ["a.lua"] = WITH_MODULE, ["words.lua"] = [[return { greeting = "one" }]] },
      [[service "a" { script = "a.lua", listen = "tcp://127.0.0.1:0" }]])
    d.folder:write("a.lua", "return function(conn")
    d:wait_for_log "nothing was reloaded: .*a%.lua:1"
    assert.equal("one", greeting(d:address "a"))
    os.remove(d.folder.path .. "/a.lua")
    d:wait_for_log "there is no file .*a%.lua"
    d.folder:write("a.lua", VERSION:format "two")
    await_greeting(d, "a", "two")
    d.folder:write("a.lua", WITH_MODULE)
    await_greeting(d, "a", "one")
    d.folder:write("words.lua", "return {")
    d:wait_for_log "nothing was reloaded: .*words%.lua:1"
    d.folder:write("words.lua", [[return { greeting = "three" }]])
    await_greeting(d, "a", "three")
  end)

  it("takes no notice of files that are not the daemon's", function()
    local d <close> = start { ["a.lua"] = VERSION:format "one" }
    d.folder:write("notes.txt", "x")
    d.folder:write(".a.lua.swp", "x")
    d.folder:write("#a.lua#", "x")
    d.folder:write("a.lua~", "x")
    assert.same({ 0, 0 }, { await_rest(d).done, reloads(d).failed })
  end)
end)
