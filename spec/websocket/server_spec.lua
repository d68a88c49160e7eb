local condition = require "spec.support.condition"
local core = require "moonwire.core"
local net = require "moonwire.net"
local raw = require "spec.websocket.raw"
local server = require "moonwire.http.server"
local streams = require "spec.support.streams"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local websocket = require "moonwire.websocket"

local MEGABYTE <const> = 1024 * 1024

-- The status that answers a request, and all of the head.
local function status_of(listener, request)
  local conn <close> = assert(net.connect(streams.address_of(listener)))
  conn:write(request)
  local head = assert(conn:read_until "\r\n\r\n")
  return math.tointeger(tonumber(head:match("^HTTP/1.1 (%d+)"))), head .. "\r\n"
end

describe("websocket.accept", function()
  it("shakes hands", function()
    local listener <close> = raw.serve()
    local peer <close> = raw.connect(listener)
    assert.matches("\r\nSec%-WebSocket%-Accept: s3pPLMBiTxaQ9kYGzzhZRbK%+xOo=\r\n", peer.head .. "\r\n")
    assert.not_matches("Sec%-WebSocket%-Protocol", peer.head)
    assert.not_matches("Sec%-WebSocket%-Extensions", peer.head)
  end)

  for what, case in pairs {
    ["no upgrade"] = { { Upgrade = false }, 426 },
    ["an upgrade to something else"] = { { Upgrade = "h2c" }, 426 },
    ["a Connection without upgrade"] = { { Connection = "keep-alive" }, 426 },
    ["an old version"] = { { ["Sec-WebSocket-Version"] = "8" }, 426 },
    ["no version"] = { { ["Sec-WebSocket-Version"] = false }, 426 },
    ["no key"] = { { ["Sec-WebSocket-Key"] = false }, 400 },
    ["a short key"] = { { ["Sec-WebSocket-Key"] = "c2hvcnQ=" }, 400 },
    ["a key that is no base64"] = { { ["Sec-WebSocket-Key"] = "************************" }, 400 },
    ["a body"] = { { ["Content-Length"] = "1" }, 400 },
    ["a page of another site"] = { { Origin = "http://evil.example" }, 403 },
    ["a page of no site"] = { { Origin = "null" }, 403 },
    ["a malformed extension"] = { { ["Sec-WebSocket-Extensions"] = "permessage-deflate; =" }, 400 },
  } do
    it("refuses " .. what, function()
      local listener <close> = raw.serve { deflate = true }
      local status, head = status_of(listener, raw.request(case[1]))
      assert.equal(case[2], status)
      assert.equal(status == 426, head:find("\r\nSec-WebSocket-Version: 13\r\n", 1, true) ~= nil)
    end)
  end

  it("refuses another method", function()
    local listener <close> = raw.serve()
    assert.equal(400, (status_of(listener, (raw.request():gsub("^GET", "PUT")))))
  end)

  it("takes tokens in any case, and among others", function()
    local listener <close> = raw.serve()
    local fields = { Upgrade = "WebSocket", Connection = "keep-alive, UPGRADE",
      Origin = "http://LOCALHOST:80" }
    raw.connect(listener, fields).conn:close()
  end)

  it("lets in pages as its option says", function()
    local origins = { Origin = "https://app.example" }
    for _, policy in ipairs { { "https://app.example" }, "any",
      function(origin) return origin:find "app" end } do
      local listener <close> = raw.serve { origins = policy }
      raw.connect(listener, origins).conn:close()
    end
    for _, policy in ipairs { { "https://other.example" }, "same", function() return false end } do
      local listener <close> = raw.serve { origins = policy }
      assert.equal(403, (status_of(listener, raw.request(origins))))
    end
  end)

  it("chooses the subprotocol that it likes best", function()
    local names = sync.queue(3)
    local listener <close> = raw.serve({ protocols = { "v2", "v1" } }, function(ws)
      names:push(ws:protocol() or "none")
    end)
    for offered, chosen in pairs { ["v1, v2"] = "v2", ["v0,v1"] = "v1", v0 = "none" } do
      local peer <close> = raw.connect(listener, { ["Sec-WebSocket-Protocol"] = offered })
      assert.equal(chosen, names:pop(5))
      assert.equal(chosen ~= "none" and chosen or nil, (peer.head
        .. "\r\n"):match("Sec%-WebSocket%-Protocol: (.-)\r\n"))
    end
  end)

  it("says why there is no WebSocket", function()
    local results = sync.queue(1)
    local listener <close> = assert(server.serve("tcp://127.0.0.1:0", function(request, response)
      results:push(table.pack(websocket.accept(request, response)))
    end))
    status_of(listener, raw.request { Upgrade = false })
    assert.same({ n = 3, nil, "accept: not a WebSocket handshake", "invalid" }, results:pop(5))
    status_of(listener, raw.request { Origin = "http://evil.example" })
    assert.same({ n = 3, nil, "accept: not for pages of that origin", "denied" }, results:pop(5))
  end)

  it("raises for options that are wrong", function()
    for options, message in pairs {
      [{ maximum = 1 }] = "unknown option 'maximum'",
      [{ max = 0 }] = "option 'max': an integer",
      [{ ping_interval = -1 }] = "option 'ping_interval': seconds",
      [{ deflate = 1 }] = "option 'deflate': boolean or table",
      [{ deflate = { windows = 1 } }] = "option 'deflate': unknown option 'windows'",
      [{ deflate = { window = 8 } }] = "option 'deflate': out of range",
      [{ protocols = { "a b" } }] = "option 'protocols': a list of tokens",
    } do
      local ok, err = pcall(websocket.accept, {}, {}, options)
      assert.is_false(ok)
      assert.is_truthy(err:find(message, 1, true), err)
    end
  end)
end)

