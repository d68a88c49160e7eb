local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"
local timer = require "moonwire.timer"

local function shell(command)
  return process.run { "sh", "-c", command }
end

describe("examples/fetch.lua", function()
  local fetch = { moonwire.binary, "run", "examples/fetch.lua", "--" }

  local function run(...)
    return process.run(table.move({ ... }, 1, select("#", ...), #fetch + 1, { table.unpack(fetch) }))
  end

  it("fetches from the web server of its header", function()
    local here = session.new { ["8000"] = session.free_port() }
    local commands = session.commands "examples/fetch.lua"
    local web <close> = terminal.open(here:translate(commands[2]))
    local address = "127.0.0.1:" .. here.ports["8000"]
    condition.wait_until(function()
      local conn <close> = net.connect(address)
      return conn
    end, 10, "the web server does not start")
    local status, output = shell(here:translate(commands[3]))
    assert.are.equal(0, status)
    local lines = {}
    for line in output:gmatch("[^\n]+") do
      lines[#lines + 1] = line:gsub("%d+ bytes in %d+%.%d%d%d s$", "N bytes in S s")
    end
    assert.are.same({
      address .. ": 200, N bytes in S s",
      address:gsub("127.0.0.1", "localhost") .. ": 200, N bytes in S s",
      "127.0.0.1:9: connect 127.0.0.1:9: connection refused",
    }, lines)
    assert.is_nil(web.process:status())
  end)

  it("tells apart a good answer, a bad one and none, within one deadline", function()
    local function silent(conn)
      conn:read_all()
    end
    local one = assert(net.serve("tcp://127.0.0.1:0", silent)):local_address()
    local other = assert(net.serve("tcp://127.0.0.1:0", silent)):local_address()
    local good = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      conn:read_until("\r\n\r\n")
      conn:write("HTTP/1.0 404 Not Found\r\n\r\n")
    end)):local_address()
    local bad = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      conn:write("220 mail.example\r\n")
      conn:read_until("\r\n\r\n")
    end)):local_address()
    local begun = timer.now()
    local status, output = run(one, good, bad, other)
    assert.are.equal(0, status)
    local expected = one .. ": no answer within 3 s\n" .. good .. ": 404, 26 bytes\n"
      .. bad .. ": this is not HTTP\n" .. other .. ": no answer within 3 s\n"
    assert.are.equal(expected, (output:gsub(" in %d+%.%d+ s\n", "\n")))
    assert.is_true(timer.now() - begun < 5.5)
  end)
end)
