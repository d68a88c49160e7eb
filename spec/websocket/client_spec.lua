local net = require "moonwire.net"
local raw = require "spec.websocket.raw"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local websocket = require "moonwire.websocket"

-- A server that answers every handshake with this head, where %s is the right proof, and then does `act`.
local function answering(head, act)
  local requests = sync.queue(5)
  local listener = assert(net.serve("tcp://127.0.0.1:0", function(conn)
    local request = conn:read_until "\r\n\r\n"
    requests:push(request)
    local handshake = require "moonwire.websocket.handshake"
    conn:write((head:format(handshake.accept_key(request:match("Sec%-WebSocket%-Key: (%S+)")))))
    if act then
      act(conn)
    end
    conn:read_all()
  end))
  return listener, requests
end

local SWITCH <const> = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
local GOOD <const> = SWITCH .. "Sec-WebSocket-Accept: %s\r\n"

describe("websocket.connect", function()
  it("talks to a server, compressed or not", function()
    for _, deflate in ipairs {
      false, true, { context = false }, { peer_context = false, level = 1 }, { window = 9, peer_window = 9 },
      { threshold = 1000 },
    } do
      local listener <close> = raw.serve { deflate = true }
      local ws <close> = assert(websocket.connect(raw.url(listener), { deflate = deflate }))
      assert.equal(deflate ~= false, ws:is_compressed())
      for _, message in ipairs { "", "x", "hello", ("größe"):rep(20000), ("0123456789"):rep(100000),
        "hello" } do
        assert.is_true(ws:send(message))
        local answer, kind = ws:receive()
        assert.is_true(answer == message)
        assert.equal("text", kind)
      end
      ws:write "a"
      ws:write ""
      ws:write(("b"):rep(1000))
      ws:finish()
      assert.equal("a" .. ("b"):rep(1000), (ws:receive()))
      assert.is_true(ws:send("\xff", "binary"))
      assert.same({ "\xff", "binary" }, { ws:receive() })
      assert.is_true(ws:close(3001, "done"))
      assert.equal(3001, ws:close_code())
    end
  end)

  it("sends what its options say", function()
    local listener <close>, requests = answering(GOOD .. "Sec-WebSocket-Protocol: v1\r\n\r\n")
    local ws = assert(websocket.connect(raw.url(listener):gsub("/$", "?a=b"), {
      protocols = { "v2", "v1" }, origin = "http://here.example", headers = { Authorization = "Bearer x" },
        deflate = true,
    }))
    local request = requests:pop(5) .. "\r\n"
    assert.equal("v1", ws:protocol())
    assert.is_false(ws:is_compressed())
    for _, line in ipairs {
      "GET /?a=b HTTP/1.1", "Host: " .. listener:local_address(), "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Origin: http://here.example", "Sec-WebSocket-Protocol: v2, v1", "Authorization: Bearer x",
      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    } do
      assert.is_truthy(request:find(line .. "\r\n", 1, true), line)
    end
    ws:abort()
  end)

  it("masks its frames, each with another mask", function()
    local masks = sync.queue(3)
    local listener <close> = answering(GOOD .. "\r\n", function(conn)
      for _ = 1, 3 do
        local frame = conn:read(11)
        masks:push(frame:sub(1, 2) .. frame:sub(3, 6))
      end
    end)
    local ws = assert(websocket.connect(raw.url(listener)))
    for _ = 1, 3 do
      ws:send "hello"
    end
    local seen = {}
    for _ = 1, 3 do
      local head = masks:pop(5)
      assert.equal("\x81\x85", head:sub(1, 2))
      assert.is_nil(seen[head])
      seen[head] = true
    end
    ws:abort()
  end)

  for what, case in pairs {
    ["a redirect"] = { "HTTP/1.1 301 Moved\r\nLocation: ws://elsewhere/\r\n\r\n%s", "status 301" },
    ["a status of its own"] = { "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n%s", "status 403" },
    ["no proof"] = { SWITCH .. "X: %s\r\n\r\n", "a wrong Sec-WebSocket-Accept" },
    ["a wrong proof"] = { SWITCH .. "Sec-WebSocket-Accept: x%s\r\n\r\n", "a wrong Sec-WebSocket-Accept" },
    ["no upgrade"] = {
      "HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: %s\r\n\r\n", "an upgrade to something else",
    },
    ["a subprotocol of its own"] = { GOOD .. "Sec-WebSocket-Protocol: x\r\n\r\n",
      "a subprotocol that was not offered" },
    ["an extension of its own"] = {
      GOOD .. "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "an extension that was not offered",
    },
    ["what is no HTTP"] = { "SSH-2.0-OpenSSH %s\r\n\r\n" },
  } do
    it("refuses a server that answers with " .. what, function()
      local listener <close> = answering(case[1])
      local ws, err, code = websocket.connect(raw.url(listener))
      assert.is_nil(ws)
      assert.equal("invalid", code)
      if case[2] then
        assert.equal("connect " .. listener:local_address() .. ": " .. case[2], err)
      end
    end)
  end

  it("fails as connections do", function()
    local listener = raw.serve()
    local url = raw.url(listener)
    listener:close()
    assert.equal("refused", select(3, websocket.connect(url)))
    local silent <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn) conn:read_all() end))
    assert.same({ nil, "timeout", "timeout" }, { websocket.connect(raw.url(silent), { timeout = 0.02 }) })
    local rude <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn) conn:read_until "\r\n\r\n" end))
    assert.equal("eof", select(3, websocket.connect(raw.url(rude))))
    local endless <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      while conn:write(("x"):rep(1000)) do end -- luacheck: ignore 542
    end))
    assert.equal("too_large", select(3, websocket.connect(raw.url(endless))))
  end)

  it("raises for what would be another request", function()
    for message, arguments in pairs {
      ["a URL such as"] = { "http://x/" },
      ["a URL such as ws"] = { "ws://x/\r\nX: y" },
      ["a URL such"] = { "ws://user@x/" },
      ["option 'headers': names"] = { "ws://x/", { headers = { X = "a\r\nb" } } },
      ["option 'headers': names and"] = { "ws://x/", { headers = { ["X:"] = "a" } } },
      ["option 'headers': the field Host"] = { "ws://x/", { headers = { Host = "a" } } },
      ["option 'origin'"] = { "ws://x/", { origin = "a\nb" } },
      ["option 'protocols'"] = { "ws://x/", { protocols = { "a,b" } } },
      ["unknown option"] = { "ws://x/", { header = {} } },
    } do
      local ok, err = pcall(websocket.connect, table.unpack(arguments))
      assert.is_false(ok)
      assert.is_truthy(err:find(message, 1, true), err)
    end
  end)

  it("refuses a server that masks, and compressed data that is none", function()
    for bytes, code in pairs {
      [raw.frame(raw.TEXT, "x")] = 1002,
      [raw.frame(raw.TEXT, "\xff\xff", { masked = false, reserved = 4 })] = 1007,
    } do
      local extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
      local listener <close> = answering(GOOD .. extension, function(conn) conn:write(bytes) end)
      local ws = assert(websocket.connect(raw.url(listener), { deflate = true }))
      assert.equal("invalid", select(3, ws:receive()))
      assert.equal(code, ws:close_code())
    end
  end)

  it("decodes no more than its limit of a small message", function()
    local bomb <close> = raw.serve({ deflate = true }, function(ws)
      ws:send(("\0"):rep(1024 * 1024 + 1))
      ws:receive()
    end)
    for max, code in pairs { [1024 * 1024] = "too_large", [1024 * 1024 + 1] = "text" } do
      local ws <close> = assert(websocket.connect(raw.url(bomb), { deflate = true, max = max }))
      local results = table.pack(ws:receive())
      assert.equal(code, results[results.n])
    end
  end)

  it("keeps contexts apart for compressed broadcasts", function()
    local sockets = {}
    local listener <close> = raw.serve({ deflate = true }, function(ws)
      sockets[ws] = true
      for message in ws:messages() do
        ws:send(message)
        websocket.broadcast(sockets, message .. message)
        ws:send(message)
      end
      sockets[ws] = nil
    end)
    local text = ("some text that repeats, "):rep(10)
    for _, options in ipairs { {}, { context = false, peer_context = false }, { peer_window = 9 } } do
      local ws <close> = assert(websocket.connect(raw.url(listener), { deflate = options }))
      for i = 1, 5 do
        ws:send(text .. i)
        for _, expected in ipairs { text .. i, text .. i .. text .. i, text .. i } do
          assert.equal(expected, (ws:receive()))
        end
      end
      assert.is_true(ws:close())
    end
  end)

  it("lets one task send while another receives", function()
    local listener <close> = raw.serve()
    local ws <close> = assert(websocket.connect(raw.url(listener)))
    local sender = task.spawn(function()
      for i = 1, 100 do
        assert(ws:send(("%d %s"):format(i, ("x"):rep(5000))))
      end
    end)
    for i = 1, 100 do
      assert.equal(tostring(i), (ws:receive()):match "^%d+")
    end
    sender:join()
  end)
end)
