local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local session = require "spec.examples.session"

local function shell(command)
  return process.run { "sh", "-c", command }
end

local function python(code, ...)
  return process.run { "python3", "-c", code, ... }
end

describe("examples/rpc.lua", function()
  it("answers calls of its own client", function()
    local rpc <close> = session.start "rpc"
    local outputs = {}
    for i, command in ipairs(rpc.commands) do
      local status, output = shell(command)
      assert.are.equal(0, status)
      outputs[i] = output
    end
    assert.are.same({ "ok 42\n", "ok HELLO\n" }, outputs)
  end)

  it("answers wrong calls with an error", function()
    local rpc <close> = session.start "rpc"
    local _, output = shell(rpc.commands[1]:gsub("add 2 40", "add two"))
    assert.are.equal("error add takes numbers\n", (output:gsub("error .*: ", "error ")))
    _, output = shell(rpc.commands[1]:gsub("add 2 40", "divide 1 0"))
    assert.are.equal("error no such method\n", output)
  end)

  it("answers frames that Python packs, several in one piece", function()
    local rpc <close> = session.start "rpc"
    local status, output = python([[
import socket, struct, sys
def frame(text):
    return struct.pack(">I", len(text)) + text
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
peer.sendall(frame(b"add 1 2 3.5") + frame(b"") + frame(b"upper a b")[:7])
peer.sendall(frame(b"upper a b")[7:])
peer.shutdown(socket.SHUT_WR)
answers = b"".join(iter(lambda: peer.recv(4096), b""))
while answers:
    length, = struct.unpack(">I", answers[:4])
    print(answers[4:4 + length].decode())
    answers = answers[4 + length:] ]], rpc.servers[1].port)
    assert.are.same({ 0, "ok 6.5\nerror no such method\nok A B\n" }, { status, output })
  end)

  it("closes on a length that is too large, before the frame comes", function()
    local rpc <close> = session.start "rpc"
    local status, output = python([[
import socket, struct, sys
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
peer.sendall(struct.pack(">I", 65537))
print(peer.recv(1))]], rpc.servers[1].port)
    assert.are.same({ 0, "b''\n" }, { status, output })
    assert.are.equal(0, (shell(rpc.commands[1])))
  end)

  it("says as a client that there is no server", function()
    local server = "server=tcp://127.0.0.1:" .. session.free_port()
    local status, _, errors = process.run {
      moonwire.binary, "run", "examples/rpc.lua", "--set", server, "--", "add", 1,
    }
    assert.are.equal(1, status)
    assert.is_truthy(errors:find("connection refused", 1, true))
  end)
end)
