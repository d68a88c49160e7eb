local condition = require "spec.support.condition"
local core = require "moonwire.core"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local net = require "moonwire.net"
local process = require "moonwire.process"
local task = require "moonwire.task"

local function spawn(command)
  return assert(process.spawn(command))
end

-- What a shell command writes.
local function output_of(text, options)
  options = options or {}
  options[1], options[2], options[3] = "sh", "-c", text
  local child <close> = spawn(options)
  return child.stdout:read_all()
end

local function is_alive(id)
  local file <close> = io.open(("/proc/%d/stat"):format(id))
  local state = file and file:read("a"):match("^%d+ %b() (%a)")
  return state ~= nil and state ~= "Z" and state ~= "X"
end

local function await_end(id)
  condition.wait_until(function()
    return not is_alive(id)
  end, 10, "process " .. id .. " goes on")
end

-- A program that says "ready" and does not end when it is asked to.
local STUBBORN <const> = "trap '' TERM; echo ready; while :; do sleep 0.05; done"

describe("a child's streams", function()
  it("take what it reads and give what it writes", function()
    local child <close> = spawn { "sort" }
    child.stdin:write("b\n", "c\n", "a\n")
    child.stdin:shutdown_write()
    local lines = {}
    for line in child.stdout:lines() do
      lines[#lines + 1] = line
    end
    assert.are.same({ "a", "b", "c" }, lines)
    assert.are.equal(0, child:wait())
  end)

  it("carry a conversation", function()
    local child <close> = spawn { "sed", "-u", "s/^/> /" }
    for i = 1, 3 do
      child.stdin:write(i, "\n")
      assert.are.equal("> " .. i, child.stdout:read_line())
    end
  end)

  it("carry more than any pipe or queue holds, both ways at a time", function()
    local child <close> = spawn { "cat" }
    local block, count = ("0123456789abcdef"):rep(4096), 160
    task.spawn(function()
      for _ = 1, count do
        assert(child.stdin:write(block))
      end
      child.stdin:shutdown_write()
    end)
    for _ = 1, count do
      assert.is_true(child.stdout:read(#block) == block)
    end
    assert.are.same({ nil, "eof", "eof" }, { child.stdout:read(1) })
    assert.are.equal(0, child:wait())
  end)

  it("hold up a writer while the child does not read", function()
    local child <close> = spawn { "sleep", "60" }
    child.stdin:configure { write_timeout = 0.05 }
    local problem
    for _ = 1, 100 do
      problem = select(2, child.stdin:write(("x"):rep(65536)))
      if problem then
        break
      end
    end
    assert.are.equal("timeout", problem)
  end)

  it("hold up a child that nobody reads", function()
    local child <close> = spawn { "sh", "-c", "yes; exit 5" }
    condition.wait_until(function()
      return child.stdout:counters().received >= 65536
    end)
    task.sleep(0.05)
    assert.is_true(child.stdout:counters().received < 256 * 1024)
    child.stdout:close()
    assert.are.equal(5, child:wait()) -- SIGPIPE has ended its "yes"
  end)

  it("end with SIGPIPE a child whose output nobody wants any more", function()
    local child <close> = spawn { "yes" }
    assert.are.equal("y", child.stdout:read_line())
    child.stdout:close()
    assert.are.same({ 141, "pipe" }, { child:wait() })
  end)

  it("tell a writer that the child reads no more", function()
    local child <close> = spawn { "true" }
    child:wait()
    child.stdin:write("x")
    local _, _, code = child.stdin:flush()
    assert.are.equal("reset", code)
  end)

  it("take a file", function()
    local place <close> = folder.new()
    local child <close> = spawn { "cat" }
    local path = place:write("large", ("line\n"):rep(40000))
    assert.are.equal(200000, child.stdin:send_file(path))
    child.stdin:shutdown_write()
    assert.are.equal(200000, #child.stdout:read_all())
  end)

  it("go one way only", function()
    local child <close> = spawn { "cat" }
    assert.are.same({ nil, "eof", "eof" }, { child.stdin:read(1) })
    assert.are.same({ nil, "closed", "closed" }, { child.stdout:write("x") })
  end)

  it("are closed silently when they are forgotten after its end", function()
    local before = core.usage().streams
    do
      local child = spawn { "true" }
      child:wait()
    end
    condition.wait_until(function()
      collectgarbage()
      return core.usage().streams == before
    end)
  end)

  it("do not pile up when thousands of children are forgotten", function()
    for _ = 1, 200 do
      spawn({ "true", stderr = "null" }):wait()
    end
    assert.is_true(core.usage().streams < 200)
  end)

  it("outlive a child that nobody refers to", function()
    local lines = 0
    for _ in spawn({ "sh", "-c", "for i in 1 2 3 4; do echo $i; sleep 0.02; done" }).stdout:lines() do
      collectgarbage()
      lines = lines + 1
    end
    assert.are.equal(4, lines)
  end)
end)

describe("standard input, output and errors", function()
  it("can be nothing", function()
    local child <close> = spawn { "sh", "-c", "cat; echo out; echo err >&2", stdin = "null", stdout = "null",
      stderr = "null" }
    assert.is_nil(child.stdin)
    assert.is_nil(child.stdout)
    assert.is_nil(child.stderr)
    assert.are.equal(0, child:wait())
  end)

  it("can be three streams", function()
    local child <close> = spawn { "sh", "-c", "echo out; echo err >&2", stderr = "stream" }
    assert.are.equal("out\n", child.stdout:read_all())
    assert.are.equal("err\n", child.stderr:read_all())
  end)

  it("can be one stream for output and errors", function()
    assert.are.equal("a\nb\nc\n", output_of("echo a; echo b >&2; echo c", { stderr = "stdout" }))
  end)

  it("can be open files, which may be closed at once", function()
    local place <close> = folder.new()
    place:write("in", "words\n")
    local input, output = assert(io.open(place.path .. "/in")), assert(io.open(place.path .. "/out", "w"))
    output:write("before ")
    local child <close> = spawn {
      "sh", "-c", "cat; echo err >&2", stdin = input, stdout = output, stderr = "stdout" }
    input:close()
    output:close()
    assert.are.equal(0, child:wait())
    assert.are.equal("before words\nerr\n", place:read("out"))
  end)

  it("can be opened anew by their names, which sockets could not", function()
    local child <close> = spawn { "sh", "-c", "cat /dev/stdin >/dev/stdout" }
    child.stdin:write("through")
    child.stdin:shutdown_write()
    assert.are.equal("through", child.stdout:read_all())
  end)
end)

describe("a child's surroundings", function()
  it("hold our environment, with what is set and without what is not", function()
    local env = { MOONWIRE_SPEC = "a b=c", NUMBER = 5, HOME = false }
    assert.are.equal("a b=c 5 none yes\n",
      output_of("echo $MOONWIRE_SPEC $NUMBER ${HOME-none} ${PATH:+yes}", { env = env }))
  end)

  it("hold nothing but what is set when asked for", function()
    local child <close> = spawn { "/usr/bin/env", clear_env = true, env = { ONE = "1" } }
    assert.are.equal("ONE=1\n", child.stdout:read_all())
  end)

  it("are the folder that is named", function()
    local place <close> = folder.new()
    assert.are.equal(place.path .. "\n", output_of("pwd", { cwd = place.path }))
    assert.are.equal(lfs.currentdir() .. "\n", output_of("pwd"))
  end)

  it("find a program from that folder on when its path is relative", function()
    local place <close> = folder.new()
    os.execute("chmod +x " .. place:write("here", "#!/bin/sh\necho found\n"))
    local child <close> = spawn { "./here", cwd = place.path }
    assert.are.equal("found\n", child.stdout:read_all())
  end)

  it("have default signals, none of them blocked", function()
    local child <close> = spawn { "grep", "^Sig[BI]", "/proc/self/status" }
    local expected = ("SigBlk:\t%s\nSigIgn:\t%s\n"):format(("0"):rep(16), ("0"):rep(16))
    assert.are.equal(expected, child.stdout:read_all())
  end)

  it("pass arguments as they are", function()
    local words = { "a b", "'", "$HOME", "*", "", "\\", "ä\n" }
    local child <close> = spawn { "printf", "%s|", table.unpack(words) }
    assert.are.equal(table.concat(words, "|") .. "|", child.stdout:read_all())
  end)

  it("hold no descriptor of ours", function()
    local place <close> = folder.new()
    local file <close> = assert(io.open(place:write("file", "text")))
    local listener <close> = assert(net.listen("tcp://127.0.0.1:0"))
    local conn <close> = assert(net.connect("tcp://" .. listener:local_address()))
    local accepted <close> = assert(listener:accept())
    local socket <close> = assert(net.datagram("udp://127.0.0.1:0"))
    local other <close> = spawn { "cat", stderr = "stream" }
    local logged <close> = spawn { "cat" }
    assert.is_true(conn:is_open() and accepted:is_open() and socket:is_open() and file ~= nil
      and other:status() == nil and logged:status() == nil)
    local child <close> = spawn { "ls", "/proc/self/fd" } -- 3 is the folder it lists
    assert.are.equal("0\n1\n2\n3\n", child.stdout:read_all())
  end)

  it("hold no descriptor of ours that is not marked to be closed", function()
    -- The shell hands its descriptor 7 on to the binary under test.
    local binary = os.getenv "MOONWIRE" or "build/moonwire"
    local code = [[
      local process = require "moonwire.process"
      assert(require("lfs").symlinkattributes("/proc/self/fd/7"))
      io.stdout:write(process.run({ "ls", "/proc/self/fd" }).output)]]
    local result = assert(process.run {
      "sh", "-c", 'exec 7</dev/null; exec "$0" run -e "$1"', binary, code })
    assert.are.equal("0\n1\n2\n3\n", result.output)
  end)

  it("have the limit of open files that we began with", function()
    local binary = os.getenv "MOONWIRE" or "build/moonwire"
    local code = [[io.stdout:write(require("moonwire.process").run({ "sh", "-c", "ulimit -n" }).output)]]
    local result = assert(process.run { "sh", "-c", 'ulimit -Sn 123; exec "$0" run -e "$1"', binary, code })
    assert.are.equal("123\n", result.output)
  end)
end)

describe("the start of a child", function()
  local function fault_of(command)
    local child, message, code = process.spawn(command)
    assert.is_nil(child)
    return { message, code }
  end

  it("fails when there is no such program", function()
    assert.are.same({ "spawn no-such-program: no such file or directory", "not_found" },
      fault_of { "no-such-program" })
    assert.are.same({ "spawn /no/such: no such file or directory", "not_found" }, fault_of { "/no/such" })
  end)

  it("fails when the file may not be executed, or is a folder", function()
    assert.are.same({ "spawn /etc/passwd: permission denied", "denied" }, fault_of { "/etc/passwd" })
    assert.are.same({ "spawn /etc: permission denied", "denied" }, fault_of { "/etc" })
  end)

  it("fails when the file is no program", function()
    local place <close> = folder.new()
    local path = place:write("text", "echo this is no program\n")
    os.execute("chmod +x " .. path)
    assert.are.equal("invalid", fault_of({ path })[2])
  end)

  it("fails when there is no such folder", function()
    assert.are.same({ "enter /no/such: no such file or directory", "not_found" },
      fault_of { "true", cwd = "/no/such" })
  end)

  it("does not look for a name in the current folder", function()
    local place <close> = folder.new()
    os.execute("chmod +x " .. place:write("only-here", "#!/bin/sh\n"))
    assert.are.equal("not_found", fault_of({ "only-here", cwd = place.path })[2])
  end)

  it("leaves nothing behind when it fails", function()
    local before = core.usage().streams
    for _ = 1, 20 do
      fault_of { "no-such-program", stderr = "stream" }
      fault_of { "/etc/passwd" }
    end
    assert.are.equal(before, core.usage().streams)
  end)

  it("is refused for what makes no sense", function()
    local function refused(expected, command)
      local ok, message = pcall(process.spawn, command)
      assert.is_false(ok)
      assert.matches(expected, message, 1, true)
    end
    refused("table expected", "ls")
    refused("a command expected", {})
    refused("the command is empty", { "" })
    refused("a word of the command", { "ls", {} })
    refused("a word of the command", { "ls", nil, "x" })
    refused("a string without zero bytes expected", { "ls", "a\0b" })
    refused("unknown option 'stdinn'", { "ls", stdinn = "null" })
    refused("option 'stdin'", { "ls", stdin = "log" })
    refused("option 'stdout'", { "ls", stdout = "stdout" })
    refused("option 'stderr'", { "ls", stderr = 2 })
    refused("option 'env'", { "ls", env = { ["A=B"] = "x" } })
    refused("option 'env'", { "ls", env = { A = true } })
    refused("option 'env'", { "ls", env = { "A=B" } })
    refused("option 'cwd'", { "ls", cwd = "/tmp\0/x" })
    refused("option 'kill_after'", { "ls", kill_after = -1 })
    local file = assert(io.open("/dev/null"))
    file:close()
    refused("the file is closed", { "ls", stdin = file })
  end)

  it("blames the line that called", function()
    local ok, message = pcall(function()
      process.spawn { "ls", unknown = 1 }
    end)
    assert.is_false(ok)
    assert.matches("^spec/process/spawn_spec.lua:%d+: bad argument #1 to 'spawn'", message)
  end)
end)

describe("the end of a child", function()
  it("is told with its status", function()
    assert.are.same({ 0 }, { spawn({ "true" }):wait() })
    assert.are.same({ 7 }, { spawn({ "sh", "-c", "exit 7" }):wait() })
    assert.are.same({ 255 }, { spawn({ "sh", "-c", "exit 255" }):wait() })
    assert.are.same({ 137, "kill" }, { spawn({ "sh", "-c", "kill -9 $$" }):wait() })
    assert.are.same({ 139, "segv" }, { spawn({ "sh", "-c", "ulimit -c 0; kill -SEGV $$" }):wait() })
  end)

  it("is told again, and without waiting", function()
    local child <close> = spawn { "sh", "-c", "read x; exit 4" }
    assert.is_nil(child:status())
    child.stdin:shutdown_write()
    assert.are.equal(4, child:wait())
    assert.are.equal(4, child:wait(0))
    assert.are.same({ 4 }, { child:status() })
  end)

  it("is awaited no longer than was asked for", function()
    local child <close> = spawn { "sleep", "60" }
    assert.are.same({ nil, "timeout", "timeout" }, { child:wait(0.02) })
    assert.are.same({ nil, "timeout", "timeout" }, { task.with_timeout(0.02, child.wait, child) })
    assert.is_nil(child:status())
  end)

  it("is told to all that wait", function()
    local child <close> = spawn { "sh", "-c", "read x; exit 3" }
    local waiting = {}
    for i = 1, 3 do
      waiting[i] = task.spawn(child.wait, child)
    end
    local late = task.spawn(child.wait, child)
    task.yield()
    late:cancel()
    child.stdin:shutdown_write()
    for i = 1, 3 do
      assert.are.equal(3, waiting[i]:join())
    end
  end)

  it("leaves no zombie", function()
    local child = spawn { "true" }
    condition.wait_until(function()
      return child:status()
    end)
    assert.is_nil(lfs.attributes(("/proc/%d"):format(child:id())))
  end)

  it("does not hold up others", function()
    local child <close> = spawn { "sleep", "60" }
    local turns = 0
    local counting = task.spawn(function()
      for _ = 1, 10 do
        task.sleep(0.001)
        turns = turns + 1
      end
      child:kill()
    end)
    child:wait()
    counting:join()
    assert.are.equal(10, turns)
  end)
end)

describe("ending a child", function()
  it("is a signal", function()
    local child <close> = spawn { "sleep", "60" }
    assert.is_true(child:kill())
    assert.are.same({ 143, "term" }, { child:wait() })
    assert.are.same({ nil, "closed", "closed" }, { child:kill() })
  end)

  it("is any signal", function()
    local listener = "trap 'echo got' USR1; echo ready; while :; do sleep 0.02; done"
    local child <close> = spawn { "sh", "-c", listener, stderr = "null" }
    child.stdout:read_line()
    assert.is_true(child:kill("usr1"))
    assert.are.equal("got", child.stdout:read_line())
    assert.is_true(child:kill("SIGKILL"))
    assert.are.same({ 137, "kill" }, { child:wait() })
    assert.has_error(function() child:kill("nonsense") end)
  end)

  it("reaches what it has started", function()
    local child <close> = spawn { "sh", "-c", "sleep 60 & echo $!; wait" }
    local grandchild = child.stdout:read_line()
    child:close()
    child:wait()
    await_end(grandchild)
  end)

  it("is hard for what it leaves behind", function()
    local stubborn = "trap '' TERM; echo $PPID; while :; do sleep 0.05; done"
    local child <close> = spawn { "sh", "-c", 'sh -c "$1" & echo $!; wait', "sh", stubborn }
    local ids = { child.stdout:read_line(), child.stdout:read_line() }
    local grandchild = ids[1] == tostring(child:id()) and ids[2] or ids[1]
    child:close()
    assert.are.same({ 143, "term" }, { child:wait() })
    await_end(grandchild)
  end)

  it("reaches the leader alone when it has no group", function()
    local child <close> = spawn { "sh", "-c", "sleep 60 & echo $!; wait", group = false }
    local grandchild = child.stdout:read_line()
    child:close()
    child:wait()
    assert.is_true(is_alive(grandchild))
    os.execute("kill " .. grandchild)
    await_end(grandchild)
  end)

  it("is hard for one that does not listen", function()
    local child <close> = spawn { "sh", "-c", STUBBORN, kill_after = 0.1 }
    assert.are.equal("ready", child.stdout:read_line())
    child:close()
    child:close()
    assert.are.same({ 137, "kill" }, { child:wait() })
  end)

  it("is hard at once without a grace", function()
    local child <close> = spawn { "sh", "-c", STUBBORN, kill_after = 0 }
    assert.are.equal("ready", child.stdout:read_line())
    child:close()
    assert.are.same({ 137, "kill" }, { child:wait() })
  end)

  it("never is hard when that is asked for", function()
    local child <close> = spawn { "sh", "-c", STUBBORN, kill_after = false }
    assert.are.equal("ready", child.stdout:read_line())
    child:close()
    assert.are.same({ nil, "timeout", "timeout" }, { child:wait(0.1) })
    child:kill("kill")
    child:wait()
  end)

  it("wakes one that is stopped", function()
    local child <close> = spawn { "sleep", "60", kill_after = false }
    child:kill("stop")
    child:close()
    assert.are.same({ 143, "term" }, { child:wait() })
  end)

  it("comes with the end of the block, of the task, and with its cancellation", function()
    local ids = {}
    local function start(i)
      ids[i] = spawn({ "sleep", "60" }):id()
    end
    do
      local child <close> = spawn { "sleep", "60" }
      ids[1] = child:id()
    end
    task.spawn(start, 2):join()
    local waiting = task.spawn(function()
      start(3)
      task.sleep(60)
    end)
    condition.wait_until(function() return ids[3] end)
    waiting:cancel()
    for i = 1, 3 do
      await_end(ids[i])
    end
  end)

  it("does not come with the end of the task once it is kept", function()
    local child
    task.spawn(function()
      child = spawn({ "cat" }):keep()
    end):join()
    child.stdin:write("still here\n")
    assert.are.equal("still here", child.stdout:read_line())
    child:close()
    child:wait()
  end)

  it("comes when nobody refers to it no earlier than with the task", function()
    local id = spawn({ "sleep", "60" }):id()
    collectgarbage()
    collectgarbage()
    task.sleep(0.02)
    assert.is_true(is_alive(id))
  end)

  it("says what it is", function()
    local child <close> = spawn { "/bin/cat" }
    assert.are.equal(("moonwire.child: cat %d running"):format(child:id()), tostring(child))
    child:close()
    child:wait()
    assert.are.equal(("moonwire.child: cat %d ended with 143"):format(child:id()), tostring(child))
    child:close()
  end)
end)
