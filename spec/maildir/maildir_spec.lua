-- Mailboxes: what is delivered, listed, read, marked and removed.
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local maildir = require "moonwire.maildir"
local process = require "spec.support.process"
local task = require "moonwire.task"

local CLOSED <const> = { n = 3, nil, "closed", "closed" }

describe("a Maildir", function()
  local place, box

  before_each(function()
    place = folder.new()
    box = assert(maildir.open(place.path .. "/deep/ann", { create = true }))
  end)

  after_each(function()
    box:close()
    place:remove()
  end)

  local function names(part)
    local found = {}
    for _, entry in ipairs(assert(file.list(place.path .. "/deep/ann/" .. part))) do
      found[#found + 1] = entry.name
    end
    return found
  end

  local function content(message)
    local opened <close> = assert(box:read(message))
    return opened:size() == 0 and "" or assert(opened:read(1000000))
  end

  local function put(name, text)
    place:write("deep/ann/" .. name, text)
  end

  it("is made when asked for, for its owner only", function()
    assert.are.equal("700", assert(file.stat(place.path .. "/deep/ann/new")).permissions)
    assert.are.equal("not_found", select(3, maildir.open(place.path .. "/nobody")))
    lfs.mkdir(place.path .. "/other")
    assert.are.equal("not_found", select(3, maildir.open(place.path .. "/other")))
    place:write("odd/tmp", "")
    assert.are.equal("invalid", select(3, maildir.open(place.path .. "/odd")))
    assert.are.equal("invalid", select(3, maildir.open(place.path .. "/odd/tmp")))
    local again <close> = assert(maildir.open(place.path .. "/deep/ann", { create = true }))
    assert.is_not_nil(again)
  end)

  it("gets a message whole, with the line ends of the disk and its sizes in the name", function()
    local id = assert(box:deliver("Subject: a\r\n\r\nb\nc\r\r\n\r"))
    assert.are.same({}, names "tmp")
    local messages = assert(box:list())
    assert.are.equal(1, #messages)
    local message = messages[1]
    assert.are.same({ id, "new", "", 21 }, { message.id, message.folder, message.flags, message.size })
    assert.are.equal(id .. ",S=18,W=21", message.name)
    assert.are.equal("Subject: a\n\nb\nc\r\n\r", content(message))
    assert.are.equal("600", assert(file.stat(place.path .. "/deep/ann/new/" .. message.name)).permissions)
    assert.matches("^%d+%.Q%d+R%x+%.[%w.\\-]+$", id)
  end)

  it("gets a message in pieces, however they are cut", function()
    local text = "a\r\nb\r\r\n\r\n.\n"
    for size = 1, #text do
      local draft <close> = assert(box:draft())
      for at = 1, #text, size do
        assert(draft:write(text:sub(at, at + size - 1)))
      end
      assert(draft:commit())
    end
    for _, message in ipairs(assert(box:list())) do
      assert.are.equal("a\nb\r\n\n.\n", content(message))
      assert.are.equal(11, message.size)
    end
  end)

  it("shows nothing of a message before it is committed, nor when it is given up", function()
    do
      local draft <close> = assert(box:draft())
      assert(draft:write "half")
      assert.are.same({}, assert(box:list()))
      assert.are.equal(1, #names "tmp")
    end
    assert.are.same({}, names "tmp")
    local draft = assert(box:draft())
    draft:abort()
    draft:abort()
    assert.are.same(CLOSED, table.pack(draft:write "x"))
    assert.are.same(CLOSED, table.pack(draft:commit()))
    assert.are.same({}, names "tmp")
    assert.are.same({}, names "new")
  end)

  it("keeps what is prepared until it is finished, once", function()
    local draft = assert(box:draft { id = "queue-1.2" })
    assert(draft:write "text\r\n")
    local move = assert(draft:prepare())
    draft:abort()
    assert.are.same({ from = "tmp/queue-1.2", to = "new/queue-1.2,S=5,W=6" }, move)
    assert.are.same({}, assert(box:list()))
    assert.is_true(box:finish(move))
    assert.is_true(box:finish(move))
    local message = assert(box:list())[1]
    assert.are.equal("queue-1.2", message.id)
    assert.is_true(box:set_flags(message, "S")) -- read meanwhile
    assert.is_true(box:finish(move))
    assert.are.equal(1, #assert(box:list()))
    assert.is_true(box:remove(message))
    assert.are.equal("not_found", select(3, box:finish(move)))
  end)

  it("writes over what an earlier draft of an id has left", function()
    assert(assert(box:draft { id = "a" }):write "a longer text")
    local draft <close> = assert(box:draft { id = "a" })
    assert(draft:write "short")
    assert(draft:commit())
    assert.are.equal("short", content(assert(box:list())[1]))
  end)

  it("lists messages in the order in which they came, and no other files", function()
    local ids = {}
    for i = 1, 20 do
      ids[i] = assert(box:deliver("message " .. i))
    end
    put("new/9.first", "")
    put("cur/99.second:2,RS", "")
    put("cur/.hidden", "")
    lfs.mkdir(place.path .. "/deep/ann/cur/folder")
    local messages = assert(box:list())
    assert.are.equal(22, #messages)
    assert.are.same({ "9.first", "new", "" }, { messages[1].id, messages[1].folder, messages[1].flags })
    assert.are.same({ "99.second", "cur", "RS" }, { messages[2].id, messages[2].folder, messages[2].flags })
    for i = 1, 20 do
      assert.are.equal(ids[i], messages[i + 2].id)
    end
    assert.are.same({ n = 3, nil, "too_large", "too_large" }, table.pack(box:list { max = 21 }))
    assert.are.equal(22, #assert(box:list { max = 22 }))
  end)

  it("takes a message that moves meanwhile for one", function()
    put("new/1.a", "old")
    put("cur/1.a:2,S", "new")
    local messages = assert(box:list())
    assert.are.equal(1, #messages)
    assert.are.equal("cur", messages[1].folder)
  end)

  it("tells how many bytes are in it, as far as names tell", function()
    assert.equal(0, box:usage())
    assert(box:deliver "a\r\nb\r\n")
    put("cur/1.a,S=90,W=100:2,S", "x")
    put("new/2.b", "x")
    assert.equal(106, box:usage())
  end)

  it("measures what has no size in its name, as it goes over the wire", function()
    put("new/1.a", "a\nb\r\n\n\r")
    put("new/2.b", ("x"):rep(65535) .. "\r\n" .. ("y\n"):rep(40000)) -- a CR and its LF in two pieces
    put("new/3.c", "")
    local sizes = {}
    for i, message in ipairs(assert(box:list())) do
      assert.is_nil(message.size)
      sizes[i] = assert(box:measure(message))
      assert.are.equal(sizes[i], message.size)
    end
    assert.are.same({ 9, 65537 + 120000, 0 }, sizes)
  end)

  it("finds messages that other programs have given flags", function()
    put("new/1.a", "text")
    local message = assert(box:list())[1]
    assert(os.rename(place.path .. "/deep/ann/new/1.a", place.path .. "/deep/ann/cur/1.a:2,FS"))
    assert.are.equal("text", content(message))
    assert.are.same({ "cur", "1.a:2,FS" }, { message.folder, message.name })
    assert.is_true(box:set_flags(message, "TSRS"))
    assert.are.same({ "1.a:2,RST" }, names "cur")
    assert.are.same({ "1.a:2,RST", "RST" }, { message.name, message.flags })
    assert(os.rename(place.path .. "/deep/ann/cur/1.a:2,RST", place.path .. "/deep/ann/cur/1.a:2,"))
    assert.is_true(box:remove(message))
    assert.are.same({}, names "cur")
    for _, method in ipairs { "read", "remove", "measure" } do
      message.size = nil
      assert.are.same({ n = 3, nil, "find message 1.a: not found", "not_found" },
        table.pack(box[method](box, message)))
    end
  end)

  it("has a lock for those who ask for it", function()
    local other <close> = assert(maildir.open(place.path .. "/deep/ann"))
    do
      local lock <close> = assert(box:lock { timeout = 0 })
      assert.is_not_nil(lock)
      assert.are.equal("timeout", select(3, other:lock { timeout = 0 }))
      assert(other:deliver "text")
    end
    local lock <close> = assert(other:lock { timeout = 0 })
    assert.is_not_nil(lock)
  end)

  it("is cleaned of deliveries that were broken off long ago", function()
    put("tmp/old", "")
    put("tmp/young", "")
    assert.are.equal(0, (process.run { "touch", "-d", "37 hours ago", place.path .. "/deep/ann/tmp/old" }))
    assert.are.equal(1, box:clean())
    assert.are.same({ "young" }, names "tmp")
  end)

  it("takes many deliveries at once", function()
    local group <close> = task.group()
    for i = 1, 50 do
      group:spawn(function() assert(box:deliver("message " .. i)) end)
    end
    assert(group:wait())
    local seen, messages = {}, assert(box:list())
    for _, message in ipairs(messages) do
      seen[content(message)] = true
    end
    assert.are.equal(50, #messages)
    for i = 1, 50 do
      assert.is_true(seen["message " .. i])
    end
  end)

  it("says that it is closed", function()
    local message = { id = "1.a", name = "1.a", folder = "new" }
    box:close()
    box:close()
    assert.are.same(CLOSED, table.pack(box:list()))
    assert.are.same(CLOSED, table.pack(box:draft()))
    assert.are.same(CLOSED, table.pack(box:deliver "x"))
    assert.are.same(CLOSED, table.pack(box:read(message)))
    assert.are.same(CLOSED, table.pack(box:lock()))
    assert.are.same(CLOSED, table.pack(box:clean()))
  end)

  it("refuses arguments that make no sense, and says so at the caller's line", function()
    for problem, call in pairs {
      ["bad argument #1 to 'open' (string expected, got nil)"] = function() maildir.open(nil) end,
      ["bad argument #1 to 'deliver' (string expected, got table)"] = function() box:deliver {} end,
      ["bad argument #1 to 'draft' (option 'id': letters, digits"] =
        function() box:draft { id = "a/../b" } end,
      ["bad argument #1 to 'read' (table expected, got nil)"] = function() box:read(nil) end,
      ["bad argument #2 to 'set_flags' (letters expected)"] = function() box:set_flags({}, "a/b") end,
      ["moonwire.maildir expected, got string; call it with a colon"] = function() box.deliver "text" end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.is_not_nil(message:find(problem, 1, true), message)
      assert.matches("maildir_spec", message)
    end
  end)
end)

describe("a full disk", function()
  it("refuses a delivery and keeps nothing of it", function()
    local place <close> = folder.new()
    if process.run { "mount", "-t", "tmpfs", "-o", "size=256k", "none", place.path } ~= 0 then
      return pending "needs the right to mount"
    end
    local box = assert(maildir.open(place.path, { create = true }))
    local result = table.pack(box:deliver(("x"):rep(512 * 1024)))
    local left = #assert(file.list(place.path .. "/tmp"))
    local delivered = box:deliver "small"
    box:close()
    assert.are.equal(0, (process.run { "umount", place.path }))
    assert.are.equal("full", result[3])
    assert.are.equal(0, left)
    assert.is_not_nil(delivered)
  end)
end)
