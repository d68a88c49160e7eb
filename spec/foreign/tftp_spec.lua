-- tftp-hpa, atftp and curl with our server, and our client with the server of tftp-hpa.
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local tftp = require "moonwire.tftp"

local SCRIPT <const> = lfs.currentdir() .. "/scripts/tftp.lua"
local SECONDS <const> = 30

-- More blocks of 512 bytes than would fit a window or two, and text with all ends of lines.
local function content(size)
  local pieces = {}
  for i = 1, size // 8 + 1 do
    pieces[i] = ("%07d\n"):format(i)
  end
  return table.concat(pieces):sub(1, size)
end

local function free_port()
  local probe <close> = assert(net.datagram("udp://127.0.0.1:0"))
  return probe:local_address():match("%d+$")
end

describe("our server of tftp and", function()
  local here, there, server, port
  local text <const> = content(300001)

  before_each(function()
    here, there = folder.new(), folder.new()
    there:write("in.bin", text)
    server = moonwire.serve { script = SCRIPT, listen = { "udp://127.0.0.1:0" }, options = {
      "--set", "root=" .. there.path, "--set", "write=true",
    } }
    port = server.port
  end)

  after_each(function()
    server:stop()
    here:remove()
    there:remove()
  end)

  local function run(words)
    words.seconds = SECONDS
    local status, output, errors = process.run(words)
    assert.are.equal(0, status, output .. errors)
    return output .. errors
  end

  for _, mode in ipairs { "binary", "ascii" } do
    it("tftp-hpa in mode " .. mode, function()
      local target = here.path .. "/out"
      run { "tftp", "-4", "-m", mode, "127.0.0.1", port, "-c", "get", "in.bin", target }
      assert.is_true(text == here:read("out"))
      run { "tftp", "-4", "-m", mode, "127.0.0.1", port, "-c", "put", target, "back" }
      condition.wait_until(function() return there:read("back") end, SECONDS)
      assert.is_true(text == there:read("back"))
    end)
  end

  it("tftp-hpa, which is told why not", function()
    local _, output, errors = process.run {
      "tftp", "-4", "127.0.0.1", port, "-c", "get", "nothing", here.path .. "/x", seconds = SECONDS,
    }
    assert.matches("file not found", (output .. errors):lower())
  end)

  for _, option in ipairs { "windowsize 1", "windowsize 16", "blksize 1400", "tsize 0", "timeout 3" } do
    it("atftp with option " .. option, function()
      local target = here.path .. "/out"
      run { "atftp", "--option", option, "-g", "-r", "in.bin", "-l", target, "127.0.0.1", port }
      assert.is_true(text == here:read("out"))
      run { "atftp", "--option", option, "-p", "-r", "back", "-l", target, "127.0.0.1", port }
      condition.wait_until(function() return there:read("back") end, SECONDS)
      assert.is_true(text == there:read("back"))
    end)
  end

  for _, size in ipairs { "512", "1428", "65464" } do
    it("curl with blocks of " .. size, function()
      local target, url = here.path .. "/out", ("tftp://127.0.0.1:%d/"):format(port)
      run { "curl", "-s", "-S", "--tftp-blksize", size, "-o", target, url .. "in.bin" }
      assert.is_true(text == here:read("out"))
      run { "curl", "-s", "-S", "--tftp-blksize", size, "-T", target, url .. "back" }
      condition.wait_until(function() return there:read("back") end, SECONDS)
      assert.is_true(text == there:read("back"))
    end)
  end
end)

describe("our client of tftp and", function()
  local there
  local text <const> = content(300001)

  before_each(function()
    there = folder.new()
    os.execute(("chmod 777 '%s'"):format(there.path))
    there:write("in.bin", text)
    os.execute(("chmod 644 '%s/in.bin'"):format(there.path))
  end)

  after_each(function()
    there:remove()
  end)

  -- Carries files both ways, once the server has begun to answer.
  local function expect_exchange(child, address, options)
    local got
    condition.wait_until(function()
      got = tftp.get(address, "in.bin", { timeout = 0.2, retries = 2 })
      return got
    end, SECONDS, function() return child:output() .. child:errors() end)
    assert.is_true(text == got)
    assert.is_true(text == tftp.get(address, "in.bin", options))
    assert.are.equal(#text, (tftp.put(address, "back", text, options)))
    condition.wait_until(function() return there:read("back") == text end, SECONDS)
    assert.are.equal("not_found", select(3, tftp.get(address, "nothing")))
  end

  it("tftpd-hpa", function()
    local port = free_port()
    local child <close> = process.start {
      "/usr/sbin/in.tftpd", "--foreground", "--listen", "--address", "127.0.0.1:" .. port, "--create",
      "--permissive", "--secure", "--user", "nobody", there.path,
    }
    expect_exchange(child, "127.0.0.1:" .. port, { block_size = 8192 })
  end)
end)
