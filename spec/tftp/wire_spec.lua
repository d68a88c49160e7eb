-- The packets of both sides, one by one; and both over a network that loses, doubles and reorders them.
local net = require "moonwire.net"
local task = require "moonwire.task"
local tftp = require "moonwire.tftp"

local SECONDS <const> = 10

local function bind(host)
  return assert(net.datagram(("udp://%s:0"):format(host or "127.0.0.1"), { read_timeout = SECONDS }))
end

local function data(block, text)
  return string.pack(">I2I2", 3, block) .. text
end

local function ack(block)
  return string.pack(">I2I2", 4, block)
end

local function problem(number, text)
  return string.pack(">I2I2z", 5, number, text)
end

local function content(size)
  local bytes = {}
  for i = 1, size do
    bytes[i] = string.char(i * 7 % 251)
  end
  return table.concat(bytes)
end

-- A server of one file `text`, which keeps what is written to it.
local function serve(text, options)
  local kept = { ended = {} }
  local server = tftp.server({
    read = function() return text end,
    write = function()
      local pieces = {}
      return {
        write = function(_, chunk) pieces[#pieces + 1] = chunk return true end,
        commit = function() kept.text = table.concat(pieces) return true end,
        abort = function() kept.is_aborted = true end,
      }
    end,
    ended = function(transfer) table.insert(kept.ended, transfer) end,
  }, options)
  local socket = bind()
  task.spawn(function()
    for datagram, peer in socket:datagrams() do
      task.spawn(server.answer, server, socket, datagram, peer)
    end
  end)
  return socket:local_address(), kept, server
end

describe("a server of tftp", function()
  local client

  before_each(function()
    client = bind()
  end)

  after_each(function()
    client:close()
  end)

  local function expect(datagram)
    local got, peer = client:receive()
    assert.are.equal(datagram, got)
    return peer
  end

  it("sends blocks of 512 bytes from a port of its own, and an empty one at the end", function()
    local text = content(1024)
    local address = serve(text)
    client:send("\0\1file\0OCTET\0", address)
    local tid = expect(data(1, text:sub(1, 512)))
    assert.are_not.equal(address, tid)
    client:send(ack(1), tid)
    expect(data(2, text:sub(513)))
    client:send(ack(2), tid)
    expect(data(3, ""))
    client:send(ack(3), tid)
  end)

  it("grants options that it knows, in bounds, and waits for the acknowledgement", function()
    local text = content(20)
    local address = serve(text)
    client:send("\0\1f\0octet\0BlkSize\0009\0tsize\0000\0colour\0red\0windowsize\0002\0timeout\0003\0",
      address)
    local tid = expect("\0\6blksize\0009\0timeout\0003\0tsize\00020\0windowsize\0002\0")
    client:send(ack(0), tid)
    expect(data(1, text:sub(1, 9)))
    expect(data(2, text:sub(10, 18)))
    client:send(ack(2), tid)
    expect(data(3, text:sub(19)))
    client:send(ack(3), tid)
    client:send("\0\1f\0octet\0blksize\0007\0timeout\0000\0windowsize\0000\0tsize\0-1\0", address)
    tid = expect(data(1, text))
    client:send(ack(1), tid)
    client:send("\0\1f\0netascii\0tsize\0000\0timeout\00099\0blksize\00099999999\0", address)
    tid = expect("\0\6blksize\00065464\0")
    client:send(problem(8, "no"), tid)
  end)

  it("acknowledges what is written, and what has come twice", function()
    local address, kept = serve()
    client:send("\0\2f\0octet\0", address)
    local tid = expect(ack(0))
    client:send(data(1, ("a"):rep(512)), tid)
    expect(ack(1))
    client:send(data(1, ("a"):rep(512)), tid)
    expect(ack(1))
    client:send(data(2, "end"), tid)
    expect(ack(2))
    assert.are.equal(("a"):rep(512) .. "end", kept.text)
    client:send(data(2, "end"), tid) -- our acknowledgement was lost
    expect(ack(2))
    assert.is_nil(kept.is_aborted)
    assert.are.equal(515, kept.ended[1].bytes)
  end)

  it("sends nothing again for an acknowledgement that came twice", function()
    local text = content(1500)
    local address = serve(text, { timeout = 60 })
    client:send("\0\1f\0octet\0", address)
    local tid = expect(data(1, text:sub(1, 512)))
    client:send(ack(1), tid)
    client:send(ack(1), tid)
    client:send(ack(0), tid)
    client:send(ack(7), tid)
    expect(data(2, text:sub(513, 1024)))
    client:send(ack(1), tid)
    client:send(ack(2), tid)
    expect(data(3, text:sub(1025))) -- and not block 2 before it
    client:send(ack(3), tid)
  end)

  it("goes back to a gap in a window, once", function()
    local text = content(48)
    local address = serve(text, { timeout = 60 })
    client:send("\0\1f\0octet\0blksize\0008\0windowsize\0004\0", address)
    local tid = expect("\0\6blksize\0008\0windowsize\0004\0")
    client:send(ack(0), tid)
    local function expect_blocks(from, to)
      for block = from, to do
        expect(data(block, text:sub(8 * block - 7, 8 * block)))
      end
    end
    expect_blocks(1, 4)
    client:send(ack(2), tid)
    expect_blocks(3, 6)
    client:send(ack(2), tid) -- block 3 was lost: all again
    client:send(ack(2), tid) -- but not twice
    expect_blocks(3, 6)
    client:send(ack(6), tid)
    expect(data(7, ""))
    client:send(ack(7), tid)
  end)

  it("repeats what is not acknowledged, and gives up", function()
    local address, kept, server = serve("text", { timeout = 0.01, retries = 2 })
    client:send("\0\1f\0octet\0", address)
    for _ = 1, 3 do
      expect(data(1, "text"))
    end
    expect(problem(0, "timeout"))
    assert.is_true(server:wait(SECONDS))
    assert.are.same({ "timeout", 2 }, { kept.ended[1].code, kept.ended[1].retransmissions })
  end)

  it("serves a request that came twice once, and from other ports beside it", function()
    local address, _, server = serve("text", { timeout = 60 })
    client:send("\0\1f\0octet\0", address)
    client:send("\0\1f\0octet\0", address)
    local tid = expect(data(1, "text"))
    local other <close> = bind()
    other:send("\0\1f\0octet\0", address)
    assert.are.equal(data(1, "text"), (other:receive()))
    assert.are.equal(2, server:transfers())
    client:send(ack(1), tid)
    client:send("\0\1g\0octet\0", address)
    assert.are_not.equal(tid, expect(data(1, "text")))
  end)

  it("tells strangers at the port of a transfer, and goes on", function()
    local address = serve("text", { timeout = 60 })
    client:send("\0\1f\0octet\0", address)
    local tid = expect(data(1, "text"))
    local stranger <close> = bind()
    for _, datagram in ipairs { problem(0, "end"), ack(1), "nonsense" } do
      stranger:send(datagram, tid)
    end
    for _ = 1, 2 do
      assert.are.equal(problem(5, "unknown transfer ID"), (stranger:receive()))
    end
    client:send(ack(1), tid)
    client:send("\0\1f\0octet\0", address)
    expect(data(1, "text"))
  end)

  it("ends when the peer sends an error, or what is no packet", function()
    local address, kept, server = serve("text", { timeout = 60 })
    client:send("\0\1f\0octet\0", address)
    client:send(problem(3, "no\nroom"), expect(data(1, "text")))
    assert.is_true(server:wait(SECONDS))
    assert.are.same({ "full", "no?room" }, { kept.ended[1].code, kept.ended[1].err })
    for i, wrong in ipairs { "", "x", "\0\9", "\0\4", data(1, "x"), "\0\1f\0octet\0" } do
      client:send(("\0\1%d\0octet\0"):format(i), address)
      client:send(wrong, expect(data(1, "text")))
      assert.are.equal("\0\5\0\4", client:receive():sub(1, 4))
    end
    client:send("\0\2f\0octet\0", address)
    client:send(data(1, ("x"):rep(513)), expect(ack(0)))
    expect(problem(4, "the block is too large"))
    assert.is_true(server:wait(SECONDS))
    assert.is_true(kept.is_aborted)
  end)

  it("refuses what is no request, and never answers an error", function()
    local address = serve("text")
    local none = problem(4, "a request expected")
    for datagram, answer in pairs {
      ["\0\1f\0octet"] = none, [""] = none, ["\0\1f\0"] = none, ["\0\1f\0octet\0tsize\0"] = none,
      ["\0\1" .. ("x"):rep(600) .. "\0octet\0"] = none, [ack(1)] = none,
      ["\0\1f\0mail\0"] = problem(4, "no such mode"),
      ["\0\1\0octet\0"] = problem(2, "no such name"), ["\0\1a\nb\0octet\0"] = problem(2, "no such name"),
      ["\0\1f\0octet\0tsize\0000\0TSIZE\0000\0"] = problem(8, "an option stands there twice"),
    } do
      client:send(problem(1, "x"), address)
      client:send(datagram, address)
      expect(answer)
    end
  end)
end)

describe("a client of tftp", function()
  local server

  before_each(function()
    server = bind()
  end)

  after_each(function()
    server:close()
  end)

  -- Runs a client, and the server's part beside it.
  local function talk(play, call, ...)
    local player = task.spawn(play)
    local results = table.pack(call(server:local_address(), ...))
    assert.is_true(player:join(SECONDS))
    return table.unpack(results, 1, results.n)
  end

  local ONE_BY_ONE <const> = { window_size = 1, block_size = 512, timeout = 30 }

  it("keeps to the port of the first answer, and turns others away", function()
    local got = talk(function()
      local _, client = server:receive()
      local far <close> = bind("127.0.0.2")
      local first <close> = bind()
      local second <close> = bind()
      far:send(data(1, "of another host"), client)
      assert(far:receive(0.05) == nil)
      first:send(data(1, ("a"):rep(512)), client)
      assert(first:receive() == ack(1))
      second:send(data(2, "of another port"), client)
      assert(second:receive() == problem(5, "unknown transfer ID"))
      first:send(data(2, "b"), client)
      return first:receive() == ack(2)
    end, tftp.get, "x", ONE_BY_ONE)
    assert.are.equal(("a"):rep(512) .. "b", got)
  end)

  it("takes servers that know no options, and refuses what it has not asked for", function()
    local bytes, result = talk(function()
      local request, client = server:receive()
      assert(request == "\0\2x\0octet\0blksize\0001000\0tsize\0005\0windowsize\0004\0")
      server:send(ack(0), client)
      assert(server:receive() == data(1, "abcde"))
      return server:send(ack(1), client)
    end, tftp.put, "x", "abcde", { block_size = 1000, window_size = 4 })
    assert.are.same({ 5, 512, 1 }, { bytes, result.block_size, result.window_size })
    for _, wrong in ipairs {
      "\0\6colour\0red\0", "\0\6blksize\0001001\0", "\0\6blksize\0001000\0blksize\0001000\0",
      "\0\6tsize\0x\0",
      "\0\6windowsize\0000\0", "\0\6timeout\0001\0",
    } do
      local _, _, code = talk(function()
        local _, client = server:receive()
        server:send(wrong, client)
        return server:receive():sub(1, 4) == "\0\5\0\8"
      end, tftp.get, "x", { block_size = 1000, window_size = 4 })
      assert.are.equal("protocol", code)
    end
  end)

  it("tells what the server refuses", function()
    local codes = { [0] = "refused", "not_found", "denied", "full", "protocol", [6] = "exists" }
    for number, code in pairs(codes) do
      local _, err, got = talk(function()
        local _, client = server:receive()
        return server:send(problem(number, "because"), client)
      end, tftp.get, "x")
      assert.are.same({ "because", code }, { err, got })
    end
  end)

  it("answers a repeated last block while it lingers", function()
    assert.are.equal("end", (talk(function()
      local _, client = server:receive()
      server:send(data(1, "end"), client)
      assert(server:receive() == ack(1))
      server:send(data(1, "end"), client)
      return server:receive() == ack(1)
    end, tftp.get, "x", { linger = true, timeout = 0.5 })))
  end)
end)

describe("tftp over a bad network", function()
  -- Carries datagrams between a client and a server, of which it loses, doubles and holds back some.
  local function disturb(address)
    local front, middle, back, client, tid, held = bind(), bind(), bind(), nil, nil, nil
    local function carry(socket, datagram, peer)
      local luck = math.random(10)
      if luck == 1 then
        return -- lost
      elseif luck == 2 and not held then
        held = { socket, datagram, peer }
        return
      end
      socket:send(datagram, peer)
      if luck == 3 then
        socket:send(datagram, peer)
      end
      if held then
        held[1]:send(held[2], held[3])
        held = nil
      end
    end
    task.spawn(function()
      for datagram, peer in front:datagrams() do
        client = peer
        carry(back, datagram, address)
      end
    end)
    task.spawn(function()
      for datagram in middle:datagrams() do
        carry(back, datagram, tid)
      end
    end)
    task.spawn(function()
      for datagram, peer in back:datagrams() do
        tid = tid or peer
        if peer == tid then
          carry(middle, datagram, client)
        end
      end
    end)
    return front:local_address()
  end

  for _, window in ipairs { 1, 2, 8, 32 } do
    it(("carries files whole in windows of %d"):format(window), function()
      math.randomseed(window)
      local text = content(100 * 64 + 17)
      local address, kept = serve(text, { timeout = 0.02, retries = 12 })
      local options = { timeout = 0.02, retries = 12, block_size = 64, window_size = window, linger = true }
      local got, err = tftp.get(disturb(address), "x", options)
      assert.is_true(text == got, err)
      options.linger, options.retries = nil, 6
      tftp.put(disturb(address), "x", text, options) -- fails when all of the last acknowledgements are lost
      assert.is_true(text == kept.text)
    end)
  end
end)
