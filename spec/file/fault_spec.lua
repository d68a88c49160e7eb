-- Disks that are full or broken, processes that die in the middle.
local condition = require "spec.support.condition"
local core = require "moonwire.core"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local task = require "moonwire.task"

local FULL <const> = "no space left on device"

describe("a full disk", function()
  local place, root

  -- A file system of 256 KiB.
  before_each(function()
    place = folder.new()
    local status = process.run { "mount", "-t", "tmpfs", "-o", "size=256k", "none", place.path }
    root = status == 0 and assert(file.root(place.path)) or nil
  end)

  after_each(function()
    if root then
      root:close()
      assert.are.equal(0, (process.run { "umount", place.path }))
    end
    place:remove()
  end)

  local function names()
    local list = {}
    for i, entry in ipairs(assert(root:list())) do
      list[i] = entry.name
    end
    return list
  end

  local function spec(name, fn)
    it(name, function()
      if not root then
        return pending "needs the right to mount"
      end
      fn()
    end)
  end

  spec("leaves the old file, and nothing beside it", function()
    assert(root:write("a", "old"))
    local content = ("x"):rep(512 * 1024)
    for _, sync in ipairs { true, false } do
      assert.are.same({ n = 3, nil, "write a: " .. FULL, "full" },
        table.pack(root:write("a", content, { sync = sync })))
      assert.are.equal("old", root:read "a")
      assert.are.same({ n = 3, nil, "write b: " .. FULL, "full" },
        table.pack(root:write("b", content, { sync = sync })))
      assert.are.same({ "a" }, names())
    end
    assert(root:write("a", ("y"):rep(100 * 1024)))
  end)

  spec("leaves no part of what was appended", function()
    local line = ("x"):rep(100 * 1024)
    assert(root:append("log", line))
    assert(root:append("log", line))
    assert.are.same({ n = 3, nil, "append log: " .. FULL, "full" }, table.pack(root:append("log", line)))
    assert.are.equal(200 * 1024, root:stat("log").size)
    local opened <close> = assert(root:open("log", "append"))
    assert.are.same({ n = 3, nil, "write log: " .. FULL, "full" }, table.pack(opened:write(line)))
    assert.are.equal(200 * 1024, opened:size())
    assert(opened:write("end"))
    assert.are.equal(200 * 1024 + 3, opened:size())
  end)

  spec("leaves an open file at its size and position", function()
    local opened <close> = assert(root:open("a", "update"))
    assert(opened:write(("x"):rep(150 * 1024)))
    assert.are.equal("full", select(3, opened:write(("y"):rep(150 * 1024))))
    assert.are.equal(150 * 1024, opened:position())
    assert.are.equal(150 * 1024, opened:size())
  end)

  spec("has no room for folders either", function()
    local made, err, code, i = true, nil, nil, 0
    while made do
      i = i + 1
      made, err, code = root:make_folder("dir" .. i)
      if i > 100000 then
        return -- this kernel counts no folders
      end
    end
    assert.are.equal("full", code, err)
  end)
end)

describe("a disk that fails", function()
  it("is an error of the read, not the end of the file", function()
    -- Reading the memory at address 0 of a process is an input/output error.
    assert.are.same({ n = 3, nil, "read /proc/self/mem: input/output error", "system" },
      table.pack(file.read "/proc/self/mem"))
    local opened <close> = assert(file.open "/proc/self/mem")
    assert.are.same({ n = 3, nil, "read /proc/self/mem: input/output error", "system" },
      table.pack(opened:read(10)))
    local ok, fault = pcall(function()
      for _ in opened:chunks() do
        error "read"
      end
    end)
    assert.is_false(ok)
    local code, message = core.is_fault(fault)
    assert.are.same({ "system", "read /proc/self/mem: input/output error" }, { code, message })
  end)

  it("is an error of the write", function()
    -- What is written to this file of the kernel's is refused.
    local opened = file.open("/proc/self/clear_refs", "append")
    if not opened then
      return pending "needs the right to write it"
    end
    assert.are.same({ n = 3, nil, "write /proc/self/clear_refs: invalid argument", "invalid" },
      table.pack(opened:write("nonsense")))
    opened:close()
  end)
end)

describe("a process that is killed while it writes", function()
  it("leaves the old content or the new", function()
    local place <close> = folder.new()
    local SIZE <const> = 512 * 1024
    local code = ([[
      local file = require "moonwire.file"
      local root = file.root(%q)
      while true do
        for letter in ("abcdefgh"):gmatch "." do
          assert(root:write("target", letter:rep(%d)))
        end
      end
    ]]):format(place.path, SIZE)
    for _ = 1, 8 do
      local before = file.read(place.path .. "/target", { max = SIZE })
      local writer <close> = process.start { moonwire.binary, "run", "-e", code }
      condition.wait_until(function()
        local content = file.read(place.path .. "/target", { max = SIZE })
        return content and content ~= before
      end, 30)
      task.sleep(math.random() * 0.02)
      writer:signal "KILL"
      writer:wait()
      local content = assert(file.read(place.path .. "/target", { max = SIZE }))
      assert.are.equal(SIZE, #content)
      assert.are.equal(content:sub(1, 1):rep(SIZE), content)
    end
  end)
end)

describe("a process that is told to stop while it writes", function()
  it("leaves whole files, and ends", function()
    local place <close> = folder.new()
    local writer <close> = process.start { moonwire.binary, "run", "-e", ([[
      local file = require "moonwire.file"
      local task = require "moonwire.task"
      local root = file.root(%q)
      for i = 1, 20 do
        task.spawn(function()
          while true do
            assert(root:write("file" .. i, ("x"):rep(64 * 1024)))
          end
        end)
      end
    ]]):format(place.path) }
    condition.wait_until(function() return #file.list(place.path) >= 20 end, 30)
    writer:signal "TERM"
    assert.are.equal(0, writer:wait())
    for _, entry in ipairs(file.list(place.path)) do
      assert.matches("^file%d+$", entry.name)
      assert.are.equal(64 * 1024, file.stat(place.path .. "/" .. entry.name).size)
    end
  end)
end)
