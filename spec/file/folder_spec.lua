local condition = require "spec.support.condition"
local core = require "moonwire.core"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local task = require "moonwire.task"

local TIMEOUT <const> = { n = 3, nil, "timeout", "timeout" }
local CLOSED <const> = { n = 3, nil, "closed", "closed" }
local TOO_LARGE <const> = { n = 3, nil, "too_large", "too_large" }

describe("a folder", function()
  local place, root

  before_each(function()
    place = folder.new()
    root = assert(file.root(place.path))
  end)

  after_each(function()
    root:close()
    place:remove()
  end)

  local function names()
    local list = {}
    for i, entry in ipairs(assert(root:list())) do
      list[i] = entry.name
    end
    return table.concat(list, " ")
  end

  describe("reads", function()
    it("a whole file, also an empty one and one whose size is not known", function()
      place:write("a", ("0123456789"):rep(10000))
      place:write("empty", "")
      assert.are.equal(("0123456789"):rep(10000), root:read "a")
      assert.are.equal("", root:read "empty")
      assert.matches("^Name:", file.read "/proc/self/status")
    end)

    it("a file as large as the limit, and refuses one that is larger", function()
      place:write("a", ("x"):rep(1000))
      assert.are.equal(1000, #root:read("a", { max = 1000 }))
      assert.are.same(TOO_LARGE, table.pack(root:read("a", { max = 999 })))
      place:write("a", ("x"):rep(1024 * 1024 + 1))
      assert.are.same(TOO_LARGE, table.pack(root:read "a"))
      assert.are.equal(1024 * 1024 + 1, #root:read("a", { max = 1 << 30 }))
      assert.are.same(TOO_LARGE, table.pack(file.read("/proc/self/status", { max = 10 })))
      place:write("empty", "")
      assert.are.equal("", root:read("empty", { max = 0 }))
    end)

    it("no file that is not there", function()
      assert.are.same({ n = 3, nil, "read a/b: no such file or directory", "not_found" },
        table.pack(root:read "a/b"))
    end)
  end)

  describe("writes", function()
    it("a new file, and others over it", function()
      for _, content in ipairs { "first", "", ("second"):rep(100000), "a\0b" } do
        assert.is_true(root:write("a", content))
        assert.are.equal(content, place:read "a")
        assert.are.equal("a", names())
      end
      assert.is_true(root:write("a", "unsynced", { sync = false }))
      assert.are.equal("unsynced", place:read "a")
    end)

    it("with the permissions of the old file, or those that are asked for", function()
      place:write("a", "x")
      assert(os.execute("chmod 604 " .. place.path .. "/a"))
      root:write("a", "y")
      assert.are.equal("604", root:stat("a").permissions)
      root:write("a", "z", { permissions = "640" })
      assert.are.equal("640", root:stat("a").permissions)
      root:write("b", "z", { permissions = "600" })
      assert.are.equal("600", root:stat("b").permissions)
      root:append("c", "z", { permissions = "600" })
      assert.are.equal("600", root:stat("c").permissions)
    end)

    it("only what is new, if asked to", function()
      assert.is_true(root:write("a", "1", { only_new = true }))
      assert.are.same({ n = 3, nil, "write a: file exists", "exists" },
        table.pack(root:write("a", "2", { only_new = true })))
      assert.are.equal("1", place:read "a")
      assert.are.equal("a", names())
    end)

    it("in place of a link, not through it", function()
      place:write("target", "old")
      assert(os.execute(("ln -s target %s/link"):format(place.path)))
      root:write("link", "new")
      assert.are.equal("old", place:read "target")
      assert.are.equal("file", root:stat("link", { follow = false }).kind)
    end)

    it("nowhere where there is no folder", function()
      assert.are.equal("not_found", select(3, root:write("a/b", "x")))
      assert.are.equal("invalid", select(3, root:write("a/", "x")))
      assert.are.equal("invalid", select(3, root:write("..", "x")))
      place:write("file", "")
      assert.are.equal("invalid", select(3, root:write("file/b", "x")))
    end)
  end)

  it("appends", function()
    assert.is_true(root:append("log", "one\n"))
    assert.is_true(root:append("log", "two\n", { sync = true }))
    assert.are.equal("one\ntwo\n", place:read "log")
  end)

  it("appends from many tasks without mixing them", function()
    local group <close> = task.group()
    for i = 1, 100 do
      group:spawn(root.append, root, "log", ("%03d"):format(i):rep(1000) .. "\n")
    end
    group:wait()
    local count = 0
    for line in place:read("log"):gmatch "[^\n]+" do
      count = count + 1
      assert.are.equal(line:sub(1, 3):rep(1000), line)
    end
    assert.are.equal(100, count)
  end)

  it("tells what a file is", function()
    place:write("a", "12345")
    local status = root:stat "a"
    assert.are.equal("file", status.kind)
    assert.are.equal(5, status.size)
    assert.are.equal(require "lfs".attributes(place.path .. "/a", "modification"), status.modified // 1)
    assert.are.equal(require "lfs".attributes(place.path .. "/a", "ino"), status.id)
    assert.are.equal("folder", root:stat(".").kind)
    assert(os.execute(("ln -s a %s/link && mkfifo %s/fifo"):format(place.path, place.path)))
    assert.are.equal("file", root:stat("link").kind)
    assert.are.equal("link", root:stat("link", { follow = false }).kind)
    assert.are.equal("fifo", root:stat("fifo").kind)
    assert.are.equal("device", file.stat("/dev/null").kind)
    assert.are.equal("not_found", select(3, root:stat "missing"))
  end)

  it("lists 2,000 files", function()
    for i = 1, 2000 do
      place:write(("file-%04d"):format(i), "")
    end
    local list = assert(root:list())
    assert.are.equal(2000, #list)
    for i = 1, 2000 do
      assert.are.same({ name = ("file-%04d"):format(i), kind = "file" }, list[i])
    end
    assert.are.equal(2000, #root:list(".", { max = 2000 }))
    assert.are.same(TOO_LARGE, table.pack(root:list(".", { max = 1999 })))
  end)

  it("lists what things are", function()
    place:write("dir/a", "")
    assert(os.execute(("ln -s /nowhere %s/link && mkfifo %s/fifo"):format(place.path, place.path)))
    assert.are.same({ { name = "dir", kind = "folder" }, { name = "fifo", kind = "fifo" },
      { name = "link", kind = "link" } }, root:list())
    assert.are.same({ { name = "a", kind = "file" } }, root:list "dir")
    assert.are.equal("invalid", select(3, root:list "dir/a"))
    assert.are.equal("not_found", select(3, root:list "missing"))
  end)

  it("makes folders", function()
    assert.is_true(root:make_folder("a", { permissions = "750" }))
    assert.are.equal("750", root:stat("a").permissions)
    assert.are.equal("exists", select(3, root:make_folder "a"))
    assert.are.equal("not_found", select(3, root:make_folder "b/c"))
    for _, name in ipairs { "a/b/c", "a/b/c", "a//d/", "./e/../e/f", "a" } do
      assert.is_true(root:make_folder(name, { parents = true }))
      assert.are.equal("folder", root:stat(name).kind)
    end
    place:write("file", "")
    assert.are.equal("exists", select(3, root:make_folder("file", { parents = true })))
    assert.are.equal("exists", select(3, root:make_folder("file/x", { parents = true })))
    assert.are.equal("denied", select(3, root:make_folder("../x/y", { parents = true })))
    assert.are.equal("invalid", select(3, root:make_folder(("a/"):rep(3000), { parents = true })))
  end)

  it("removes files, links and empty folders", function()
    place:write("dir/a", "")
    assert(os.execute(("ln -s dir/a %s/link"):format(place.path)))
    assert.are.same({ n = 3, nil, "remove dir: directory not empty", "exists" },
      table.pack(root:remove "dir"))
    assert.is_true(root:remove "link")
    assert.is_true(root:remove "dir/a")
    assert.is_true(root:remove "dir")
    assert.are.equal("", names())
    assert.are.equal("not_found", select(3, root:remove "dir"))
    assert.are.equal("invalid", select(3, root:remove "."))
  end)

  it("renames", function()
    place:write("a", "1")
    place:write("dir/b", "2")
    assert.is_true(root:rename("a", "dir/c"))
    assert.are.equal("1", place:read "dir/c")
    assert.are.equal("exists", select(3, root:rename("dir/b", "dir/c", { replace = false })))
    assert.are.equal("1", place:read "dir/c")
    assert.is_true(root:rename("dir/b", "dir/c"))
    assert.are.equal("2", place:read "dir/c")
    assert.are.equal("not_found", select(3, root:rename("a", "b")))
    assert.are.equal("not_found", select(3, root:rename("dir", "nowhere/dir")))
    assert.are.equal("invalid", select(3, root:rename("dir", "dir/dir")))
  end)

  it("renames and removes so that a loss of power does not undo it", function()
    place:write("a", "1")
    place:write("dir/b", "2")
    assert.is_true(root:rename("a", "dir/c", { sync = true }))
    assert.is_true(root:rename("dir/c", "dir/d", { sync = true, replace = false }))
    assert.are.equal("1", place:read "dir/d")
    assert.are.equal("exists", select(3, root:rename("dir/b", "dir/d", { sync = true, replace = false })))
    assert.is_true(root:remove("dir/d", { sync = true }))
    assert.is_true(root:remove("dir/b", { sync = true }))
    assert.is_true(root:remove("dir", { sync = true }))
    assert.are.equal("", names())
    assert.is_true(root:make_folder("a/b", { sync = true, parents = true }))
    assert.is_true(root:make_folder("a/c", { sync = true }))
    assert.are.equal("exists", select(3, root:make_folder("a/c", { sync = true })))
    assert.is_true(root:remove "a/b" and root:remove "a/c" and root:remove "a")
    assert.are.equal("not_found", select(3, root:remove("dir", { sync = true })))
  end)

  it("opens a folder in it, which is a root too", function()
    place:write("dir/a", "inside")
    place:write("a", "outside")
    local dir <close> = assert(root:folder "dir")
    assert.are.equal("inside", dir:read "a")
    assert.are.equal("denied", select(3, dir:read "../a"))
    assert.are.equal("moonwire.folder: " .. place.path .. "/dir open", tostring(dir))
    assert.are.equal("not_found", select(3, root:folder "missing"))
    assert.are.equal("invalid", select(3, root:folder "a"))
  end)

  it("stays the same when it gets another name", function()
    place:write("dir/a", "1")
    local dir <close> = assert(root:folder "dir")
    root:rename("dir", "other")
    assert.are.equal("1", dir:read "a")
  end)

  it("can be closed twice, and does nothing after", function()
    root:close()
    root:close()
    assert.is_false(root:is_open())
    assert.are.equal("moonwire.folder: closed", tostring(root))
    local calls = { "read", "stat", "list", "remove", "make_folder", "open", "watch", "folder", "lock" }
    for _, call in ipairs(calls) do
      assert.are.same(CLOSED, table.pack(root[call](root, "a")))
    end
    assert.are.same(CLOSED, table.pack(root:write("a", "")))
    assert.are.same(CLOSED, table.pack(root:append("a", "")))
    assert.are.same(CLOSED, table.pack(root:rename("a", "b")))
  end)

  it("is closed at the end of the task that made it, unless it is kept", function()
    local made = task.spawn(function() return root:folder(".") end):join()
    assert.is_false(made:is_open())
    local kept <close> = task.spawn(function() return root:folder("."):keep() end):join()
    assert.is_true(kept:is_open())
  end)

  it("goes on with what is under way when it is closed", function()
    place:write("a", "content")
    local reading = task.spawn(root.read, root, "a")
    task.yield()
    root:close()
    assert.are.equal("content", reading:join())
  end)

  it("is left by cancel", function()
    local writing = task.spawn(root.write, root, "a", ("x"):rep(100000))
    assert(task.spawn(function()
      assert.are.equal("write", writing:waits_for())
      writing:cancel()
      return true
    end):join())
    assert.are.equal("cancelled", select(3, writing:join()))
    -- Not begun, given up, or whole.
    for _ = 1, 20 do
      local status = root:stat "a"
      assert.is_true(not status or status.size == 100000)
    end
  end)

  it("is left by a deadline", function()
    condition.wait_until(function() -- the disk may be faster
      local results = table.pack(task.with_timeout(0.0005, root.write, root, "a", ("x"):rep(1024 * 1024)))
      if results[1] then
        return false
      end
      assert.are.same(TIMEOUT, results)
      return true
    end, 20)
    local status = root:stat "a"
    assert.is_true(not status or status.size == 1024 * 1024)
    assert.are.same(TIMEOUT, table.pack(task.with_timeout(0, root.read, root, "a")))
  end)

  it("never begins what was cancelled while it waited for a thread", function()
    local content = ("x"):rep(1024 * 1024)
    condition.wait_until(function() -- on a busy machine the threads may be done with all by then
      local writing = {}
      for i = 1, 12 do
        writing[i] = task.spawn(root.write, root, "large" .. i, content)
      end
      local late = task.spawn(root.write, root, "late", "x")
      assert(task.spawn(function()
        late:cancel()
        return true
      end):join())
      for i = 1, 12 do
        assert.is_true(writing[i]:join())
      end
      return not root:remove "late"
    end, 30)
  end)

  it("leaves the loop alone while it works", function()
    local turns, done = 0, false
    local turning = task.spawn(function()
      while not done do
        turns = turns + 1
        task.sleep(0.001)
      end
    end)
    local content, writes = ("x"):rep(1024 * 1024), 0
    repeat
      assert(root:write("a", content))
      writes = writes + 1
    until turns > 5 or writes == 500
    done = true
    turning:join()
    assert.is_true(turns > 5, ("%d turns"):format(turns))
  end)

  it("serves many tasks at once", function()
    for i = 1, 50 do
      place:write("file" .. i, tostring(i):rep(1000))
    end
    local group <close> = task.group()
    local read = 0
    for n = 1, 1000 do
      group:spawn(function()
        local i = n % 50 + 1
        assert.are.equal(tostring(i):rep(1000), root:read("file" .. i))
        read = read + 1
      end)
    end
    assert(group:wait())
    assert.are.equal(1000, read)
  end)

  it("refuses arguments that make no sense, and says so at the caller's line", function()
    for problem, call in pairs {
      ["bad argument #1 to 'read' (string expected, got nil)"] = function() root:read(nil) end,
      ["bad argument #2 to 'read' (unknown option 'limit' (known: max))"] =
        function() root:read("a", { limit = 1 }) end,
      ["bad argument #2 to 'read' (option 'max': -1 is not within 0.."] =
        function() root:read("a", { max = -1 }) end,
      ["bad argument #2 to 'write' (string expected, got no value)"] = function() root:write("a") end,
      ["bad argument #3 to 'write' (option 'permissions': three octal digits expected"] =
        function() root:write("a", "", { permissions = "rw-" }) end,
      ["bad argument #2 to 'open' (invalid option 'rw')"] = function() root:open("a", "rw") end,
      ["bad argument #1 to 'rename' (string expected, got no value)"] = function() root:rename() end,
      ["bad argument #2 to 'rename' (string expected, got no value)"] = function() root:rename("a") end,
      ["bad argument #3 to 'rename' (unknown option 'force' (known: replace, sync))"] =
        function() root:rename("a", "b", { force = true }) end,
      ["bad argument #2 to 'remove' (option 'sync': true or false expected, got number)"] =
        function() root:remove("a", { sync = 1 }) end,
      ["bad argument #1 to 'lock' (string expected, got nil)"] = function() root:lock(nil) end,
      ["bad argument #2 to 'lock' (unknown option 'shared' (known: exclusive, timeout))"] =
        function() root:lock("a", { shared = true }) end,
      ["bad argument #2 to 'lock' (option 'timeout': seconds or false expected, got string)"] =
        function() root:lock("a", { timeout = "1" }) end,
      ["bad argument #2 to 'stat' (option 'follow': true or false expected, got number)"] =
        function() file.stat("a", { follow = 1 }) end,
      ["bad argument #1 to 'read' (string expected, got table)"] = function() file.read({}) end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.matches("^%S*folder_spec%.lua:%d+: ", message)
      assert.matches(problem, message, 1, true)
    end
  end)

  it("takes numbers for data as other functions do", function()
    assert.is_true(root:write("a", 42))
    assert.is_true(root:append("a", 1))
    assert.are.equal("421", place:read "a")
  end)
end)

describe("file.root", function()
  it("needs a folder", function()
    assert.are.same({ n = 3, nil, "root /nowhere: no such file or directory", "not_found" },
      table.pack(file.root "/nowhere"))
    assert.are.same({ n = 3, nil, "root /etc/passwd: not a directory", "invalid" },
      table.pack(file.root "/etc/passwd"))
  end)

  it("may stand at the top level of a module", function()
    local place <close> = folder.new()
    place:write("stored.lua", ("return require 'moonwire.file'.root(%q)"):format(place.path))
    local status, log = moonwire.run(([[
      package.path = %q .. "/?.lua;" .. package.path
      local stored = require "stored"
      assert(stored:write("made", "it"))
    ]]):format(place.path))
    assert.are.same({ 0, "" }, { status, log })
    assert.are.equal("it", place:read "made")
  end)
end)

describe("the module", function()
  it("takes any path", function()
    local place <close> = folder.new()
    assert.is_true(file.make_folder(place.path .. "/dir"))
    assert.is_true(file.write(place.path .. "/dir/a", "1"))
    assert.is_true(file.append(place.path .. "/dir/a", "2"))
    assert.are.equal("12", file.read(place.path .. "/dir/../dir/a"))
    assert.is_true(file.rename(place.path .. "/dir/a", place.path .. "/b"))
    assert.are.equal(2, #file.list(place.path))
    assert.is_true(file.remove(place.path .. "/b"))
    assert.matches("Moonwire", file.read "README.md")
  end)

  it("logs what was forgotten and is open", function()
    local status, log = moonwire.run [[
      local file = require "moonwire.file"
      local function forget()
        file.root("/tmp"):keep()
        assert(file.open("/etc/passwd")):keep()
        assert(file.watch("/tmp")):keep()
      end
      forget()
      collectgarbage()
      collectgarbage()
    ]]
    assert.are.equal(0, status)
    for _, what in ipairs { "folder /tmp", "file /etc/passwd", "watch /tmp" } do
      assert.matches(what .. " was left open without a reference", log, 1, true)
    end
  end)

  it("leaves no descriptor open", function()
    local function descriptors()
      return #file.list "/proc/self/fd"
    end
    local before = descriptors()
    local place <close> = folder.new()
    for i = 1, 20 do
      local root <close> = file.root(place.path)
      root:write("a" .. i, "x")
      root:append("a" .. i, "x")
      root:make_folder("dir/" .. i, { parents = true })
      root:read("a" .. i)
      root:read("missing")
      root:rename("a" .. i, "dir/" .. i .. "/b")
      root:remove("dir/" .. i)
      local watch <close> = root:watch "dir"
      local opened <close> = root:open("log", "append")
      local lock <close> = root:lock("lock")
      local abandoned = task.spawn(root.write, root, "big", ("x"):rep(100000))
      task.yield()
      abandoned:cancel()
      assert.is_true(watch:is_open() and opened:is_open() and lock:is_open())
    end
    local due = core.now() + 5
    while descriptors() > before and core.now() < due do
      task.sleep(0.005)
    end
    assert.are.equal(before, descriptors())
  end)
end)
