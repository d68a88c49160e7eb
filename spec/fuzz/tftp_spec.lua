-- Dialogues with a server of TFTP, recorded and changed at random: it answers in the protocol, ends each
-- transfer, and serves good clients all the while. And answers to a client, changed likewise.
local codec = require "moonwire.codec"
local condition = require "spec.support.condition"
local mutation = require "spec.fuzz.mutation"
local net = require "moonwire.net"
local task = require "moonwire.task"
local tftp = require "moonwire.tftp"

local ROUNDS <const> = 300
local WORDS <const> = {
  "\0", "\0\0", "\0\1", "\0\4", "\0\5", "\0\6", "octet\0", "netascii", "blksize\0008\0", "windowsize\0009\0",
  "tsize\0", "timeout\0001\0", "99999999999999999999", "-1", "../", "\xFF\xFF", "\n", ("x"):rep(520),
}

local function ack(block) return string.pack(">I2I2", 4, block) end
local function data(block, text) return string.pack(">I2I2", 3, block) .. text end

-- What clients send, in order.
local DIALOGUES <const> = {
  { "\0\1f\0octet\0", ack(1), ack(2) },
  { "\0\1f\0netascii\0blksize\000100\0tsize\0000\0windowsize\0003\0", ack(0), ack(3), ack(6), ack(7) },
  { "\0\1f\0octet\0timeout\0001\0blksize\0008\0", ack(0), ack(1), ack(1), ack(2), "\0\5\0\0no\0" },
  { "\0\2f\0octet\0", data(1, ("x"):rep(512)), data(1, ("x"):rep(512)), data(2, "end") },
  { "\0\2f\0netascii\0windowsize\0002\0blksize\0008\0tsize\00012\0", data(1, "1234567\r"), data(2, "\0end"),
    data(2, "\0end") },
}

-- What servers send.
local ANSWERS <const> = {
  { data(1, ("x"):rep(512)), data(2, "end") },
  { "\0\6blksize\000100\0windowsize\0002\0tsize\000250\0", data(1, ("x"):rep(100)), data(2, ("y"):rep(100)),
    data(3, ("z"):rep(50)) },
  { ack(0), ack(1), ack(2) },
  { "\0\5\0\1no\0" },
}

local function cut(datagram)
  return datagram:sub(1, math.random(0, 8))
end

local function mutate(datagram)
  return mutation.change(datagram, math.random(0, 3), WORDS, cut)
end

-- A dialogue of which packets are changed, left out, doubled or exchanged.
local function mutate_all(dialogue)
  local changed = {}
  for _, datagram in ipairs(dialogue) do
    local kind = math.random(8)
    if kind > 1 then
      changed[#changed + 1] = mutate(datagram)
    end
    if kind == 2 then
      table.insert(changed, math.random(#changed), datagram)
    end
  end
  return changed
end

local function show(dialogue)
  local lines = {}
  for i, datagram in ipairs(dialogue) do
    lines[i] = codec.url_encode(datagram)
  end
  return table.concat(lines, "\n")
end

local function is_packet(datagram)
  return #datagram >= 4 and datagram:byte(1) == 0 and datagram:byte(2) >= 3 and datagram:byte(2) <= 6
end

describe("changed dialogues of tftp", function()
  before_each(function()
    math.randomseed(7)
  end)

  local function serve(faults)
    local server = tftp.server({
      read = function() return ("line\n"):rep(130) end,
      write = function()
        return {
          write = function() return true end, commit = function() return true end, abort = function() end,
        }
      end,
    }, { timeout = 0.01, retries = 1, interval_most = 1, transfers = 1000, per_address = 1000 })
    local socket = assert(net.datagram("udp://127.0.0.1:0"))
    task.spawn(function()
      for datagram, peer in socket:datagrams() do
        task.spawn(function()
          local ok, problem = pcall(server.answer, server, socket, datagram, peer)
          if not ok and type(problem) == "string" then
            faults[#faults + 1] = problem
          end
        end)
      end
    end)
    return socket:local_address(), server
  end

  -- Plays a client; the rest of the dialogue goes to whoever has answered.
  local function play(address, dialogue)
    local client <close> = assert(net.datagram("udp://127.0.0.1:0"))
    local peer = address
    for _, datagram in ipairs(dialogue) do
      client:send(datagram, peer)
      local answer, from = client:receive(0.002)
      while answer do
        assert.is_true(is_packet(answer), codec.url_encode(answer))
        peer = from
        answer, from = client:receive(0)
      end
    end
  end

  it("leave a server whole", function()
    local faults = {}
    local address, server = serve(faults)
    for round = 1, ROUNDS do
      local dialogue = mutate_all(DIALOGUES[round % #DIALOGUES + 1])
      play(address, dialogue)
      assert.are.same({}, faults, show(dialogue))
      if round % 50 == 0 then
        local got = condition.wait_until(function() -- the server's patience is short
          return tftp.get(address, "f", { block_size = 100 })
        end, 30)
        assert.are.equal(650, #got)
      end
    end
    assert.is_true(server:wait(30))
    assert.are.equal(0, server:transfers())
  end)

  it("end a client in time", function()
    local server <close> = assert(net.datagram("udp://127.0.0.1:0"))
    local address = server:local_address()
    local options = { timeout = 0.005, retries = 1, block_size = 100, window_size = 2 }
    for round = 1, ROUNDS do
      local dialogue = mutate_all(ANSWERS[round % #ANSWERS + 1])
      local player = task.spawn(function()
        local _, peer = server:receive()
        for _, datagram in ipairs(dialogue) do
          server:send(datagram, peer)
          server:receive(0.002)
        end
      end)
      local ok, problem
      if round % 2 == 0 then
        ok, problem = pcall(tftp.get, address, "f", options)
      else
        ok, problem = pcall(tftp.put, address, "f", ("x"):rep(250), options)
      end
      assert.is_true(ok, ("%s\n%s"):format(problem, show(dialogue)))
      player:join()
      while server:receive(0) do -- luacheck: ignore 542
      end
    end
  end)
end)
