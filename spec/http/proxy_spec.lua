local condition = require "spec.support.condition"
local core = require "moonwire.core"
local http = require "moonwire.http.client"
local net = require "moonwire.net"
local proxy = require "moonwire.http.proxy"
local server = require "moonwire.http.server"
local task = require "moonwire.task"

-- An upstream server of raw bytes, as in client_spec: `answer(head, conn, count)` gives what is sent; nil
-- ends.
local function raw(answer)
  local served = { heads = {}, connections = 0 }
  local listener = assert(net.serve("tcp://127.0.0.1:0", function(conn)
    served.connections = served.connections + 1
    while true do
      local head = conn:read_until("\r\n\r\n")
      if not head then
        return
      end
      served.heads[#served.heads + 1] = head .. "\r\n"
      local bytes = answer(head, conn, #served.heads)
      if not bytes then
        return
      end
      conn:write(bytes)
    end
  end))
  served.address = listener:local_address()
  served.url = "http://" .. served.address
  served.listener = listener
  return served
end

local HELLO <const> = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

local function answering(bytes)
  return raw(function() return bytes end)
end

local function serve(handler, options)
  return "http://" .. assert(server.serve("tcp://127.0.0.1:0", handler, options)):local_address()
end

-- A proxy before the servers; its URL.
local function before(options)
  return serve(proxy.new(options))
end

-- What comes back for these bytes, until the proxy ends the connection or nothing comes for long.
local function exchange(url, bytes)
  local conn <close> = assert(net.connect("tcp://" .. url:match("//(.+)$"), { read_timeout = 2 }))
  conn:write((bytes:gsub("Host: a\r\n", "%0Connection: close\r\n", 1)))
  return conn:read_all()
end

local function has(text, part)
  assert.is_truthy(text:find(part, 1, true), text)
end

local function has_not(text, part)
  assert.is_nil(text:find(part, 1, true), text)
end

-- A port that nobody listens on.
local function nobody()
  local listener <close> = net.listen("tcp://127.0.0.1:0")
  return "http://" .. listener:local_address()
end

describe("http.proxy", function()
  local client

  before_each(function()
    client = http.new { redirects = 0 }
  end)

  after_each(function()
    client:close()
  end)

  it("passes requests and answers", function()
    local up = raw(function()
      return "HTTP/1.1 201 Made\r\nX-A: b\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello"
    end)
    local answer = client:get(before { upstreams = { up.url } } .. "/a%2Fb/c?d=e", { headers = {
      ["X-C"] = "d" } })
    assert.equal(201, answer.status)
    assert.equal("hello", answer.body)
    assert.equal("b", answer.headers["x-a"])
    assert.equal("a/b", answer.headers["content-type"])
    has(up.heads[1], "X-C: d\r\n")
    has(up.heads[1], "GET /a%2Fb/c?d=e HTTP/1.1\r\nHost: 127.0.0.1:")
  end)

  it("keeps what concerns one connection to itself", function()
    local up = answering("HTTP/1.1 200 OK\r\nConnection: x-gone, keep-alive\r\nX-Gone: 1\r\nKeep-Alive: 5\r\n"
      .. "Proxy-Authenticate: a\r\nX-Stays: 1\r\nContent-Length: 0\r\n\r\n")
    local back = exchange(before { upstreams = { up.url } },
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-one\r\n"
      .. "Connection: X-Two\r\nX-One: 1\r\nX-Two: 1\r\nX-Three: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\n"
      .. "Proxy-Connection: close\r\nProxy-Authorization: Basic x\r\nTrailer: a\r\n\r\n")
    for _, gone in ipairs { "X-One", "X-Two", "TE:", "Keep-Alive", "Proxy-", "Trailer", "Connection" } do
      has_not(up.heads[1], gone)
    end
    has(up.heads[1], "X-Three: 1")
    for _, gone in ipairs { "X-Gone", "Keep-Alive", "Proxy-A", "keep-alive" } do
      has_not(back, gone)
    end
    has(back, "X-Stays: 1")
  end)

  it("passes on nothing that others could take for what it says itself", function()
    local up = answering(HELLO)
    local url = before { upstreams = { up.url }, set_headers = { ["X-User"] = "nobody" },
      trust = { "127.0.0.1" } }
    exchange(url, "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1.2.3.4\r\nX-Forwarded_Proto: https\r\n"
      .. "Content_Length: 5\r\nTransfer_Encoding: chunked\r\nX_User: root\r\nX_Other: 1\r\n\r\n")
    has_not(up.heads[1], "1.2.3.4")
    has_not(up.heads[1], "https")
    has_not(up.heads[1], "Content_")
    has_not(up.heads[1], "Transfer_")
    has_not(up.heads[1], "root")
    has(up.heads[1], "X-User: nobody\r\n")
    has(up.heads[1], "X_Other: 1\r\n")
  end)

  it("asks about a whole server, and no farther than it may", function()
    local up = answering(HELLO)
    local url = before { upstreams = { up.url } }
    exchange(url, "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n")
    has(up.heads[1], "OPTIONS * HTTP/1.1\r\n")
    has(up.heads[1], "Max-Forwards: 9\r\n")
    exchange(url, "OPTIONS http://a HTTP/1.1\r\nHost: a\r\nMax-Forwards: many\r\n\r\n")
    has(up.heads[2], "OPTIONS * HTTP/1.1\r\n")
    has(up.heads[2], "Max-Forwards: many\r\n")
    exchange(url, "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
    has(up.heads[3], "Max-Forwards: 0\r\n")
    has(exchange(url, "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"), "HTTP/1.1 200 ")
    has(exchange(url, "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"), "HTTP/1.1 501 ")
    has(exchange(url, "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"), "HTTP/1.1 501 ")
    assert.equal(3, #up.heads)
  end)

  it("finds every field that Connection names, however many of these there are", function()
    local up = answering(HELLO)
    local lines = {}
    for count = 1, 9 do
      lines[count] = ("Connection: x-%d\r\nX-%d: 1\r\n"):format(count, count)
    end
    exchange(before { upstreams = { up.url } }, "GET / HTTP/1.1\r\nHost: a\r\n" .. table.concat(lines)
      .. "\r\n")
    has_not(up.heads[1], "\r\nX-1: 1")
    has_not(up.heads[1], "\r\nX-9: 1")
  end)

  it("tells who the client is, and believes only whom it trusts", function()
    local up = answering(HELLO)
    local said = { headers = { ["X-Forwarded-For"] = "1.2.3.4", ["X-Real-IP"] = "1.2.3.4",
      Forwarded = "for=1.2.3.4",
      ["X-Forwarded-Proto"] = "https" } }
    local plain = before { upstreams = { up.url } }
    client:get(plain, said)
    has(up.heads[1], "X-Forwarded-For: 127.0.0.1\r\n")
    has(up.heads[1], "X-Forwarded-Proto: http\r\n")
    has(up.heads[1], "X-Forwarded-Host: " .. plain:match("//(.+)$"))
    has_not(up.heads[1], "1.2.3.4")
    client:get(before { upstreams = { up.url }, trust = { "127.0.0.0/8" } }, said)
    has(up.heads[2], "X-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n")
    has(up.heads[2], "X-Forwarded-Proto: https\r\n")
    has_not(up.heads[2], "X-Forwarded-Proto: http\r\n")
    has(up.heads[2], "Forwarded: for=1.2.3.4\r\n")
    client:get(before { upstreams = { up.url }, trust = { "10.0.0.0/8" }, forwarded = "standard" }, said)
    has(up.heads[3], "\r\nForwarded: for=127.0.0.1;host=\"127.0.0.1:")
    has_not(up.heads[3], "X-Forwarded-For")
    client:get(before { upstreams = { up.url }, trust = { "127.0.0.1" }, forwarded = "both" }, said)
    has(up.heads[4], "\r\nForwarded: for=1.2.3.4, for=127.0.0.1;host=")
    client:get(before { upstreams = { up.url }, forwarded = "none" }, said)
    has_not(up.heads[5], "orwarded")
  end)

  it("sets, takes out and names what it is told to", function()
    local up = answering("HTTP/1.1 200 OK\r\nServer: secret\r\nX-B: old\r\nContent-Length: 0\r\n\r\n")
    local answer = client:get(before { upstreams = { up.url .. "/base/" }, host = "upstream", via = "edge",
      set_headers = { ["X-A"] = "new" }, drop_headers = { "X-Drop" }, set_answer_headers = {
        ["X-B"] = "new" },
      drop_answer_headers = { "Server" } } .. "/x", { headers = { ["X-A"] = "old", ["X-Drop"] = "1" } })
    has(up.heads[1], "GET /base/x HTTP/1.1\r\nHost: " .. up.address .. "\r\n")
    has(up.heads[1], "X-A: new\r\n")
    has(up.heads[1], "Via: 1.1 edge\r\n")
    has_not(up.heads[1], "X-A: old")
    has_not(up.heads[1], "X-Drop")
    assert.equal("new", answer.headers["x-b"])
    assert.equal("1.1 edge", answer.headers.via)
    assert.is_nil(answer.headers.server)
    client:get(before { upstreams = { up.url }, host = "fixed.example" })
    has(up.heads[2], "Host: fixed.example\r\n")
  end)

  it("refuses options that make no sense", function()
    for problem, options in pairs {
      ["option 'upstreams'"] = { upstreams = {} }, ["is missing"] = {}, ["http://host/path"] = {
        upstreams = { "x" } },
      ["unknown option"] = { upstreams = { "http://a" }, foo = 1 }, ["option 'trust'"] =
      { upstreams = { "http://a" }, trust = { "x" } }, ["option 'hash'"] = { upstreams = { "http://a" },
        hash = "x" },
      ["option 'balance'"] = { upstreams = { "http://a" }, balance = "x" }, ["option 'via'"] =
      { upstreams = { "http://a" }, via = "a b" }, ["unknown key"] = { upstreams = { "http://a" }, check = {
        x = 1 } },
      ["no name of a field"] = { upstreams = { "http://a" }, set_headers = { ["a\nb"] = "c" } },
    } do
      local ok, err = pcall(proxy.new, options)
      assert.is_false(ok)
      has(err, problem)
    end
  end)

  it("writes every message anew", function()
    local up = answering(HELLO)
    local url = before { upstreams = { up.url } }
    exchange(url, "GET http://a.example/x?y HTTP/1.1\r\nhOsT: a.example\r\n"
      .. "Connection: close\r\nX-A:b\t \r\n\r\n")
    has(up.heads[1], "GET /x?y HTTP/1.1\r\nHost: a.example\r\nX-A: b\r\n")
    for _, bad in ipairs {
      "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n",
      "Transfer-Encoding: chunked, chunked\r\n", "Content-Length: +5\r\n", "Transfer-Encoding : chunked\r\n",
    } do
      has(exchange(url, "POST / HTTP/1.1\r\nHost: a\r\n" .. bad
        .. "\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"),
        "Connection: close")
    end
    assert.equal(1, #up.heads)
  end)

  it("passes bodies of every framing, with their trailers", function()
    local up = serve(function(request, response)
      local data = request:read_all(1 << 30)
      local trailers = request:trailers()
      response:header("X-Length", tostring(request.length)):write(data)
      response:finish { ["X-Behind"] = trailers["x-t"] or "none" }
    end, { body_max = false })
    local url = before { upstreams = { up } }
    for _, size in ipairs { 0, 1, 1000, 70000, 3000000 } do
      local answer = client:post(url, ("x"):rep(size))
      assert.equal(size, #answer.body)
      assert.equal("none", answer:trailers()["x-behind"])
      local sent = 0
      answer = client:post(url, function()
        sent = sent + 10000
        return sent <= size and ("y"):rep(10000) or nil
      end)
      assert.equal(size // 10000 * 10000, #answer.body)
      assert.equal("nil", answer.headers["x-length"])
    end
    has(exchange(url, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "3\r\nabc\r\n0\r\nX-T: t\r\n\r\n"), "\r\n0\r\nX-Behind: t\r\n\r\n")
    local old = raw(function(_, conn)
      conn:write("HTTP/1.0 200 OK\r\n\r\nto the end")
    end)
    assert.equal("to the end", client:get(before { upstreams = { old.url } }).body)
  end)

  it("passes answers without a body", function()
    for bytes, method in pairs {
      ["HTTP/1.1 204 No Content\r\n\r\n"] = "GET",
        ["HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"] = "GET",
      ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"] = "HEAD",
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] = "HEAD",
    } do
      local url = before { upstreams = { answering(bytes).url } }
      local answer = client:request { method = method, url = url }
      assert.equal(tonumber(bytes:match(" (%d+) ")), answer.status)
      assert.equal("", answer.body)
      assert.equal(bytes:match("Content%-Length: (%d+)"), answer.headers["content-length"])
      assert.equal(answer.status, client:request { method = method, url = url }.status)
    end
    for _, framing in ipairs { "Content-Length: 5\r\n\r\nhello",
      "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" } do
      local reset = before { upstreams = { answering("HTTP/1.1 205 Reset Content\r\n" .. framing).url } }
      assert.matches("\r\nContent%-Length: 0\r\n[^\r]*\r\n\r\n$",
        exchange(reset, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
    end
  end)

  it("uses connections again, and not those that have ended", function()
    local up = answering(HELLO)
    local url = before { upstreams = { up.url } }
    for _ = 1, 5 do
      assert.equal("hello", client:get(url).body)
    end
    assert.equal(1, up.connections)
    local dying = raw(function(_, _, count)
      return count ~= 2 and HELLO or nil
    end)
    url = before { upstreams = { dying.url } }
    assert.equal("hello", client:get(url).body)
    assert.equal("hello", client:get(url).body)
    assert.equal(3, #dying.heads)
  end)

  it("holds up who sends faster than the other reads", function()
    local written = 0
    local up = serve(function(_, response)
      for _ = 1, 300 do
        assert(response:write(("x"):rep(100000)))
        written = written + 1
      end
    end)
    local answer <close> = client:get(before { upstreams = { up } }, { stream = true })
    task.sleep(0.05)
    assert.is_true(written < 200)
    local size = 0
    for data in answer:chunks() do
      size = size + #data
    end
    assert.equal(30000000, size)
  end)

  it("sends the head of an answer before its body is there", function()
    local go_on = false
    local up = serve(function(_, response)
      response:flush()
      condition.wait_until(function() return go_on end)
      response:write("late")
    end)
    local answer <close> = client:get(before { upstreams = { up } }, { stream = true })
    assert.equal(200, answer.status)
    go_on = true
    assert.equal("late", answer:read_all())
  end)

  it("passes other protocols, except the next version of this one", function()
    local up = serve(function(request, response)
      if not request.upgrade then
        return response:send("plain")
      end
      local stream = response:header("X-Accept", "yes"):upgrade(request.upgrade)
      for line in stream:lines {} do
        stream:write(line:upper(), "\n")
      end
    end)
    local url = before { upstreams = { up } }
    local answer = client:get(url, { upgrade = "shout" })
    assert.equal("yes", answer.headers["x-accept"])
    local stream <close> = assert(answer:upgrade())
    stream:write("hello\n")
    assert.equal("HELLO", stream:read_line())
    assert.equal("plain", client:get(url, { upgrade = "h2c" }).body)
  end)

  it("waits for the consent of the server", function()
    local consent = false
    local up = raw(function(head, conn)
      has(head, "Expect: 100-continue")
      consent = true
      conn:write("HTTP/1.1 100 Continue\r\n\r\n")
      return "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" .. conn:read(3)
    end)
    local conn <close> = net.connect("tcp://" .. before { upstreams = { up.url } }:match("//(.+)$"))
    conn:write("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert.equal("HTTP/1.1 100 Continue", conn:read_line())
    assert.is_true(consent)
    conn:read_line()
    conn:write("abc")
    has(conn:read_until("abc"), "200 OK")
  end)
end)

describe("a proxy whose servers fail", function()
  local client

  before_each(function()
    client = http.new()
  end)

  after_each(function()
    client:close()
  end)

  it("answers for them", function()
    local function status(options)
      return client:get(before(options)).status
    end
    local silent = raw(function(_, conn) conn:read_some() end)
    assert.equal(502, status { upstreams = { nobody() } })
    assert.equal(504, status { upstreams = { silent.url }, read_timeout = 0.02 })
    assert.equal(502, status { upstreams = { answering("nonsense\r\n\r\n").url } })
    assert.equal(502, status { upstreams = { answering(nil).url } })
    assert.equal(502,
      status { upstreams = { answering("HTTP/1.1 101 X\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n").url } })
    local resting = before { upstreams = { nobody() }, fails = 1, cooldown = 30 }
    assert.equal(502, client:get(resting).status)
    local answer = client:get(resting)
    assert.equal(503, answer.status)
    assert.equal("30", answer.headers["retry-after"])
  end)

  it("goes to another server when nothing is lost by that", function()
    local good, ending = answering(HELLO), answering(nil)
    for _, bad in ipairs { nobody(), ending.url } do
      local url = before { upstreams = { bad, good.url }, fails = 100 }
      for _ = 1, 4 do
        assert.equal(200, client:get(url).status)
      end
    end
    local url = before { upstreams = { nobody(), good.url }, fails = 100 }
    for _ = 1, 4 do
      assert.equal(200, client:post(url, "body").status)
    end
    ending.heads = {}
    url = before { upstreams = { ending.url, ending.url }, fails = 100 }
    assert.equal(502, client:post(url, "body").status)
    assert.equal(1, #ending.heads)
  end)

  it("leaves them alone for a while", function()
    local asked, healthy = 0, false
    local up = raw(function()
      asked = asked + 1
      return healthy and HELLO or nil
    end)
    local url = before { upstreams = { up.url, answering(HELLO).url }, fails = 2, cooldown = 30 }
    for _ = 1, 10 do
      assert.equal(200, client:get(url).status)
    end
    assert.equal(2, asked)
    url = before { upstreams = { up.url, answering(HELLO).url }, fails = 1, cooldown = 0.02 }
    assert.equal(200, client:get(url).status)
    healthy = true
    condition.wait_until(function()
      assert.equal(200, client:get(url).status)
      return asked > 6
    end)
  end)

  it("cuts an answer that its server has cut", function()
    for _, framing in ipairs { "Content-Length: 100\r\n\r\nhello",
      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" } do
      local up = raw(function(_, conn)
        conn:write("HTTP/1.1 200 OK\r\n" .. framing)
        conn:flush()
      end)
      local answer = client:get(before { upstreams = { up.url } }, { stream = true })
      assert.equal(200, answer.status)
      local data, _, code = answer:read_all()
      assert.is_nil(data)
      assert.equal("reset", code)
    end
  end)

  it("ends the request when its client has left", function()
    local ended
    local up = raw(function(_, conn)
      local _, _, code = conn:read_some()
      ended = code
    end)
    local conn = assert(net.connect("tcp://" .. before { upstreams = { up.url } }:match("//(.+)$")))
    conn:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    condition.wait_until(function() return #up.heads == 1 end)
    conn:close()
    condition.wait_until(function() return ended end)
    assert.is_truthy(ended)
  end)

  it("ends the request when its client has left in mid-body", function()
    local ended
    local up = raw(function(_, conn)
      local data, _, code
      repeat
        data, _, code = conn:read_some()
      until not data
      ended = code
    end)
    local conn = assert(net.connect("tcp://" .. before { upstreams = { up.url } }:match("//(.+)$")))
    conn:write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
    condition.wait_until(function() return #up.heads == 1 end)
    conn:close()
    condition.wait_until(function() return ended end)
    assert.equal("reset", ended)
  end)

  it("ends the request when its client has left before its body was asked for", function()
    local up, problem = raw(function(_, conn) conn:read_some() end)
    local handler = proxy.new { upstreams = { up.url } }
    local url = serve(function(...)
      local results = table.pack(pcall(handler, ...))
      problem = tostring(results[2])
      error(results[2], 0)
    end)
    local conn = assert(net.connect("tcp://" .. url:match("//(.+)$")))
    conn:write("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    condition.wait_until(function() return #up.heads == 1 end)
    conn:close()
    condition.wait_until(function() return problem end)
    assert.not_matches("attempt to", problem)
  end)

  it("asks them how they are", function()
    local well, checks = false, 0
    local up = raw(function(head)
      if head:find("GET /health ", 1, true) then
        checks = checks + 1
        return well and HELLO or "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
      end
      return HELLO
    end)
    local group <close> = task.group() -- luacheck: ignore 211
    local url = before { upstreams = { up.url }, check = { path = "/health", interval = 0.005 } }
    condition.wait_until(function() return client:get(url).status == 503 end)
    well = true
    condition.wait_until(function() return client:get(url).status == 200 end)
    assert.is_true(checks >= 4)
  end)
end)

describe("a proxy before several servers", function()
  local client, counts, urls, go_on

  before_each(function()
    client = http.new()
    counts, urls, go_on = { 0, 0, 0 }, {}, false
    for index = 1, 3 do
      urls[index] = serve(function(request, response)
        counts[index] = counts[index] + 1
        if request.path == "/slow" then
          condition.wait_until(function() return go_on end)
        end
        response:send(tostring(index))
      end)
    end
  end)

  after_each(function()
    client:close()
  end)

  it("takes them by turns", function()
    local url = before { upstreams = urls }
    for _ = 1, 9 do
      client:get(url)
    end
    assert.same({ 3, 3, 3 }, counts)
  end)

  it("takes the one with the fewest requests", function()
    local url = before { upstreams = urls, balance = "least_connections" }
    local group <close> = task.group()
    group:spawn(function() client:get(url .. "/slow") end)
    condition.wait_until(function() return counts[1] + counts[2] + counts[3] == 1 end)
    local slow = counts[1] == 1 and 1 or counts[2] == 1 and 2 or 3
    for _ = 1, 6 do
      client:get(url)
    end
    assert.equal(1, counts[slow])
    go_on = true
    group:wait()
  end)

  it("takes the same one for the same client", function()
    local url = before { upstreams = urls, balance = "hash", hash = "header:X-User" }
    local homes = {}
    for user = 1, 60 do
      homes[user] = client:get(url, { headers = { ["X-User"] = "user" .. user } }).body
    end
    for index = 1, 3 do
      assert.is_true(counts[index] > 8, table.concat(counts, " "))
    end
    local fewer = before { upstreams = { urls[1], urls[2] }, balance = "hash", hash = "header:X-User" }
    for user = 1, 60 do
      local options = { headers = { ["X-User"] = "user" .. user } }
      assert.equal(homes[user], client:get(url, options).body)
      local home = client:get(fewer, options).body
      assert.is_true(home == homes[user] or homes[user] == "3")
    end
    local by_cookie = before { upstreams = urls, balance = "hash", hash = "cookie:sid" }
    local first = client:get(by_cookie, { headers = { Cookie = "a=b; sid=42" } }).body
    for _ = 1, 5 do
      assert.equal(first, client:get(by_cookie, { headers = { Cookie = "sid=42; c=d" } }).body)
    end
  end)

  it("keeps nothing of requests that are over", function()
    local url = before { upstreams = urls, keep_alive = 0.01 }
    client:get(url)
    client:close()
    condition.wait_until(function() return core.usage().timers <= 8 end)
  end)
end)
