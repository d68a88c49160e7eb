local condition = require "spec.support.condition"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local session = require "spec.examples.session"

local function serve(program)
  return moonwire.serve { script = "examples/filter.lua", options = { "--set", "program=" .. program } }
end

describe("examples/filter.lua", function()
  it("sorts what it is sent", function()
    local server <close> = session.start "filter"
    assert.are.same({ 0, "apple\npear\n", "" }, { process.run { "sh", "-c", server.commands[1] } })
  end)

  it("carries more than any buffer holds", function()
    local server <close> = serve "cat"
    local command = "head -c 3000000 /dev/zero | nc -N 127.0.0.1 %d | wc -c"
    assert.are.same({ 0, "3000000\n", "" }, { process.run { "sh", "-c", command:format(server.port) } })
  end)

  it("tells of a program that fails, and that there is none", function()
    local server <close> = serve "/bin/false"
    local conn <close> = assert(net.connect(server.address))
    conn:shutdown_write()
    assert.are.equal("", conn:read_all())
    server:wait_for_log "warn  the program failed .*status=1"
    local other <close> = serve "no-such-program"
    local another <close> = assert(net.connect(other.address))
    assert.are.equal("spawn no-such-program: no such file or directory\n", another:read_all())
  end)

  it("ends the program when the client breaks off", function()
    local server <close> = serve "cat"
    local conn <close> = assert(net.connect(server.address))
    conn:write("hello\n")
    assert.are.equal("hello", conn:read_line())
    local children = ("/proc/%d/task/%d/children"):format(server.process:pid(), server.process:pid())
    local function running()
      local file <close> = assert(io.open(children))
      return file:read("a") ~= ""
    end
    assert.is_true(running())
    conn:abort()
    condition.wait_until(function() return not running() end)
  end)
end)
