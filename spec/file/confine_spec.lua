-- What a name must not lead to, whatever it is.
local condition = require "spec.support.condition"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local process = require "spec.support.process"
local task = require "moonwire.task"

-- All that can be done with a name. Each must fail in the same way.
local ACTS <const> = {
  read = function(root, name) return root:read(name) end,
  write = function(root, name) return root:write(name, "x") end,
  append = function(root, name) return root:append(name, "x") end,
  open = function(root, name) return root:open(name) end,
  ["open to write"] = function(root, name) return root:open(name, "write") end,
  ["open to update"] = function(root, name) return root:open(name, "update") end,
  stat = function(root, name) return root:stat(name) end,
  list = function(root, name) return root:list(name) end,
  folder = function(root, name) return root:folder(name) end,
  make_folder = function(root, name) return root:make_folder(name) end,
  remove = function(root, name) return root:remove(name) end,
  ["rename from"] = function(root, name) return root:rename(name, "taken") end,
  ["rename to"] = function(root, name) return root:rename("inside", name) end,
  lock = function(root, name) return root:lock(name) end,
  watch = function(root, name) return root:watch(name) end,
}

describe("a root", function()
  local place, root

  before_each(function()
    place = folder.new()
    place:write("secret", "secret")
    place:write("root/inside", "inside")
    place:write("root/dir/deep", "deep")
    root = assert(file.root(place.path .. "/root"))
  end)

  after_each(function()
    root:close()
    place:remove()
  end)

  local function shell(command, ...)
    assert(os.execute(("cd %s/root && " .. command):format(place.path, ...)))
  end

  -- Nothing outside has been made, changed or removed.
  local function expect_untouched()
    assert.are.equal("secret", place:read "secret")
    assert.are.equal("inside", place:read "root/inside")
    local list = {}
    for i, entry in ipairs(assert(file.list(place.path))) do
      list[i] = entry.name
    end
    assert.are.same({ "root", "secret" }, list)
  end

  local function expect_denied(act, name, reason)
    local result, err, code = ACTS[act](root, name)
    assert.is_nil(result)
    assert.are.equal("denied", code, act .. " " .. name)
    assert.matches(reason, err, 1, true)
  end

  for act in pairs(ACTS) do
    it("is not left by .. in a name: " .. act, function()
      for _, name in ipairs { "../secret", "dir/../../secret", "./../secret", "../root/inside" } do
        expect_denied(act, name, "leads out of the folder")
      end
      expect_untouched()
    end)

    it("is not left by an absolute path: " .. act, function()
      expect_denied(act, place.path .. "/secret", "leads out of the folder")
      expect_denied(act, place.path .. "/root/inside", "leads out of the folder")
      expect_untouched()
    end)

    it("is not left by a link on the way: " .. act, function()
      shell "ln -s .. up"
      expect_denied(act, "up/secret", "leads out of the folder")
      shell("ln -s %s absolute", place.path)
      expect_denied(act, "absolute/secret", "leads out of the folder")
      expect_untouched()
    end)

    it("takes no name with a zero byte: " .. act, function()
      local result, _, code = ACTS[act](root, "inside\0.txt")
      assert.is_nil(result)
      assert.are.equal("invalid", code)
      assert.are.equal("inside", place:read "root/inside")
    end)

    it("takes no endless name, and none that is empty: " .. act, function()
      local _, err, code = ACTS[act](root, ("a"):rep(300))
      assert.are.equal("invalid", code, err)
      _, err, code = ACTS[act](root, ("a/"):rep(4000) .. "a")
      assert.are.equal("invalid", code, err)
      _, err, code = ACTS[act](root, "")
      assert.are.equal("not_found", code, err)
      assert.are.equal("inside", place:read "root/inside")
    end)
  end

  for _, act in ipairs { "read", "append", "open", "open to write", "open to update", "stat", "lock" } do
    it("is not left by a link at the end: " .. act, function()
      shell("ln -s ../secret out && ln -s %s/secret absolute && ln -s ../new dangling", place.path)
      for _, name in ipairs { "out", "absolute" } do
        expect_denied(act, name, "leads out of the folder")
      end
      local _, _, code = ACTS[act](root, "dangling")
      assert.are.equal("denied", code)
      expect_untouched()
    end)
  end

  it("is not left by magic links", function()
    local process_root <close> = assert(file.root "/proc/self")
    for _, name in ipairs { "exe", "fd/0", "root/etc/passwd", "cwd/README.md" } do
      for _, act in ipairs { "read", "open", "stat" } do
        local result, _, code = ACTS[act](process_root, name)
        assert.is_nil(result)
        assert.are.equal("denied", code, name)
      end
    end
    assert.are.equal("denied", select(3, file.read "/proc/self/exe"))
    assert.matches("^Name:", process_root:read "status")
  end)

  it("is not left while somebody exchanges a folder for a link", function()
    shell "mkdir swap && echo inside > swap/secret && ln -s .. link"
    local swapping <close> = process.start { "python3", "-c", [[
import ctypes, os, sys
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
while True:
    libc.renameat2(-100, b"swap", -100, b"link", 2)
]], place.path .. "/root" }
    assert.is_nil(swapping:status())
    local seen = { inside = 0, denied = 0 }
    condition.wait_until(function()
      for _ = 1, 200 do
        local content, err, code = root:read "swap/secret"
        assert.is_true(content == "inside\n" or code == "denied", content or err)
        local key = content and "inside" or "denied"
        seen[key] = seen[key] + 1
      end
      return seen.inside > 0 and seen.denied > 0
    end, 20)
  end)

  it("follows links that stay inside, unless told not to", function()
    shell "ln -s dir/deep link && ln -s dir folder"
    assert.are.equal("deep", root:read "link")
    assert.are.equal("deep", root:read "folder/deep")
    assert.are.equal("deep", root:read "folder/../dir/deep")
    local strict <close> = assert(file.root(place.path .. "/root", { links = false }))
    for _, name in ipairs { "link", "folder/deep" } do
      local result, err, code = strict:read(name)
      assert.are.same({ nil, "denied" }, { result, code })
      assert.are.equal(("read %s: a link that is not followed"):format(name), err)
    end
    assert.are.equal("deep", strict:read "dir/deep")
    local dir <close> = assert(strict:folder "dir")
    assert(os.execute(("ln -s deep %s/root/dir/inner"):format(place.path)))
    assert.are.equal("denied", select(3, dir:read "inner"))
    assert.is_true(strict:remove "link")
  end)

  it("refuses links that lead in a circle", function()
    shell "ln -s a b && ln -s b a"
    assert.are.equal("denied", select(3, root:read "a"))
  end)

  for _, act in ipairs { "read", "write", "append", "open", "open to write", "open to update", "lock" } do
    it("refuses what is no file: " .. act, function()
      shell "mkfifo fifo"
      local server <close> = process.start { "socat", "UNIX-LISTEN:" .. place.path .. "/root/socket", "-" }
      condition.wait_until(function() return root:stat "socket" end)
      assert.is_nil(server:status())
      for _, name in ipairs { "fifo", "socket" } do
        local result, err, code = ACTS[act](root, name)
        assert.is_nil(result)
        assert.are.equal("invalid", code)
        assert.matches(name .. ": not a regular file", err, 1, true)
      end
      local _, err, code = ACTS[act](root, "dir")
      assert.are.equal("invalid", code)
      assert.matches("dir: is a directory", err, 1, true)
      local devices <close> = assert(file.root "/dev")
      for _, name in ipairs { "null", "zero", "tty" } do
        assert.are.equal("invalid", select(3, ACTS[act](devices, name)))
      end
    end)
  end

  it("does not wake who waits at the other end of a FIFO", function()
    shell "mkfifo fifo"
    local write = "echo started >&2; echo > $0"
    local writer <close> = process.start { "sh", "-c", write, place.path .. "/root/fifo" }
    condition.wait_until(function() return writer:errors() ~= "" end)
    for _ = 1, 5 do
      assert.are.equal("invalid", select(3, root:read "fifo"))
      assert.are.equal("invalid", select(3, root:open("fifo", "update")))
      task.sleep(0.005)
    end
    assert.is_nil(writer:status())
  end)
end)
