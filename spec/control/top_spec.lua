-- The live view, at a terminal and without one.
local condition = require "spec.support.condition"
local daemon = require "spec.control.daemon"
local moonwire = require "spec.support.moonwire"
local terminal = require "spec.examples.terminal"

-- A daemon whose connection 1.7.3 receives 4096 bytes from one look to the next.
local function busy_daemon()
  local looks = 0
  return daemon.open {
    status = function()
      looks = looks + 1
      return daemon.status()
    end,
    connections = function()
      local answer = daemon.connections()
      local busy = answer.workers[1].report.connections[3]
      busy.received = looks * 4096
      return answer
    end,
  }
end

local function open_top(fake, columns, ...)
  local command = "env TERM=xterm LC_ALL=C.UTF-8 python3 spec/fixtures/terminal.py %d %s top --control %s %s"
  return terminal.open(command:format(columns or 100, moonwire.binary, fake.path, table.concat({ ... }, " ")))
end

-- The screen of the last frame that is whole, line by line.
local function last_frame(shown)
  local frame
  for text in shown:gsub("\27%[2J", ""):gmatch "\27%[H(.-)\27%[J" do
    frame = text:gsub("^\27%[H", "")
  end
  local lines = {}
  for line in (frame or ""):gmatch "(.-)\27%[K\r+\n" do
    lines[#lines + 1] = line
  end
  return lines
end

local function ended(shown)
  return shown:match "%[ended (%-?%d+), terminal ([%a ]+)%]"
end

local function await_end(top)
  condition.wait_until(function() return ended(top:output()) end, 10, "top does not end")
  local status, modes = ended(top:output())
  assert.are.equal("as before", modes)
  assert.is_not_nil(top:output():find("\27[?25h\27[?1049l", 1, true))
  return tonumber(status)
end

describe("moonwire top at a terminal", function()
  it("shows rates, again and again, until q is typed", function()
    local fake <close> = busy_daemon()
    local top <close> = open_top(fake, 120, "--interval", "100ms")
    top:sees "\27[?1049h"
    condition.wait_until(function() return #fake.requests >= 8 end)
    local lines
    condition.wait_until(function()
      lines = last_frame(top:output())
      return lines[1] and not table.concat(lines, "\n"):find "1%.7%.3 +echo +10%.0%.0%.7:4000 +0 "
    end)
    assert.are.equal("moonwire 0.1.0, pid 4711, up 3h12m, running, generation 7", lines[1])
    assert.matches("\n +1 +4712 +running +0%% +12M\n", table.concat(lines, "\n"))
    assert.matches("\necho +7 +33 +0 +0 +0 +0 +6.0M\n", table.concat(lines, "\n"))
    assert.matches("\nCONNECTION[^\n]*\n1%.7%.3 +echo +10%.0%.0%.7:4000 +%d+K +0 +0 +read\n",
      table.concat(lines, "\n"))
    top.process.stdin:write "q"
    assert.are.equal(0, await_end(top))
  end)

  it("gives the terminal back when it is interrupted or ended", function()
    for _, act in ipairs {
      function(top) top.process.stdin:write "\3" end,
      function(top) top.process:signal "TERM" end,
    } do
      local fake <close> = busy_daemon()
      local top <close> = open_top(fake)
      top:sees "1.7.3"
      act(top)
      assert.are.equal(0, await_end(top))
    end
  end)

  it("gives the terminal back when a signal kills it", function()
    local fake <close> = busy_daemon()
    local top <close> = open_top(fake)
    top:sees "1.7.3"
    top.process:signal "QUIT"
    assert.are.equal(-3, await_end(top))
  end)

  it("fits into the terminal, also when that changes", function()
    local fake <close> = busy_daemon()
    local top <close> = open_top(fake, 60, "--interval", "10s")
    top:sees "moonwire 0.1.0, pid 4711, up 3h12m, running, generation 7\27[K"
    local function widest()
      local width = 0
      for _, line in ipairs(last_frame(top:output())) do
        width = math.max(width, utf8.len(line))
      end
      return width
    end
    condition.wait_until(function() return widest() == 60 end)
    assert.is_true(#last_frame(top:output()) < 40)
    top.process:signal "WINCH"
    condition.wait_until(function() return widest() == 30 end)
    top.process.stdin:write "q"
    assert.are.equal(0, await_end(top))
  end)

  it("waits for a daemon that has gone", function()
    local fake <close> = busy_daemon()
    local top <close> = open_top(fake, 200, "--interval", "50ms")
    top:sees "1.7.3"
    local answers = fake.answers
    fake.answers = { status = { ok = false, error = "the supervisor is busy" } }
    top:sees "the supervisor is busy\27[K"
    fake.answers = answers
    local before = #top:output()
    condition.wait_until(function()
      return top:output():find("q: end", before, true)
    end)
    fake.listener:close()
    top:sees "no daemon at control socket"
    top.process.stdin:write "Q"
    assert.are.equal(0, await_end(top))
  end)

  it("does not begin without a daemon", function()
    local fake = busy_daemon()
    fake:close()
    local top <close> = open_top(fake, 200)
    condition.wait_until(function() return ended(top:output()) end)
    assert.are.equal("3", (ended(top:output())))
    assert.is_nil(top:output():find("\27", 1, true))
    assert.matches("moonwire: no daemon at control socket", top:output())
  end)
end)

describe("moonwire top without a terminal", function()
  it("prints once what happened in an interval", function()
    local fake <close> = busy_daemon()
    local status, output, errors = fake:run("top", "--interval", "0.1")
    assert.are.same({ 0, "" }, { status, errors })
    assert.are.equal(4, #fake.requests)
    assert.is_nil(output:find("\27", 1, true))
    assert.matches("^moonwire 0%.1%.0, pid 4711", output)
    assert.matches("\n1%.7%.3 +echo +10%.0%.0%.7:4000 +%d+K +0 +0 +read\n", output)
  end)

  it("fails as every command does", function()
    local fake <close> = daemon.open { status = { ok = false, error = "no", code = "denied" } }
    assert.are.same({ 4, "", "moonwire: no\n" }, { fake:run "top" })
  end)
end)
