-- Server and client with each other, over sockets of the kernel.
local condition = require "spec.support.condition"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local tftp = require "moonwire.tftp"

-- Bytes in which a block that is missing, doubled or out of its place shows.
local function content(size)
  local pieces = {}
  for i = 1, size // 8 + 1 do
    pieces[i] = ("%07d\n"):format(i)
  end
  return table.concat(pieces):sub(1, size)
end

describe("tftp", function()
  local here, root, ended

  before_each(function()
    here, ended = folder.new(), {}
    root = assert(file.root(here.path))
  end)

  after_each(function()
    root:close()
    here:remove()
  end)

  -- A server with its own port, whose transfers are noted.
  local function serve(policy, options)
    policy.ended = function(transfer) ended[#ended + 1] = transfer end
    local server = tftp.server(policy, options)
    local socket = assert(net.datagram("udp://127.0.0.1:0"))
    task.spawn(function()
      for data, peer in socket:datagrams() do
        task.spawn(server.answer, server, socket, data, peer)
      end
    end)
    return socket:local_address(), server, socket
  end

  for _, size in ipairs { 0, 1, 511, 512, 513, 1024, 100000 } do
    for _, window in ipairs { 1, 7 } do
      it(("carries %d bytes both ways in windows of %d"):format(size, window), function()
        local text, options = content(size), { block_size = 512, window_size = window }
        here:write("in.bin", text)
        local address, server = serve(tftp.folder(root, { write = true }))
        local got, result = tftp.get(address, "in.bin", options)
        assert.are.equal(text, got)
        assert.are.same({ size, 512, window }, { result.bytes, result.block_size, result.window_size })
        assert.are.equal(size, tftp.put(address, "/out.bin", text, options))
        assert.is_true(server:wait(10))
        assert.are.equal(text, here:read("out.bin"))
        assert.are.equal(0, server:transfers())
        assert.is_nil(ended[1].err or ended[2].err)
        assert.are.same({ "read", "write", size, size },
          { ended[1].kind, ended[2].kind, ended[1].bytes, ended[2].bytes })
      end)
    end
  end

  it("goes on past block 65535", function()
    local text = content(65536 * 8 + 100)
    local address = serve({
      read = function() return text end,
      write = function() return nil, "denied", "denied" end,
    })
    local got = tftp.get(address, "x", { block_size = 8, window_size = 1000, max = #text })
    assert.is_true(text == got)
  end)

  it("takes what it writes only when it is whole, and reads from open files", function()
    local source <close> = assert(file.open(here:write("source", content(200000))))
    local target <close> = assert(file.open(here.path .. "/target", "write"))
    local address = serve(tftp.folder(root, { write = true }))
    assert.are.equal(200000, (tftp.put(address, "copy", source)))
    assert.are.equal(200000, (tftp.get(address, "copy", { into = target })))
    assert.are.equal(content(200000), here:read("target"))
    assert.is_nil(here:read(".upload"))
  end)

  it("changes the ends of lines in netascii, wherever pieces are cut", function()
    local text = ("a\nb\r\n\rc\n"):rep(9000) .. "\r"
    here:write("text", text)
    local address = serve(tftp.folder(root, { write = true }))
    assert.is_true(text == tftp.get(address, "text", { mode = "netascii" }))
    assert.are.equal(#text, (tftp.put(address, "back", text, { mode = "netascii", block_size = 9 })))
    assert.is_true(text == here:read("back"))
  end)

  local function code_of(...)
    return (select(3, ...))
  end

  it("keeps to the folder, and to what may be written", function()
    here:write("there", "old")
    os.execute(("ln -s /etc/passwd '%s/out'; mkfifo '%s/fifo'"):format(here.path, here.path))
    local address = serve(tftp.folder(root))
    for name, code in pairs {
      ["../etc/passwd"] = "denied", ["out"] = "denied", ["/etc/passwd"] = "not_found", ["fifo"] = "denied",
      ["nothing"] = "not_found", ["."] = "denied", ["/"] = "denied", ["a/../../x"] = "not_found",
    } do
      assert.are.equal(code, code_of(tftp.get(address, name)), name)
    end
    assert.are.equal("denied", code_of(tftp.put(address, "new", "x")))
    address = serve(tftp.folder(root, { write = true }))
    assert.are.equal("exists", code_of(tftp.put(address, "there", "x")))
    assert.are.equal("not_found", code_of(tftp.put(address, "no/folder", "x")))
    assert.are.equal("denied", code_of(tftp.put(address, "../x", "x")))
    assert.are.equal("denied", code_of(tftp.put(address, "fifo", "x")))
    address = serve(tftp.folder(root, { write = true, overwrite = true }))
    assert.are.equal(3, (tftp.put(address, "there", "new")))
    assert.are.equal("new", here:read("there"))
  end)

  it("keeps limits of size on both sides, before and while data comes", function()
    local address = serve(tftp.folder(root, { write = true }), { max = 1000 })
    assert.are.equal("full", code_of(tftp.put(address, "big", ("x"):rep(1001))))
    local left = 3
    local unsized = { read = function()
      left = left - 1
      return left > 0 and ("x"):rep(600) or nil, "eof", "eof"
    end }
    assert.are.equal("full", code_of(tftp.put(address, "big", unsized)))
    assert.is_nil(here:read("big"))
    assert.are.equal(1000, (tftp.put(address, "fits", ("x"):rep(1000))))
    assert.are.equal("too_large", code_of(tftp.get(address, "fits", { max = 999 })))
    assert.are.equal("too_large", code_of(tftp.get(address, "fits", { max = 999, mode = "netascii" })))
    assert.are.equal(1000, #tftp.get(address, "fits", { max = 1000 }))
  end)

  it("grants what it may of what is asked for", function()
    here:write("x", content(5000))
    local address = serve(tftp.folder(root), { block_size = 1000, window_size = 2 })
    local _, result = tftp.get(address, "x", { block_size = 1428, window_size = 9, interval = 2 })
    assert.are.same({ 1000, 2 }, { result.block_size, result.window_size })
    address = serve(tftp.folder(root))
    _, result = tftp.get(address, "x", { block_size = 65464, window_size = 60 })
    assert.are.same({ 65464, 2 }, { result.block_size, result.window_size })
  end)

  it("serves so many at a time, from one address and in all", function()
    local gate = sync.event()
    local address, server = serve({
      read = function() gate:wait(30) return "x" end, write = function() return nil, "denied", "denied" end,
    }, { per_address = 2, timeout = 5 })
    local tasks, done, refused = {}, 0, 0
    for i = 1, 5 do
      tasks[i] = task.spawn(tftp.get, address, "x" .. i)
    end
    condition.wait_until(function() return #ended == 3 end, 30)
    gate:set()
    for i = 1, 5 do
      local data, _, code = tasks[i]:join(20)
      done = done + (data == "x" and 1 or 0)
      refused = refused + (code == "refused" and 1 or 0)
    end
    assert.are.same({ 2, 3 }, { done, refused })
    assert.is_true(server:wait(10))
  end)

  it("blames callers for what cannot be", function()
    assert.has_error(function() tftp.get("127.0.0.1", "a\nb") end,
      "bad argument #2 to 'get' (a name without control bytes expected)")
    assert.error_matches(function() tftp.put("127.0.0.1", "x", "", { block_size = 7 }) end, "8 to 65464")
    assert.error_matches(function() tftp.server({}, { no = 1 }) end, "unknown option 'no'")
    assert.error_matches(function() tftp.folder({}) end, "a folder of file.root expected")
    assert.are.equal("too_large", code_of(tftp.get("127.0.0.1", ("x"):rep(600))))
  end)

  it("gives up when nobody answers", function()
    local silent <close> = assert(net.datagram("udp://127.0.0.1:0"))
    local options = { timeout = 0.01, retries = 2 }
    assert.are.equal("timeout", code_of(tftp.get(silent:local_address(), "x", options)))
    for _ = 1, 3 do
      assert.matches("^\0\1x\0octet\0blksize\0001428\0tsize\0000\0windowsize\0008\0$", (silent:receive(5)))
    end
  end)
end)
