local condition = require "spec.support.condition"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local process = require "spec.support.process"
local task = require "moonwire.task"

local TIMEOUT <const> = { n = 3, nil, "timeout", "timeout" }
local CLOSED <const> = { n = 3, nil, "closed", "closed" }
local EOF <const> = { n = 3, nil, "eof", "eof" }

describe("a watch", function()
  local place, root

  before_each(function()
    place = folder.new()
    root = assert(file.root(place.path))
  end)

  after_each(function()
    root:close()
    place:remove()
  end)

  local function shell(command)
    assert.are.equal(0, (process.run { "sh", "-c", "cd $0 && " .. command, place.path }))
  end

  -- All that has happened: "created a", "renamed a to b".
  local function events(watch)
    local list = {}
    for event in function() return (watch:next(0.02)) end do
      local text = event.kind
      if event.from then
        text = ("%s %s to %s"):format(text, event.from, event.name)
      elseif event.name then
        text = ("%s %s"):format(text, event.name)
      end
      list[#list + 1] = text
    end
    return list
  end

  it("tells what happens in a folder", function()
    place:write("sub/old", "")
    local watch <close> = assert(root:watch ".")
    shell "echo x > a"
    assert.are.same({ "created a", "changed a" }, events(watch))
    shell "echo x >> a"
    assert.are.same({ "changed a" }, events(watch))
    shell "mv a b"
    assert.are.same({ "renamed a to b" }, events(watch))
    shell "mv b sub/"
    assert.are.same({ "removed b" }, events(watch))
    shell "mv sub/b c"
    assert.are.same({ "created c" }, events(watch))
    shell "rm c && mkdir d && rmdir d"
    assert.are.same({ "removed c", "created d", "removed d" }, events(watch))
    shell "echo x > sub/inner"
    assert.are.same({}, events(watch))
  end)

  it("wakes who waits", function()
    local watch <close> = assert(root:watch ".")
    local waiting = task.spawn(watch.next, watch)
    task.yield()
    assert.are.equal("watch", waiting:waits_for())
    root:make_folder "a"
    assert.are.same({ kind = "created", name = "a" }, waiting:join(5))
  end)

  it("makes one event of many that nobody has taken yet", function()
    place:write("a", "")
    local watch <close> = assert(root:watch ".")
    shell "for i in 1 2 3 4 5 6 7 8 9; do echo x >> a; done"
    assert.are.same({ "changed a" }, events(watch))
  end)

  it("tells of the module's own writing as of a change", function()
    local watch <close> = assert(root:watch ".")
    root:write("a", "1")
    root:write("a", "2")
    root:append("a", "3")
    assert.are.same({ "changed a" }, events(watch))
  end)

  describe("of one name", function()
    local watch

    before_each(function()
      place:write("conf", "old")
      watch = assert(root:watch "conf")
    end)

    after_each(function()
      watch:close()
    end)

    it("tells nothing of others", function()
      shell "echo x > other && mv other another && rm another"
      assert.are.same({}, events(watch))
    end)

    it("sees a file written in place", function()
      shell "echo new > conf"
      assert.are.same({ "changed conf" }, events(watch))
    end)

    it("sees a new file renamed over it, as often as that happens", function()
      for _ = 1, 3 do
        shell "echo new > conf.new && mv conf.new conf"
        assert.are.same({ "changed conf" }, events(watch))
      end
    end)

    it("sees the old file moved away and a new one written, as vim does", function()
      shell "mv conf conf~ && echo new > conf && rm conf~"
      assert.are.same({ "removed conf", "created conf", "changed conf" }, events(watch))
      shell "echo newer > conf"
      assert.are.same({ "changed conf" }, events(watch))
    end)

    it("sees a file moved here from elsewhere", function()
      local other <close> = folder.new()
      other:write("conf", "new")
      shell("mv " .. other.path .. "/conf conf")
      assert.are.same({ "created conf" }, events(watch))
    end)

    it("sees it go and come", function()
      shell "rm conf"
      assert.are.same({ "removed conf" }, events(watch))
      shell "mkdir conf"
      assert.are.same({ "created conf" }, events(watch))
    end)

    it("sees the module write it", function()
      root:write("conf", "new")
      assert.are.same({ "changed conf" }, events(watch))
    end)
  end)

  it("may wait for a name that is not there yet", function()
    local watch <close> = assert(root:watch "later")
    shell "echo x > sooner && echo x > later"
    assert.are.same({ "created later", "changed later" }, events(watch))
  end)

  it("ends with its folder", function()
    place:write("sub/a", "")
    local watch <close> = assert(root:watch "sub")
    local seen = task.spawn(function()
      local list = {}
      for event in watch:events() do
        list[#list + 1] = event.kind
      end
      return list
    end)
    task.yield()
    shell "rm -r sub"
    assert.are.same({ "removed" }, seen:join(5))
    assert.are.same(EOF, table.pack(watch:next()))
  end)

  it("says when events were lost", function()
    local limit = tonumber(file.read "/proc/sys/fs/inotify/max_queued_events")
    if limit > 100000 then
      return pending "the kernel keeps too many"
    end
    local watch <close> = assert(root:watch ".")
    process.run { "python3", "-c", [[
import os, sys
os.chdir(sys.argv[1])
for i in range(int(sys.argv[2])):
    os.rename(os.mkdir("a") or "a", "b")
    os.rmdir("b")
]], place.path, limit // 3 + 100, seconds = 60 }
    local overflow
    for event in function() return (watch:next(0.02)) end do
      overflow = event.kind == "overflow" and event or overflow
    end
    assert.are.same({ kind = "overflow" }, overflow)
    shell "echo x > c"
    assert.are.same({ "created c", "changed c" }, events(watch))
  end)

  it("is left by a limit, a deadline and cancel", function()
    local watch <close> = assert(root:watch ".")
    assert.are.same(TIMEOUT, table.pack(watch:next(0.01)))
    assert.are.same(TIMEOUT, table.pack(watch:next(0)))
    assert.are.same(TIMEOUT, table.pack(task.with_timeout(0.01, watch.next, watch)))
    local waiting = task.spawn(watch.next, watch)
    task.yield()
    assert.are.same({ n = 3, nil, "busy", "busy" }, table.pack(watch:next()))
    waiting:cancel()
    assert.are.equal("cancelled", select(3, waiting:join()))
    shell "mkdir a"
    assert.are.same({ "created a" }, events(watch))
  end)

  it("waits no longer than it is told, whatever happens to other names", function()
    local watch <close> = assert(root:watch "name")
    local noise = "cd $0 && while :; do echo x > other; done"
    local other <close> = process.start { "sh", "-c", noise, place.path }
    assert.are.same(TIMEOUT, table.pack(watch:next(0.1)))
    assert.is_nil(other:status())
  end)

  it("is closed by another task, and with the task that opened it", function()
    local watch = assert(root:watch ".")
    local waiting = task.spawn(watch.next, watch)
    local iterating = task.spawn(function()
      task.yield()
      for _ in watch:events() do
        error "an event"
      end
      return "ended"
    end)
    task.yield()
    watch:close()
    watch:close()
    assert.are.same(CLOSED, table.pack(waiting:join()))
    assert.are.equal("ended", iterating:join())
    assert.are.same(CLOSED, table.pack(watch:next()))
    assert.are.equal("moonwire.watch: . closed", tostring(watch))
    local opened = task.spawn(function() return root:watch "." end):join()
    assert.is_false(opened:is_open())
    local kept <close> = task.spawn(function() return root:watch("."):keep() end):join()
    assert.are.equal("moonwire.watch: . open", tostring(kept))
  end)

  it("says when the system allows no more", function()
    local limit = tonumber(file.read "/proc/sys/fs/inotify/max_user_instances")
    if limit > 2000 then
      return pending "the system allows too many"
    end
    local watches = {}
    local watch, err, code = root:watch "."
    while watch do
      watches[#watches + 1] = watch
      watch, err, code = root:watch "."
    end
    assert.are.equal("watch .: too many watches (raise the system's limits: sysctl fs.inotify)", err)
    assert.are.equal("descriptors", code)
    for _, each in ipairs(watches) do
      each:close()
    end
    local again <close> = condition.wait_until(function() return root:watch "." end)
    assert.is_true(again:is_open())
  end)

  it("says what it cannot watch", function()
    assert.are.same({ n = 3, nil, "watch a/b: no such file or directory", "not_found" },
      table.pack(root:watch "a/b"))
  end)
end)
