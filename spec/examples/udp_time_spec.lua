local process = require "spec.support.process"
local session = require "spec.examples.session"

local function shell(command)
  return process.run { "sh", "-c", command }
end

local function python(code, ...)
  return process.run { "python3", "-c", code, ... }
end

describe("examples/udp_time.lua", function()
  it("tells the time", function()
    local time <close> = session.start "udp_time"
    local before = os.date "!%Y-%m-%dT%H:%M:%SZ\n"
    local status, output = shell(time.commands[1])
    assert.are.equal(0, status)
    assert.is_truthy(output:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ\n$"), output)
    assert.is_true(output >= before and output <= os.date "!%Y-%m-%dT%H:%M:%SZ\n", output)
  end)

  it("does not answer what could be an answer", function()
    local time <close> = session.start "udp_time"
    local status, output = python([[
import socket, sys
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.settimeout(5)
peer.connect(("127.0.0.1", int(sys.argv[1])))
peer.send(b"2026-11-22T15:00:00Z\n")
for turn in range(2):
    peer.send(b"\n")
    print(len(peer.recv(100)))
peer.setblocking(False)
try:
    print(peer.recv(100))
except BlockingIOError:
    print("no more")]], time.servers[1].port)
    assert.are.same({ 0, "21\n21\nno more\n" }, { status, output })
  end)
end)
