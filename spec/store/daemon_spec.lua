-- The default store in a daemon, and with `moonwire run --store`.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"

-- Answers with the worker, and what it did with the number of the line: "incr name", "get name", "set name
-- text".
local SCRIPT <const> = [[
local store = require "moonwire.store"
return { connect = function(conn, ctx)
  for line in conn:lines() do
    local verb, key, text = line:match "^(%S+) (%S+) ?(.*)$"
    local result, err, code = store[verb](key, verb == "set" and text or nil)
    conn:write(tostring(ctx.worker), " ", tostring(result or code), "\n")
  end
end }
]]

-- Has more keys than operators are told of.
local MANY <const> = [[
local store, task = require "moonwire.store", require "moonwire.task"
return { start = function()
  for i = 1, 20100 do
    assert(store.set("key/" .. i, i))
    if i % 100 == 0 then task.yield() end
  end
end }
]]

local function ask(address, line)
  local conn <close> = assert(net.connect(address, { read_timeout = 30 }))
  assert(conn:write(line, "\n"))
  return assert(conn:read_line()):match "^(%S+) (.*)$"
end

-- Connections until both workers have answered.
local function ask_both(address, line)
  local answers = {}
  condition.wait_until(function()
    local worker, answer = ask(address, line)
    answers[worker] = answer
    return answers["1"] and answers["2"]
  end, 30)
  return answers
end

local CONFIG <const> = [[
store = "%s"
service "keys" { script = "keys.lua", listen = "tcp://127.0.0.1:0" }
]]

local function start(url)
  return daemon.start { scripts = { ["keys.lua"] = SCRIPT }, config = CONFIG:format(url) }
end

describe("the default store of a daemon", function()
  it("is shared by workers and generations, and gone with the daemon", function()
    local running <close> = start "lmdb:"
    local address = running:address "keys"
    assert.are.equal("true", select(2, ask(address, "set text hello")))
    assert.are.same({ ["1"] = "hello", ["2"] = "hello" }, ask_both(address, "get text"))
    for i = 1, 20 do
      assert.are.equal(tostring(i), select(2, ask(address, "incr count")))
    end
    assert.is_true(running:reload().ok)
    assert.are.equal("21", select(2, ask(address, "incr count")))
    assert.are.equal("directory", lfs.attributes(running.folder.path .. "/control.store", "mode"))
    running.process:signal "TERM"
    condition.wait_until(function() return running.process:status() end, 20)
    assert.is_nil(lfs.attributes(running.folder.path .. "/control.store"))
  end)

  it("outlives a worker that is killed", function()
    local running <close> = start "lmdb:"
    local address = running:address "keys"
    ask(address, "set text hello")
    for _, worker in ipairs(running:ask({ command = "status" }).workers) do
      os.execute(("kill -9 %d"):format(worker.pid))
    end
    local answer = condition.wait_until(function()
      local ok, _, text = pcall(ask, address, "get text")
      return ok and text
    end, 30)
    assert.are.equal("hello", answer)
  end)

  it("is told of in the status and in the metrics", function()
    local running <close> = start "lmdb:?size=2M"
    local path = running.folder.path .. "/control.store"
    local _, output = running:run "status"
    local line = ("store       lmdb %s, gone with the daemon; not in use\n"):format(path)
    assert.is_truthy(output:find(line, 1, true), output)
    ask(running:address "keys", "incr count")
    _, output = running:run "status"
    assert.is_truthy(output:find("gone with the daemon; 1 keys, 4.0K of 2.0M\n", 1, true), output)
    local text = running:ask({ command = "metrics" }).text
    assert.is_truthy(text:find 'moonwire_store_used_bytes{worker="%d"} 4096\n')
    assert.is_truthy(text:find 'moonwire_store_limit_bytes{worker="%d"} 2097152\n')
  end)

  it("has its keys counted up to 20,000", function()
    local running <close> = daemon.start {
      workers = 1, scripts = { ["many.lua"] = MANY }, config = 'service "many" { script = "many.lua" }',
    }
    local _, output = running:run "status"
    assert.is_truthy(output:find("; 20000+ keys, ", 1, true), output)
  end)

  it("is told of without its password", function()
    local running <close> = start "redis://ann:secret@localhost:1/2?prefix=x"
    local _, output = running:run "status"
    assert.is_truthy(output:find("store       redis localhost:1/2\n", 1, true), output)
    assert.is_nil(output:find "secret")
  end)

  it("is kept where the config says, and be the daemon killed", function()
    local place <close> = folder.new()
    assert(os.execute(("chmod 711 %s"):format(place.path)))
    local url = "lmdb://" .. place.path .. "/keys?size=2M"
    local first = start(url)
    assert.are.equal("1", select(2, ask(first:address "keys", "incr count")))
    first.process:signal "KILL"
    condition.wait_until(function() return first.process:status() end, 20)
    first:stop()
    local second <close> = start(url)
    assert.are.equal("2", select(2, ask(second:address "keys", "incr count")))
  end)

  it("needs a restart to be another", function()
    local running <close> = start "lmdb:"
    running:configure(CONFIG:format("lmdb:?size=1M"))
    assert.is_true(running:reload().ok)
    running:wait_for_log("store or log.format take effect with a restart only", 20)
  end)
end)

describe("moonwire run", function()
  it("has a store in memory, or where --store says", function()
    local place <close> = folder.new()
    local url = "lmdb://" .. place.path .. "/keys"
    local code = [[io.write(require "moonwire.store".incr "count")]]
    for i, expected in ipairs { "1", "2" } do
      local status, errors, output = moonwire.run { code = code, options = { "--store", url } }
      assert.are.same({ 0, "", expected }, { status, errors, output }, "run " .. i)
    end
    local _, _, output = moonwire.run { code = code }
    assert.are.equal("1", output)
    local status, errors = moonwire.run { code = code, options = { "--store", "nosuch:" } }
    assert.are.equal(1, status)
    assert.is_truthy(errors:find("open store nosuch:: there is no store of the kind 'nosuch:'", 1, true))
    status, errors = moonwire.run { code = code, options = { "--store", "lmdb:" } }
    assert.are.equal(1, status)
    assert.is_truthy(errors:find("it has no path", 1, true))
  end)
end)
