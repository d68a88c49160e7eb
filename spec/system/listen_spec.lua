local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local peer = require "spec.system.peer"
local vitals = require "spec.system.vitals"

-- Opens and closes listeners as the lines of a connection say.
local SCRIPT <const> = [[
local net = require "moonwire.net"
local listener

local function echo(conn)
  for line in conn:lines() do
    conn:write(line, "\n")
  end
end

local commands = {
  open = function(address)
    local opened, err = net.serve(address, echo)
    listener = opened and opened:keep()
    return opened and opened:local_address() or err
  end,
  close = function()
    listener:close()
    return "closed"
  end,
}

return {
  start = dofile "spec/fixtures/status.lua",
  connect = function(conn)
    for line in conn:lines() do
      local word, rest = line:match("^(%S+) ?(.*)$")
      conn:write(commands[word](rest), "\n")
    end
  end,
}]]

describe("a listener that is opened and closed at run time", function()
  local function command(server, ...)
    local conn <close> = assert(net.connect(server.address))
    assert(conn:write(table.concat({ ... }, " "), "\n"))
    return (assert(conn:read_line()))
  end

  local function say(conn, text)
    assert(conn:write(text, "\n"))
    return conn:read_line()
  end

  it("leaves its connections alone, and the same port can be opened again", function()
    local server <close> = moonwire.serve(SCRIPT)
    local baseline = vitals.status(server)
    local address = "tcp://" .. command(server, "open", "tcp://127.0.0.1:0")
    local conns = {}
    for round = 1, 5 do
      conns[round] = assert(net.connect(address))
      assert.are.equal("hello", say(conns[round], "hello"))
      assert.are.equal("closed", command(server, "close"))
      assert.are.equal("refused", select(3, net.connect(address)))
      assert.are.equal(address, "tcp://" .. command(server, "open", address))
    end
    for round, conn in ipairs(conns) do
      assert.are.equal("still " .. round, say(conn, "still " .. round))
      conn:close()
    end
    assert.are.equal("closed", command(server, "close"))
    vitals.await_baseline(server, baseline)
  end)

  it("says what is wrong with an address that is in use, and goes on", function()
    local server <close> = moonwire.serve(SCRIPT)
    local answer = command(server, "open", server.address)
    assert.matches("listen 127%.0%.0%.1:%d+: address already in use", answer)
    local address = "tcp://" .. command(server, "open", "tcp://127.0.0.1:0")
    assert.is_true(peer.echo(address) < 1)
  end)

  it("is there after the connection that opened it has gone, until the server stops", function()
    local server <close> = moonwire.serve(SCRIPT)
    local address = "tcp://" .. command(server, "open", "tcp://127.0.0.1:0")
    local conn <close> = assert(net.connect(address))
    assert.are.equal("hello", say(conn, "hello"))
    server.process:signal "TERM"
    assert.are.equal(0, server.process:wait(2))
    assert.are.equal("eof", select(3, conn:read(1)))
    condition.wait_until(function()
      local late <close>, _, code = net.connect(address)
      return not late and code == "refused"
    end)
  end)
end)
