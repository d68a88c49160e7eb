local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local peer = require "spec.system.peer"
local process = require "spec.support.process"
local vitals = require "spec.system.vitals"

-- A neighbour talks all the time; whoever says "download" is written to until that fails.
local SCRIPT <const> = [[
local log = require "moonwire.log"
local function download(conn)
  local piece, ok, err, code = ("x"):rep(16384), true, nil, nil
  while ok do
    ok, err, code = conn:write(piece)
  end
  log.info("failed", { err = err, code = code })
end
return {
  start = dofile "spec/fixtures/status.lua",
  connect = function(conn)
    for line in conn:lines() do
      if line == "download" then
        return download(conn)
      elseif line == "quiet download" then
        while conn:write(("x"):rep(16384)) do
        end
        return
      elseif line == "read" then
        conn:write("reading")
        return log.info("failed", { result = table.concat({ select(2, conn:read_line()) }, " ") })
      elseif line == "chunks" then
        conn:write("reading")
        for _ in conn:chunks() do
        end
      end
      conn:write(line, "\n")
    end
  end,
}]]

local function entries(server)
  local count = 0
  for line in server:log():gmatch("[^\n]+") do
    if not line:find(" listening ", 1, true) then
      count = count + 1
    end
  end
  return count
end

describe("a connection that the peer resets", function()
  local function ends_with(server, baseline, neighbour, count)
    vitals.await_baseline(server, baseline)
    assert(neighbour:write("still fine\n"))
    assert.are.equal("still fine", neighbour:read_line(100))
    assert.is_nil(server.process:status())
    assert.are.equal(count, entries(server), server:log())
    assert.is_nil(server:log():find(" error ", 1, true))
  end

  local function run(word, count, pattern)
    local server <close> = moonwire.serve(SCRIPT)
    local neighbour <close> = assert(net.connect(server.address))
    assert(neighbour:write("hello\n"))
    assert.are.equal("hello", neighbour:read_line(100))
    local baseline = vitals.status(server)
    local client <close> = peer.start("reset", server.port, word)
    assert.are.equal(0, client:wait())
    if pattern then
      assert.matches(pattern, server:wait_for_log(pattern))
    end
    ends_with(server, baseline, neighbour, count)
  end

  it("in mid-write is told to its handler, and to nobody else", function()
    run("download", 1, "failed .-code=reset err=reset")
  end)

  it("says nothing in the log when the handler takes it as the end", function()
    run("quiet download", 0)
  end)

  it("is told to a handler that reads", function()
    run("read", 1, 'failed .-result="reset reset"')
  end)

  it("is one entry when the handler's loop dies of it", function()
    run("chunks", 1, " info  reset .-connection=127%.0%.0%.1:%d+")
  end)

  it("costs nobody else an answer when there are hundreds of them", function()
    local server <close> = moonwire.serve(SCRIPT)
    peer.echo(server.address)
    local baseline = vitals.status(server)
    for _ = 1, 200 do
      local conn = assert(net.connect(server.address))
      assert(conn:write("quiet download\n"))
      assert(conn:read(1))
      conn:abort()
    end
    assert.are.same({ 0, "fine\n", "" }, {
      process.run { "nc", "-N", "127.0.0.1", server.port, input = "fine\n" },
    })
    vitals.await_baseline(server, baseline)
    assert.are.equal(0, entries(server), server:log())
  end)
end)
