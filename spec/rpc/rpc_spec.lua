local frame = require "moonwire.frame"
local json = require "moonwire.json"
local net = require "moonwire.net"
local rpc = require "moonwire.rpc"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

local function start(methods, options)
  local client, server = net.pair()
  task.spawn(function()
    local conn <close> = server
    rpc.handler(methods, options)(conn)
  end)
  return client
end

describe("rpc", function()
  it("answers calls, also those that overtake others", function()
    local gate = sync.event()
    local client <close> = assert(rpc.connect(start {
      add = function(params) return params[1] + params[2] end,
      wait = function() gate:wait(20) return "late" end,
      open = function() gate:set() end,
    }))
    local slow = task.spawn(client.call, client, "wait")
    assert.are.equal(42, client:call("add", { 2, 40 }))
    assert.is_true(client:notify("open"))
    assert.are.equal("late", slow:join(20))
    assert.are.equal(json.null, client:call "open")
  end)

  it("tells errors of methods, and nothing of what they raise", function()
    local client <close> = assert(rpc.connect(start {
      deny = function() return nil, "not you", "denied" end,
      break_down = function() error("secret") end,
    }))
    assert.are.same({ n = 3, nil, "not you", "denied" }, table.pack(client:call "deny"))
    assert.are.same({ n = 3, nil, "no such method", "not_found" }, table.pack(client:call "x"))
    assert.are.same({ n = 3, nil, "internal error", "error" }, table.pack(client:call "break_down"))
  end)

  it("gives up after the timeout, and drops the reply that comes later", function()
    local gate = sync.event()
    local client <close> = assert(rpc.connect(start {
      wait = function() gate:wait(20) return 1 end, ping = function() return 2 end,
    }))
    assert.are.equal("timeout", select(3, client:call("wait", nil, { timeout = 0.01 })))
    gate:set()
    assert.are.equal(2, client:call "ping")
  end)

  it("keeps messages within the limit, both ways", function()
    local client <close> = assert(rpc.connect(start({
      long = function() return ("x"):rep(2000) end,
    }, { max = 1000 }), { max = 1500 }))
    assert.are.equal("too_large", select(3, client:call "long"))
    assert.are.equal("too_large", select(3, client:call("long", ("x"):rep(1600))))
  end)

  it("refuses another version, and what is no message", function()
    for bytes, code in pairs { ['{"rpc":2}'] = "version" } do
      local conn <close> = start {}
      frame.write(conn, bytes)
      assert.are.equal(code, json.decode(assert(frame.read(conn))).error.code)
      assert.are.equal("eof", select(3, frame.read(conn)))
    end
    for _, bytes in ipairs { "", "x", "1", "[]", '{"method":1}', '{"method":"a","id":{}}' } do
      local conn <close> = start {}
      frame.write(conn, '{"rpc":1}')
      assert(frame.read(conn))
      frame.write(conn, bytes)
      local answer = frame.read(conn)
      assert.is_true(answer == nil or json.decode(answer).error.code == "invalid")
    end
  end)

  it("tells those who wait that the server has gone", function()
    local conn, server = net.pair()
    task.spawn(function()
      assert(frame.read(server))
      frame.write(server, '{"rpc":1}')
      assert(frame.read(server))
      server:close()
    end)
    local client <close> = assert(rpc.connect(conn))
    assert.is_nil((client:call "x"))
    assert.are.equal("closed", select(3, client:call "x"))
  end)
end)
