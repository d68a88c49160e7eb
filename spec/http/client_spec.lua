local condition = require "spec.support.condition"
local core = require "moonwire.core"
local folder = require "spec.support.folder"
local http = require "moonwire.http.client"
local net = require "moonwire.net"
local server = require "moonwire.http.server"
local task = require "moonwire.task"

-- A server of raw bytes: `answer(head, conn, count)` gives what is sent for each head that comes; false ends.
local function raw(answer)
  local served = { heads = {}, connections = 0 }
  local listener = assert(net.serve("tcp://127.0.0.1:0", function(conn)
    served.connections = served.connections + 1
    while true do
      local head = conn:read_until("\r\n\r\n")
      if not head then
        return
      end
      served.heads[#served.heads + 1] = head
      local bytes = answer(head, conn, #served.heads)
      if not bytes then
        return
      end
      conn:write(bytes)
    end
  end))
  served.address = listener:local_address()
  served.url = "http://" .. served.address .. "/"
  return served
end

local function answering(bytes)
  return raw(function() return bytes end)
end

local HELLO <const> = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

local function serve(handler, options)
  local listener = assert(server.serve("tcp://127.0.0.1:0", handler, options))
  return "http://" .. listener:local_address()
end

describe("http.get", function()
  after_each(http.close)

  it("is one line", function()
    local base = serve(function(request, response)
      response:send("hello " .. request.method .. " " .. request.target)
    end)
    local answer = assert(http.get(base .. "/a%20b?c=d#e"))
    assert.equal(200, answer.status)
    assert.equal("hello GET /a%20b?c=d", answer.body)
    assert.equal("20", answer.headers["content-length"])
    assert.equal("20", answer:header("Content-Length"))
    assert.equal(base .. "/a%20b?c=d#e", answer.url)
  end)

  it("says what went wrong", function()
    local _, err, code = http.get("http://127.0.0.1:1/")
    assert.equal("refused", code)
    assert.equal("connect 127.0.0.1:1: connection refused", err)
    for _, bad in ipairs { "", "127.0.0.1", "ftp://a/", "http://", "http://a:0/", "http://a:65536/",
      "http://a b/",
      "http://a/\r\nb", "http://ü.example/", "http://a\\b/", "http://[::1", ("http://a/"):rep(2000) } do
      _, err, code = http.get(bad)
      assert.equal("invalid", code, bad)
      assert.is_string(err)
    end
  end)

  it("raises for what cannot be sent", function()
    for problem, options in pairs {
      ["unknown option 'foo'"] = { foo = 1 }, ["is no name of a field"] = { headers = { ["a\nb"] = "c" } },
      ["control characters"] = { headers = { a = "b\r\nc: d" } }, ["the client sets"] = { headers = {
        ["Content-Length"] = 3 } },
      ["option 'timeout'"] = { timeout = "1" }, ["is a table"] = { headers = { a = { {} } } },
      ["only one of"] = { body = "a", form = {} }, ["an iterator or a file"] = { body = {} },
      ["space around"] = { headers = { a = " b" } }, ["option 'proxy'"] = { proxy = "nonsense" },
    } do
      local ok, err = pcall(http.get, "http://127.0.0.1:1/", options)
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find(problem, 1, true), err)
    end
    for _, method in ipairs { "", "GET /", "A\nB", "CONNECT" } do
      assert.has_error(function() http.request { url = "http://127.0.0.1:1/", method = method } end)
    end
    assert.has_error(function() http.request {} end)
    assert.has_error(function() http.new { connections = 0 } end)
  end)

  it("takes answers of all kinds", function()
    local function get(bytes, method)
      return http.request { url = answering(bytes).url, method = method }
    end
    assert.equal("hello",
      get("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").body)
    assert.equal("", get("HTTP/1.1 204 No Content\r\n\r\n").body)
    assert.equal("", get("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").body)
    assert.equal("", get("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD").body)
    assert.equal("hello", get("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" .. HELLO).body)
    assert.equal("a, b", get("HTTP/1.1 200\r\nX: a\r\nx: b\r\nContent-Length: 0\r\n\r\n").headers.x)
    local trailing = get("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n")
    assert.same({ x = "y" }, trailing:trailers())
    local old = raw(function(_, conn)
      conn:write("HTTP/1.0 200 OK\r\n\r\nto the end")
    end)
    assert.equal("to the end", http.get(old.url).body)
  end)

  it("refuses answers that are none", function()
    for _, bytes in ipairs {
      "nonsense\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 99 X\r\n\r\n", "HTTP/1.1 200 OK\nX: y\n\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: " .. ("y"):rep(70000) .. "\r\n\r\n", "HTTP/1.1 200 OK\r\n"
        .. ("X: y\r\n"):rep(201) .. "\r\n",
    } do
      local answer, _, code = http.get(answering(bytes).url)
      assert.is_nil(answer, bytes:sub(1, 40))
      assert.equal("invalid", code, bytes:sub(1, 40))
    end
  end)

  it("tells a body that was cut from a whole one", function()
    for _, bytes in ipairs { "Content-Length: 10\r\n\r\nhello",
      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" } do
      local cut = raw(function(_, conn)
        conn:write("HTTP/1.1 200 OK\r\n" .. bytes)
      end)
      local answer, err, code = http.get(cut.url)
      assert.is_nil(answer)
      assert.equal("reset", code)
      assert.is_truthy(err:find("within the body", 1, true))
    end
  end)

  it("reads no more than it may", function()
    local long = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. ("5\r\nhello\r\n"):rep(100)
      .. "0\r\n\r\n"
    local _, _, code = http.get(answering(long).url, { body_max = 499 })
    assert.equal("too_large", code)
    assert.equal(500, #http.get(answering(long).url, { body_max = 500 }).body)
    _, _, code = http.get(answering("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n").url, { body_max = 499 })
    assert.equal("too_large", code)
  end)

  it("waits no longer than it may", function()
    local silent = raw(function(_, conn) conn:read_some() end)
    for _, options in ipairs { { timeout = 0.03 }, { read_timeout = 0.03 } } do
      local begun = core.now()
      local _, err, code = http.get(silent.url, options)
      assert.equal("timeout", code)
      assert.equal("timeout", err)
      assert.is_true(core.now() - begun < 1)
    end
    local stuck = answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    local _, _, code = http.get(stuck.url, { timeout = 0.03 })
    assert.equal("timeout", code)
  end)
end)

describe("the connections of a client", function()
  it("serve one request after the other", function()
    local peer = answering(HELLO)
    local client <close> = http.new()
    for _ = 1, 5 do
      assert.equal("hello", client:get(peer.url).body)
    end
    assert.equal(1, peer.connections)
    assert.equal("hello", client:get(peer.url, { stream = true }):read_all())
    assert.equal(1, peer.connections)
  end)

  it("are not used again when they end, when more came, or when a body was left", function()
    for _, bytes in ipairs { "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", HELLO
      .. "more",
      "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n" } do
      local peer = answering(bytes)
      local client <close> = http.new()
      client:get(peer.url)
      client:get(peer.url)
      assert.equal(2, peer.connections)
    end
    local peer = answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    local client <close> = http.new()
    for _ = 1, 2 do
      local answer <close> = assert(client:get(peer.url, { stream = true }))
      assert.equal("hello", answer:read_some())
    end
    assert.equal(2, peer.connections)
  end)

  it("are not shared by servers, nor by identities", function()
    local peer = answering(HELLO)
    local client <close> = http.new()
    client:get(peer.url)
    client:get(peer.url, { connection = { nodelay = false } })
    client:get(peer.url, { address = "tcp://" .. peer.address })
    assert.equal(3, peer.connections)
    client:get(peer.url, { connection = { nodelay = false } })
    assert.equal(3, peer.connections)
  end)

  it("are seen to have ended before they are used", function()
    local peer
    peer = raw(function(_, conn)
      conn:write(HELLO)
    end)
    local client <close> = http.new { retries = 0 }
    for count = 1, 3 do
      assert.equal("hello", client:get(peer.url).body)
      condition.wait_until(function() return core.usage().streams <= count + 20 end)
      task.sleep(0.01)
    end
    assert.equal(3, peer.connections)
  end)

  -- The end comes as the answer to the second request: nobody can tell before.
  local function dying()
    return raw(function(_, _, count)
      return count ~= 2 and HELLO or nil
    end)
  end

  it("are made anew for a request that may be repeated, and for no other", function()
    local peer = dying()
    local client <close> = http.new()
    client:get(peer.url)
    assert.equal("hello", client:get(peer.url).body)
    peer = dying()
    client:get(peer.url)
    local _, _, code = client:post(peer.url, "once")
    assert.equal("eof", code)
    peer = dying()
    client:get(peer.url)
    _, _, code = client:get(peer.url, { retries = 0 })
    assert.equal("eof", code)
  end)

  it("are limited, and who waits for one has it when it is free", function()
    local open, most = 0, 0
    local base = serve(function(_, response)
      open, most = open + 1, math.max(most, open + 1)
      task.sleep(0.005)
      open = open - 1
      response:send("x")
    end)
    local client <close> = http.new { connections_per_host = 3 }
    local group <close> = task.group()
    local done = 0
    for _ = 1, 20 do
      group:spawn(function()
        assert(client:get(base))
        done = done + 1
      end)
    end
    group:wait()
    assert.equal(20, done)
    assert.equal(3, most)
  end)

  it("give their places back however their tasks end", function()
    local stuck = answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    local client <close> = http.new { connections_per_host = 1, connections = 1 }
    for _ = 1, 3 do
      task.spawn(function() client:get(stuck.url, { stream = true }) end):join()
      local cancelled = task.spawn(function() client:get(stuck.url) end)
      task.sleep(0)
      cancelled:cancel()
      cancelled:join()
    end
    local waiting = task.spawn(function() return client:get(stuck.url, { stream = true }) end)
    assert.is_truthy(waiting:join(5))
    local _, _, code = client:get(answering(HELLO).url)
    assert.is_nil(code)
  end)

  it("make room for other servers", function()
    local client <close> = http.new { connections = 2 }
    for _ = 1, 5 do
      assert.equal("hello", client:get(answering(HELLO).url).body)
    end
  end)

  it("are waited for no longer than a deadline says", function()
    local stuck = answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    local client <close> = http.new { connections_per_host = 1 }
    local answer <close> = client:get(stuck.url, { stream = true }) -- luacheck: ignore 211
    local _, _, code = client:get(stuck.url, { timeout = 0.02 })
    assert.equal("timeout", code)
    _, _, code = client:get(stuck.url, { connect_timeout = 0.02 })
    assert.equal("timeout", code)
  end)

  it("close when they rest too long", function()
    local ended = false
    local peer = raw(function(_, conn)
      conn:write(HELLO)
      ended = select(2, conn:read_some()) == "eof"
    end)
    local client <close> = http.new { keep_alive = 0.01 }
    client:get(peer.url)
    condition.wait_until(function() return ended end)
  end)
end)

describe("redirects", function()
  after_each(http.close)

  local function site()
    return serve(function(request, response)
      local status, to = request.path:match("^/(%d%d%d)/(.*)$")
      if status then
        return response:status(tonumber(status)):header("Location", "/" .. to .. (request.query or "")):send()
      end
      response:send(("%s %s %s %s"):format(request.method, request.target, request:read_all(),
        request:header("content-type") or "-"))
    end)
  end

  it("are followed with the method that is due", function()
    local base = site()
    assert.equal("GET /x  -", http.get(base .. "/302/x").body)
    assert.equal("GET /x  -", http.get(base .. "/302/301/307/x").body)
    local options = { headers = { ["Content-Type"] = "a/b" } }
    assert.equal("GET /x  -", http.post(base .. "/302/x", "body", options).body)
    assert.equal("GET /x  -", http.post(base .. "/303/x", "body", options).body)
    assert.equal("POST /x body a/b", http.post(base .. "/307/x", "body", options).body)
    assert.equal("POST /x body a/b", http.post(base .. "/308/x", "body", options).body)
    local put = http.request { method = "PUT", url = base .. "/301/x", body = "body" }
    assert.equal("PUT /x body -", put.body)
    assert.equal(1, put.redirects)
    assert.equal(base .. "/x#y", http.get(base .. "/301/x#y").url)
  end)

  it("end somewhere", function()
    local base = serve(function(_, response)
      response:status(302):header("Location", "/"):send()
    end)
    local answer = http.get(base)
    assert.equal(302, answer.status)
    assert.equal(10, answer.redirects)
    assert.equal(302, http.get(base, { redirects = 0 }).status)
    assert.equal(302, http.get(base, { redirects = false }).status)
  end)

  it("are refused when they cannot be followed", function()
    local base = site()
    local _, _, code = http.post(base .. "/307/x", function() return nil end)
    assert.equal("invalid", code)
    local bad = answering("HTTP/1.1 302 Found\r\nLocation: ftp://a/\r\nContent-Length: 0\r\n\r\n")
    _, _, code = http.get(bad.url)
    assert.equal("invalid", code)
  end)

  it("take no secrets to others", function()
    local other = answering(HELLO)
    local first = raw(function()
      return "HTTP/1.1 302 Found\r\nLocation: " .. other.url .. "\r\nContent-Length: 0\r\n\r\n"
    end)
    http.get(first.url:gsub("//", "//bob:secret@", 1), { headers = { Cookie = "a=b", ["X-Other"] = "c" } })
    assert.is_truthy(first.heads[1]:find("Authorization: Basic Ym9iOnNlY3JldA==", 1, true))
    assert.is_truthy(first.heads[1]:find("Cookie: a=b", 1, true))
    assert.is_nil(other.heads[1]:find("Authorization", 1, true))
    assert.is_nil(other.heads[1]:find("Cookie", 1, true))
    assert.is_truthy(other.heads[1]:find("X-Other: c", 1, true))
  end)
end)

describe("bodies that are sent", function()
  after_each(http.close)

  local function echo()
    return serve(function(request, response)
      response:header("X-Length", tostring(request.length))
      response:header("X-Type", request:header("content-type") or "-")
      for data in request:chunks() do
        response:write(data)
      end
      response:finish()
    end, { body_max = false })
  end

  it("are strings, iterators, files, forms and JSON", function()
    local base = echo()
    local place <close> = folder.new()
    local file = require "moonwire.file"
    assert(file.write(place.path .. "/f", ("0123456789"):rep(30000)))
    local opened <close> = file.open(place.path .. "/f")
    opened:seek(5)
    local answer = http.post(base, opened)
    assert.equal("299995", answer.headers["x-length"])
    assert.equal(("0123456789"):rep(30000):sub(6), answer.body)
    local count = 0
    answer = http.post(base, function()
      count = count + 1
      return count <= 500 and ("x"):rep(1000) or nil
    end)
    assert.equal("nil", answer.headers["x-length"])
    assert.equal(500000, #answer.body)
    assert.equal(2000000, #http.post(base, ("y"):rep(2000000)).body)
    answer = http.request { url = base, method = "POST", form = { a = "b c" } }
    assert.equal("a=b+c", answer.body:gsub("%%20", "+"))
    assert.equal("application/x-www-form-urlencoded", answer.headers["x-type"])
    answer = http.request { url = base, method = "POST", json = { 1, 2 } }
    assert.same({ 1, 2 }, answer:json())
    local empty = answering(HELLO)
    http.post(empty.url)
    assert.is_truthy(empty.heads[1]:find("\r\nContent-Length: 0", 1, true))
  end)

  it("go both ways at once", function()
    local base = echo()
    local answer = assert(http.post(base, ("z"):rep(8000000), { stream = true }))
    local size = 0
    for data in answer:chunks { max = 100000 } do
      size = size + #data
    end
    assert.equal(8000000, size)
  end)

  it("end when the server answers early", function()
    local early = raw(function(_, conn)
      conn:read_some()
      conn:write("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!")
      conn:flush()
      task.sleep(0.05)
    end)
    local sent = 0
    local answer = assert(http.post(early.url, function()
      sent = sent + 1
      return sent < 100000 and ("x"):rep(10000) or nil
    end))
    assert.equal(413, answer.status)
    assert.equal("no!", answer.body)
    assert.is_true(sent < 100000)
  end)

  it("raise what their iterator raises", function()
    local base = echo()
    local ok, err = pcall(http.post, base, function() error("broken", 0) end)
    assert.is_false(ok)
    assert.equal("broken", err)
    ok, err = pcall(http.post, base, function() return 1 end)
    assert.is_false(ok)
    assert.is_truthy(err:find("gave a number", 1, true))
    ok, err = pcall(http.request, { url = base, method = "PUT", body = function() return nil end,
      length = 5 })
    assert.is_false(ok)
    assert.is_truthy(err:find("less than the 5 bytes", 1, true))
  end)

  it("wait for the server's consent when they are large", function()
    local base = echo()
    assert.equal(2000000, #http.post(base, ("y"):rep(2000000)).body)
    local asked = raw(function(head, conn)
      assert(head:find("Expect: 100-continue", 1, true))
      conn:write("HTTP/1.1 100 Continue\r\n\r\n")
      return "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" .. conn:read(3)
    end)
    assert.equal("abc", http.post(asked.url, "abc", { expect_continue = 1 }).body)
    local refusing = raw(function(_, conn)
      conn:write("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
      assert(conn:read_all() == "")
    end)
    assert.equal(417, http.post(refusing.url, "abc", { expect_continue = 1 }).status)
  end)
end)

describe("an answer that is streamed", function()
  after_each(http.close)

  it("is read as it comes, under backpressure", function()
    local written = 0
    local base = serve(function(_, response)
      for _ = 1, 200 do
        assert(response:write(("x"):rep(100000)))
        written = written + 1
      end
    end)
    local answer <close> = http.get(base, { stream = true })
    assert.is_nil(answer.body)
    task.sleep(0.05)
    assert.is_true(written < 150)
    local size = 0
    for data in answer:chunks() do
      size = size + #data
    end
    assert.equal(20000000, size)
    assert.same({ nil, "eof", "eof" }, { answer:read_some() })
  end)

  it("goes into a file", function()
    local place <close> = folder.new()
    local base = serve(function(_, response) response:send(("x"):rep(300000)) end)
    local answer = http.get(base, { stream = true })
    assert.equal(300000, answer:save(place.path .. "/f"))
    assert.equal(300000, require "moonwire.file".stat(place.path .. "/f").size)
    local _, _, code = http.get(base, { stream = true }):save(place.path .. "/no/f")
    assert.equal("not_found", code)
  end)

  it("changes to another protocol", function()
    local base = serve(function(request, response)
      local stream = response:upgrade(request.upgrade)
      stream:write(stream:read_line():upper(), "\n")
    end)
    local stream <close> = assert(http.get(base, { upgrade = "shout" }):upgrade())
    stream:write("hello\n")
    assert.equal("HELLO", stream:read_line())
    local _, _, code = http.get(answering(HELLO).url, { upgrade = "shout" }):upgrade()
    assert.equal("invalid", code)
  end)
end)

describe("a download", function()
  after_each(http.close)

  it("goes on where it was broken off", function()
    local place <close> = folder.new()
    local file = require "moonwire.file"
    local path, data = place.path .. "/f", ("0123456789"):rep(1000)
    local cut, ranges = true, {}
    local peer = raw(function(head, conn)
      local from = tonumber(head:match("Range: bytes=(%d+)%-"))
      ranges[#ranges + 1] = from or false
      local left = data:sub((from or 0) + 1)
      conn:write(("HTTP/1.1 %s\r\nETag: \"v1\"\r\nContent-Length: %d\r\n%s\r\n"):format(from
        and "206 Partial Content" or "200 OK",
        #left, from and ("Content-Range: bytes %d-%d/%d\r\n"):format(from, #data - 1, #data) or ""))
      conn:write(cut and left:sub(1, 3000) or left)
      return not cut and "" or nil
    end)
    local done, _, code = http.download(peer.url, path)
    assert.is_nil(done)
    assert.equal("reset", code)
    assert.is_nil(file.stat(path))
    cut = false
    assert.same({ bytes = 10000, resumed = 3000 }, http.download(peer.url, path))
    assert.equal(data, file.read(path))
    assert.is_truthy(peer.heads[2]:find('If-Range: "v1"', 1, true))
    assert.same({ false, 3000 }, ranges)
    assert.is_nil(file.stat(path .. ".part"))
    assert.is_nil(file.stat(path .. ".part.of"))
    assert.same({ bytes = 10000, resumed = 0 }, http.download(peer.url, path))
  end)

  it("of what is not there leaves nothing", function()
    local place <close> = folder.new()
    local _, _, code = http.download(answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").url,
      place.path .. "/f")
    assert.equal("not_found", code)
    assert.is_nil(require "moonwire.file".stat(place.path .. "/f.part"))
  end)
end)

describe("a proxy", function()
  after_each(http.close)

  it("is asked with the whole URL, and for tunnels", function()
    local proxy = answering(HELLO)
    local url = proxy.url:gsub("//", "//me:pw@", 1)
    assert.equal("hello", http.get("http://example.invalid/a", { proxy = url }).body)
    assert.is_truthy(proxy.heads[1]:find("^GET http://example.invalid/a HTTP/1.1\r\n"))
    assert.is_truthy(proxy.heads[1]:find("Proxy-Authorization: Basic bWU6cHc=", 1, true))
    local refusing = answering("HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n")
    local _, err, code = http.get("https://example.invalid/a", { proxy = refusing.url })
    assert.equal("denied", code)
    assert.is_truthy(err:find("407 Who", 1, true))
    local head = "^CONNECT example.invalid:443 HTTP/1.1\r\nHost: example.invalid:443"
    assert.is_truthy(refusing.heads[1]:find(head))
  end)

  it("is left out for some", function()
    local proxy, peer = answering(HELLO), answering(HELLO)
    for _, names in ipairs { { "127.0.0.1" }, { "*" }, { peer.address } } do
      http.get(peer.url, { proxy = proxy.url, no_proxy = names })
    end
    assert.equal(0, proxy.connections)
    http.get(peer.url, { proxy = proxy.url, no_proxy = { "other", "0.0.1" .. "x" } })
    assert.equal(1, proxy.connections)
  end)
end)

describe("server-sent events", function()
  after_each(http.close)

  it("are iterated over, and asked for again", function()
    local streams = {
      "id: 1\nretry: 1\ndata: a\ndata: b\n\n: comment\nevent: x\ndata\n\ndata: unfinished",
      "\239\187\191data: c\r\n\r\ndata: d\r\rdata:e\n\n",
    }
    local peer = raw(function(_, _, count)
      local data = streams[count]
      if not data then
        return "HTTP/1.1 204 No Content\r\n\r\n"
      end
      local head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"
      return head:format(#data) .. data
    end)
    local seen = {}
    for event in http.events(peer.url) do
      seen[#seen + 1] = event.event .. ":" .. event.data .. ":" .. event.id
    end
    assert.same({ "message:a\nb:1", "x::1", "message:c:1", "message:d:1", "message:e:1" }, seen)
    assert.is_truthy(peer.heads[2]:find("Last-Event-ID: 1", 1, true))
    assert.is_nil(peer.heads[1]:find("Last-Event-ID", 1, true))
  end)
end)
