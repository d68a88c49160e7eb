local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local process = require "moonwire.process"
local task = require "moonwire.task"

describe("process.run", function()
  it("returns status, output and errors", function()
    assert.are.same({ status = 0, output = "out\n", errors = "err\n" },
      process.run { "sh", "-c", "echo out; echo err >&2" })
    assert.are.same({ status = 5, output = "", errors = "" }, process.run { "sh", "-c", "exit 5" })
    assert.are.same({ status = 137, signal = "kill", output = "", errors = "" },
      process.run { "sh", "-c", "kill -9 $$" })
  end)

  it("gives it input, whatever its size", function()
    assert.are.equal("a\nb\n", process.run({ "sort", input = "b\na\n" }).output)
    local large = ("0123456789abcde\n"):rep(60000)
    assert.is_true(process.run({ "cat", input = large }).output == large)
  end)

  it("has no input by default", function()
    assert.are.same({ status = 0, output = "", errors = "" }, process.run { "cat" })
  end)

  it("gives the end of input to one whose input is a stream", function()
    assert.are.equal(0, process.run({ "cat", stdin = "stream" }).status)
  end)

  it("does not care when the input is not read", function()
    assert.are.equal(0, process.run({ "true", input = ("x"):rep(1000000) }).status)
  end)

  it("takes the options of spawn", function()
    assert.are.same({ status = 0, output = "/ x\n" },
      process.run { "sh", "-c", "echo $PWD $X; echo err >&2", cwd = "/", env = { X = "x" }, stderr = "null" })
    assert.are.equal("1\n2\n", process.run({ "sh", "-c", "echo 1; echo 2 >&2", stderr = "stdout" }).output)
  end)

  it("ends one that writes too much", function()
    assert.are.same({ nil, "too_large", "too_large" }, { process.run { "yes" } })
    assert.are.same({ nil, "too_large", "too_large" }, { process.run { "sh", "-c", "yes >&2", max = 1000 } })
    assert.are.equal(1000, #process.run({ "head", "-c", "1000", "/dev/zero", max = 1000 }).output)
  end)

  it("ends one that takes too long", function()
    assert.are.same({ nil, "timeout", "timeout" }, { process.run { "sleep", "60", timeout = 0.05 } })
  end)

  it("is covered by the scope around it", function()
    assert.are.same({ nil, "timeout", "timeout" },
      { task.with_timeout(0.05, process.run, { "sleep", "60", timeout = false }) })
  end)

  it("ends it when the task is cancelled", function()
    local running = task.spawn(process.run, { "sleep", "60" })
    task.sleep(0.02)
    running:cancel()
    local _, _, code = running:join()
    assert.are.equal("cancelled", code)
  end)

  it("says why it cannot start", function()
    assert.are.same({ nil, "spawn no-such-program: no such file or directory", "not_found" },
      { process.run { "no-such-program" } })
  end)

  it("runs many at a time", function()
    local place <close> = folder.new()
    local command, running = "touch started.$1; while [ ! -e go ]; do sleep 0.02; done; echo $1", {}
    for i = 1, 20 do
      running[i] = task.spawn(process.run, { "sh", "-c", command, "sh", i, cwd = place.path })
    end
    condition.wait_until(function()
      for i = 1, 20 do
        if not place:read("started." .. i) then
          return false
        end
      end
      return true
    end, 20)
    place:write("go", "")
    for i = 1, 20 do
      assert.are.equal(i .. "\n", running[i]:join().output)
    end
  end)

  it("refuses what makes no sense, and blames the line that called", function()
    local function refused(expected, command)
      local ok, message = pcall(function()
        process.run(command)
      end)
      assert.is_false(ok)
      assert.matches("^spec/process/run_spec.lua:%d+: bad argument #1 to 'run'", message)
      assert.matches(expected, message, 1, true)
    end
    refused("table expected", "ls")
    refused("a command expected", {})
    refused("unknown option 'inputs' (known: input, max, timeout, env", { "ls", inputs = 1 })
    refused("option 'input'", { "ls", input = 5 })
    refused("exclude each other", { "ls", input = "x", stdin = "null" })
    refused("option 'max'", { "ls", max = 0 })
    refused("option 'timeout'", { "ls", timeout = -1 })
    refused("option 'timeout'", { "ls", timeout = "5" })
  end)
end)
