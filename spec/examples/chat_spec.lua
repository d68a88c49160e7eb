local condition = require "spec.support.condition"
local net = require "moonwire.net"
local process = require "spec.support.process"
local session = require "spec.examples.session"
local task = require "moonwire.task"
local terminal = require "spec.examples.terminal"
local timer = require "moonwire.timer"

describe("examples/chat.lua", function()
  local function enter(chat, name)
    local person = terminal.open(chat.commands[1])
    person:sees "Your nickname?"
    person:type(name)
    person:sees "* here: "
    return person
  end

  local function wait_for_line(conn, text)
    for line in conn:lines() do
      if line == text then
        return true
      end
    end
  end

  it("is a room: who talks is heard by the others", function()
    local chat <close> = session.start "chat"
    local ann <close> = enter(chat, "ann")
    ann:sees "* here: ann\n"
    local bob <close> = enter(chat, "bob")
    bob:sees "* here: ann, bob\n"
    ann:sees "* bob joined\n"
    ann:type "hello bob"
    bob:sees "ann: hello bob\n"
    bob:type "hello ann"
    ann:sees "bob: hello ann\n"
    assert.is_nil(ann:output():find("ann: hello bob", 1, true))
  end)

  it("tells who is here, and who leaves with /quit", function()
    local chat <close> = session.start "chat"
    local ann <close> = enter(chat, "ann")
    local bob <close> = enter(chat, "bob")
    ann:type "/who"
    ann:sees "* here: ann, bob\n"
    bob:type "/quit"
    ann:sees "* bob left\n"
    bob:type "" -- this is how nc finds out that the connection is closed
    assert.are.equal(0, bob:wait())
    ann:type "/who"
    ann:sees "* bob left\n* here: ann\n"
  end)

  it("gives a nickname to one person only, and only a decent one", function()
    local chat <close> = session.start "chat"
    local ann <close> = enter(chat, "ann")
    local other <close> = terminal.open(chat.commands[1])
    for _, name in ipairs { "ann", "a b", "", ("x"):rep(21) } do
      other:type(name)
    end
    other:type "eve"
    other:sees "* here: ann, eve\n"
    local _, refusals = other:output():gsub("not taken", "")
    assert.are.equal(4, refusals)
    ann:sees "* eve joined\n"
  end)

  it("notices who vanishes", function()
    local chat <close> = session.start "chat"
    local ann <close> = enter(chat, "ann")
    local bob <close> = enter(chat, "bob")
    bob.process:signal "KILL"
    ann:sees "* bob left\n"
  end)

  it("drops a reader that is too slow; the others go on", function()
    local chat <close> = session.start "chat"
    local slow <close> = process.start { "python3", "-c", [[
import socket, sys, time
peer = socket.socket()
peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
peer.connect(("127.0.0.1", int(sys.argv[1])))
peer.sendall(b"slow\n")
time.sleep(60)]], chat.servers[1].port }
    local fast = assert(net.connect(chat.servers[1].address))
    local talker = assert(net.connect(chat.servers[1].address))
    fast:write("fast\n")
    condition.wait_until(function()
      fast:write("/who\n")
      return fast:read_line():find("slow", 1, true)
    end)
    talker:write("talker\n")
    local dropped = task.spawn(function()
      return wait_for_line(fast, "* slow left")
    end)
    local line, begun, sent = ("x"):rep(390) .. "\n", timer.now(), 0
    while dropped:status() ~= "done" and timer.now() < begun + 20 do
      if sent - fast:counters().received < 32 * 1024 then -- fast is to keep pace
        talker:write(line:rep(20))
        sent = sent + 20 * #line
      end
      task.sleep(0)
    end
    assert.is_true(dropped:join(1))
    talker:write("the end\n")
    assert.is_true(wait_for_line(fast, "talker: the end"))
    assert.is_nil(slow:status())
  end)
end)