describe("a WebSocket of a server", function()
  -- Serves one connection; what the handler returned or raised is in the queue.
  local function serve(handler, options)
    local results = sync.queue(10)
    return raw.serve(options, function(ws)
      results:push(table.pack(pcall(handler, ws)))
    end), results
  end

  it("gives messages with their kinds, and ends with the close of the peer", function()
    local listener <close>, results = serve(function(ws)
      local seen = {}
      for message, kind in ws:messages() do
        seen[#seen + 1] = kind .. " " .. message
      end
      return table.concat(seen, ", "), ws:close_code(), ws:close_reason(), ws:is_open(), ws:receive()
    end)
    local peer <close> = raw.connect(listener)
    peer:send(raw.frame(raw.TEXT, "a") .. raw.frame(raw.BINARY, "b") .. raw.close(3000, "enough"))
    assert.same({ n = 8, true, "text a, binary b", 3000, "enough", false, nil, "closed", "closed" },
      results:pop(5))
  end)

  for what, case in pairs {
    ["that says nothing"] = { "", 1006, "eof" },
    ["in the middle of a message"] = { raw.frame(raw.TEXT, "x", { final = false }), 1006, "eof" },
    ["in the middle of a frame"] = { raw.frame(raw.TEXT, "xyz"):sub(1, -2), 1006, "eof" },
    ["that breaks the rules"] = { raw.frame(3), 1002, "invalid" },
    ["that sends what is no text"] = { raw.frame(raw.TEXT, "\xff"), 1007, "invalid" },
    ["that sends too much"] = { raw.frame(raw.TEXT, ("x"):rep(101)), 1009, "too_large" },
    ["that sends too many frames"] = {
      raw.frame(raw.TEXT, "", { final = false }) .. raw.frame(raw.CONTINUATION, "",
        { final = false }):rep(10), 1009,
      "too_large",
    },
  } do
    it("raises the end of a peer " .. what, function()
      local listener <close>, results = serve(function(ws)
        local ok, fault = pcall(function()
          for _ in ws:messages() do end -- luacheck: ignore 542
        end)
        return ok, core.is_fault(fault), ws:close_code()
      end, { max = 100, frames_max = 10 })
      local peer <close> = raw.connect(listener)
      peer:send(case[1])
      peer.conn:shutdown_write()
      local result = results:pop(5)
      assert.same({ true, false, case[3] }, { table.unpack(result, 1, 3) })
      assert.equal(case[2], result[4])
    end)
  end

  it("sends text and binary messages of any length", function()
    local listener <close> = serve(function(ws)
      ws:send "text"
      ws:send("\xff\0", "binary")
      ws:send(("x"):rep(126))
      ws:send(("x"):rep(65536), "binary")
      ws:send(12)
    end)
    local peer <close> = raw.connect(listener)
    assert.same({ "text text", "binary \xff\0", "text " .. ("x"):rep(126), "binary " .. ("x"):rep(65536),
      "text 12",
      "close 1001" }, peer:read_rest())
  end)

  it("raises for what cannot be sent", function()
    local listener <close>, results = serve(function(ws)
      local messages = {}
      for i, arguments in ipairs {
        { ws.send, ws, "\xff" }, { ws.send, ws, {} }, { ws.send, ws, "x", "blob" }, { ws.close, ws, 1005 },
        { ws.close, ws, 1000, ("x"):rep(124) }, { ws.close, ws, 1000, "\xff" }, { ws.ping, ws,
          ("x"):rep(126) },
        { ws.finish, ws }, { ws.send, "x" },
      } do
        local ok, message = pcall(table.unpack(arguments))
        messages[i] = ok or message
      end
      return messages
    end)
    local peer <close> = raw.connect(listener)
    local messages = results:pop(5)[2]
    for i, text in ipairs {
      'not UTF-8: send it as "binary"', "string expected", "invalid option 'blob'", "not a close code",
        "123 bytes",
      "not UTF-8", "125 bytes", "no message was begun", "moonwire.websocket expected",
    } do
      assert.is_truthy(messages[i]:find(text, 1, true), messages[i])
    end
    assert.same({ "close 1001" }, peer:read_rest())
  end)

  it("sends a message in pieces, and receives one in pieces", function()
    local listener <close>, results = serve(function(ws)
      ws:write "\xc3"
      ws:write "\xbc"
      assert.same({ nil, "busy", "busy" }, { ws:send "x" })
      ws:finish()
      ws:write("\xff", "binary")
      ws:finish "\xfe"
      local pieces = {}
      repeat
        local piece, _, last = ws:receive_some()
        pieces[#pieces + 1] = piece
      until last
      return #pieces, table.concat(pieces)
    end)
    local peer <close> = raw.connect(listener)
    local seen = {}
    for i = 1, 5 do
      local frame = peer:read()
      seen[i] = ("%d %s %s"):format(frame.opcode, frame.payload, frame.final)
    end
    assert.same({ "1 \xc3 false", "0 \xbc false", "0  true", "2 \xff false", "0 \xfe true" }, seen)
    local bytes = ("0123456789abcdef"):rep(100000)
    peer:send(raw.frame(raw.BINARY, bytes, { final = true }))
    local result = results:pop(5)
    assert.is_true(result[1] and result[2] > 20 and result[3] == bytes)
  end)

  it("closes when it says so, and waits for the answer", function()
    local listener <close>, results = serve(function(ws)
      return ws:close(4000, "over"), ws:close_code(), ws:send "x"
    end)
    local peer <close> = raw.connect(listener)
    assert.same({ opcode = 8, payload = "\x0f\xa0over", final = true, reserved = 0 }, peer:read())
    peer:send(raw.frame(raw.TEXT, "on its way") .. raw.close(4000))
    assert.same({ n = 6, true, true, 4000, nil, "closed", "closed" }, results:pop(5))
    assert.is_nil(peer:read())
  end)

  it("closes while another task receives", function()
    local listener <close>, results = serve(function(ws)
      local group <close> = task.group()
      local receiver = group:spawn(function() return ws:receive() end)
      condition.wait_until(function() return receiver:waits_for() == "receive" end)
      return ws:close(), receiver:join()
    end)
    local peer <close> = raw.connect(listener)
    assert.equal(raw.CLOSE, peer:read().opcode)
    peer:send(raw.close(1000))
    assert.same({ n = 5, true, true, nil, "closed", "closed" }, results:pop(5))
  end)

  it("does not wait for ever when the peer does not close", function()
    local listener <close>, results = serve(function(ws)
      return ws:close()
    end, { close_timeout = 0.02 })
    local peer <close> = raw.connect(listener)
    assert.same({ n = 4, true, nil, "timeout", "timeout" }, results:pop(5))
    assert.equal(raw.CLOSE, peer:read().opcode)
    assert.is_nil(peer:read())
  end)

  it("says goodbye when its task ends", function()
    for handler, close in pairs {
      [function() end] = "close 1001",
      [function() error "oops" end] = "close 1001",
      [function(ws) local _ <close> = ws end] = "close 1000",
      [function(ws) local _ <close> = ws; error "oops" end] = "close 1011",
      [function(ws) ws:abort() end] = nil,
    } do
      local listener <close> = serve(handler)
      local peer <close> = raw.connect(listener)
      assert.same({ close }, peer:read_rest())
    end
  end)

  it("outlives a handler that forgets it", function()
    local done = sync.event()
    local listener <close> = assert(server.serve("tcp://127.0.0.1:0", function(request, response)
      websocket.accept(request, response)
      for _ = 1, 4 do
        collectgarbage()
      end
      done:set()
      task.sleep(0.001)
    end))
    local peer <close> = raw.connect(listener)
    done:wait(5)
    assert.same({ "close 1001" }, peer:read_rest())
  end)

  it("asks a silent peer whether it is there", function()
    local listener <close>, results = serve(function(ws)
      local first = ws:receive()
      return first, ws:receive()
    end, { ping_interval = 0.02, ping_timeout = 0.1 })
    local peer <close> = raw.connect(listener)
    for _ = 1, 3 do
      assert.equal(raw.PING, peer:read().opcode)
      peer:send(raw.frame(raw.PONG))
    end
    peer:send(raw.frame(raw.TEXT, "still here"))
    assert.same({ n = 5, true, "still here", nil, "timeout", "timeout" }, results:pop(5))
  end)

  it("times out as its connection does when it does not ask", function()
    local results = sync.queue(1)
    local listener <close> = assert(server.serve("tcp://127.0.0.1:0", function(request, response)
      local ws = websocket.accept(request, response, { ping_interval = false })
      results:push(table.pack(ws:receive()))
      results:push(table.pack(ws:receive()))
    end, { read_timeout = 0.02 }))
    local peer <close> = raw.connect(listener)
    assert.same({ n = 3, nil, "timeout", "timeout" }, results:pop(5))
    peer:send(raw.frame(raw.TEXT, "late"))
    assert.same({ n = 2, "late", "text" }, results:pop(5))
  end)

  it("holds little of a flood of pings whose answers nobody reads", function()
    local counted = sync.queue(1)
    local listener <close> = serve(function(ws)
      local group <close> = task.group()
      group:spawn(function() ws:receive() end)
      local most = 0
      repeat
        most = math.max(most, ws:counters().pending)
        task.sleep(0.001)
      until ws:counters().received > 8 * MEGABYTE
      counted:push(most)
    end)
    local peer <close> = raw.connect(listener)
    local pings = raw.frame(raw.PING, ("x"):rep(125)):rep(400)
    while counted:count() == 0 do
      peer.conn:write(pings)
    end
    assert.is_true(counted:pop(5) < 128 * 1024)
  end)

  it("waits for a peer that is slow, and refuses to be made to", function()
    local is_full
    local listener <close>, results = serve(function(ws)
      local text, count = ("x"):rep(65536), 0
      while ws:try_send(text) do
        count = count + 1
      end
      local refused = table.pack(ws:try_send(text))
      local group <close> = task.group()
      local sender -- the kernel may take some more
      condition.wait_until(function()
        local waits = sender and sender:waits_for() == "send"
        sender = waits and sender or group:spawn(function() return ws:send(text) end)
        return waits
      end)
      local second = table.pack(ws:send "x")
      is_full = true
      return count, refused[3], second[3], sender:join()
    end)
    local peer <close> = raw.connect(listener)
    condition.wait_until(function() return is_full end)
    local reader <close> = task.group()
    reader:spawn(function() peer:read_rest() end)
    local result = results:pop(5)
    assert.is_true(result[2] > 1)
    assert.same({ "busy", "busy", true }, { table.unpack(result, 3, 5) })
  end)

  it("is named as its connection", function()
    local listener <close>, results = serve(function(ws)
      ws:receive()
      local before = tostring(ws)
      ws:abort()
      return before, tostring(ws), ws:peer_address()
    end)
    local peer <close> = raw.connect(listener)
    local address = peer.conn:local_address()
    peer:send(raw.frame(raw.TEXT))
    assert.same({ n = 4, true, "moonwire.websocket: " .. address .. " open",
      "moonwire.websocket: " .. address .. " closed", address }, results:pop(5))
  end)
end)

describe("websocket.broadcast", function()
  -- WebSockets of a server, and their peers.
  local function gather(count, options, fields)
    local all, peers = {}, {}
    local listener <close> = raw.serve(options, function(ws)
      all[#all + 1] = ws:keep()
    end)
    for i = 1, count do
      peers[i] = raw.connect(listener, fields)
    end
    condition.wait_until(function() return #all == count end)
    return all, peers
  end

  local function close(all, peers)
    for i, ws in ipairs(all) do
      ws:abort()
      peers[i].conn:close()
    end
  end

  it("sends to all of a list, or of a set", function()
    local all, peers = gather(3)
    local set = { [all[1]] = true, [all[2]] = "x" }
    assert.same({ 3 }, { websocket.broadcast(all, "hello") })
    assert.same({ 2 }, { websocket.broadcast(set, "\xff", "binary") })
    assert.same({ 1 }, { websocket.broadcast({ name = all[3] }, websocket.frame "frame") })
    assert.equal("hello", peers[3]:read().payload)
    assert.equal("frame", peers[3]:read().payload)
    assert.equal("hello", peers[1]:read().payload)
    assert.equal("\xff", peers[1]:read().payload)
    close(all, peers)
  end)

  it("leaves out who is closed or slow, and says so", function()
    local all, peers = gather(3)
    local text = ("x"):rep(65536)
    all[1]:abort()
    while all[2]:try_send(text) do end -- luacheck: ignore 542
    local count, missed = websocket.broadcast(all, "hello")
    assert.equal(1, count)
    assert.equal("closed", missed[all[1]])
    assert.equal("busy", missed[all[2]])
    assert.is_nil(missed[all[3]])
    close(all, peers)
  end)

  it("raises for what is no WebSocket, and what is no text", function()
    assert.has_error(function() websocket.broadcast({ 1 }, "x") end)
    assert.has_error(function() websocket.broadcast({}, "\xff") end)
    assert.has_error(function() websocket.frame "\xff" end)
    assert.has_error(function() websocket.broadcast("x", "y") end)
  end)
end)
