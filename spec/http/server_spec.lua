local fs = require "moonwire.file"
local net = require "moonwire.net"
local server = require "moonwire.http.server"
local streams = require "spec.support.streams"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

local SECONDS <const> = 5

local function serve(handler, options)
  local listener = assert(server.serve("tcp://127.0.0.1:0", handler, options))
  return streams.address_of(listener), listener
end

local function connect(address)
  return assert(net.connect(address, { read_timeout = SECONDS }))
end

-- Everything that comes for the bytes until the server closes.
local function converse(address, bytes)
  local conn <close> = connect(address)
  conn:write(bytes)
  conn:shutdown_write()
  return assert(conn:read_all(16 * 1024 * 1024))
end

-- One response off the connection: status, head, body.
local function read_response(conn)
  local head = assert(conn:read_until("\r\n\r\n"))
  local status = tonumber(head:match("^HTTP/1%.1 (%d%d%d) "))
  local length = tonumber(head:match("\r\nContent%-Length: (%d+)") or nil)
  return status, head .. "\r\n", length and assert(conn:read(length))
end

local function get(path, more)
  return ("GET %s HTTP/1.1\r\nHost: here\r\n%s\r\n"):format(path, more or "")
end

local function post(path, body, more)
  local message = "POST %s HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n%s\r\n%s"
  return message:format(path, #body, more or "", body)
end

describe("an HTTP server", function()
  it("answers requests on one connection, each with its own values", function()
    local address = serve(function(request, response)
      response:send(("%s %s %s %s"):format(request.method, request.path, request.query, request.host))
    end)
    local conn <close> = connect(address)
    for i = 1, 3 do
      conn:write(get(("/a%%20b/../%d?x=%d"):format(i, i)))
      local status, head, body = read_response(conn)
      assert.equal(200, status)
      assert.equal(("GET /%d x=%d here"):format(i, i), body)
      assert.matches("\r\nDate: %a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT\r\n", head)
      assert.not_matches("Connection:", head)
    end
  end)

  it("answers pipelined requests in their order, whether handlers wait or not", function()
    local address = serve(function(request, response)
      if request.path:find("slow") then
        task.sleep(0.005)
      end
      response:send(request.path .. ";")
    end)
    local conn <close> = connect(address)
    local paths = {}
    for i = 1, 100 do
      paths[i] = (i % 9 == 0 and "/slow" or "/fast") .. i
      conn:write(get(paths[i]))
    end
    for i = 1, 100 do
      local _, _, body = read_response(conn)
      assert.equal(paths[i] .. ";", body)
    end
  end)

  it("takes a request that comes byte by byte", function()
    local address = serve(function(request, response)
      response:send(request:read_all())
    end)
    local conn <close> = connect(address)
    for byte in post("/", "hello"):gmatch(".") do
      conn:write(byte)
      conn:flush()
      task.yield()
    end
    local _, _, body = read_response(conn)
    assert.equal("hello", body)
  end)

  it("shows fields lazily and keeps what scripts put into a request", function()
    local seen
    local address = serve(function(request, response)
      request.user = "ann"
      seen = {
        accept = request:header("ACCEPT"), none = request:header("nothing"), headers = request.headers,
        user = request.user, version = request.version, scheme = request.scheme, target = request.target,
        id = request.id, same = request.id == request.id, peer = request.peer, authority = request.authority,
        order = {},
      }
      for name, value in request:fields() do
        table.insert(seen.order, name .. "=" .. value)
      end
      seen.set = { pcall(function() request.method = "PUT" end) }
      response:send()
    end)
    converse(address, "GET / HTTP/1.0\r\nHost: Some:80\r\nAccept: a\r\naccept:  b \r\n" ..
      "Cookie: x=1\r\nCookie: y=2\r\n\r\n")
    assert.equal("a, b", seen.accept)
    assert.is_nil(seen.none)
    assert.same({ host = "Some:80", accept = "a, b", cookie = "x=1; y=2" }, seen.headers)
    assert.same({ "Host=Some:80", "Accept=a", "accept=b", "Cookie=x=1", "Cookie=y=2" }, seen.order)
    assert.equal("ann", seen.user)
    assert.equal("1.0", seen.version)
    assert.equal("http", seen.scheme)
    assert.equal("Some:80", seen.authority)
    assert.matches("^%x+$", seen.id)
    assert.is_true(seen.same)
    assert.matches("^127%.0%.0%.1:%d+$", seen.peer)
    assert.is_false(seen.set[1])
    assert.matches("cannot be set", seen.set[2])
  end)

  it("keeps a connection of HTTP/1.0 only when asked, and closes when asked", function()
    local address = serve(function(_, response) response:send("x") end)
    assert.matches("\r\nConnection: close\r\n", converse(address, "GET / HTTP/1.0\r\n\r\n"))
    assert.matches("\r\nConnection: keep%-alive\r\n",
      converse(address, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))
    local conn <close> = connect(address)
    conn:write(get("/", "Connection: close\r\n"))
    assert.matches("\r\nConnection: close\r\n", conn:read_all())
  end)

  it("answers an error with 500 and the id that the log has, and goes on for others", function()
    local ids = {}
    local address = serve(function(request)
      ids[#ids + 1] = request.id
      if request.path == "/none" then
        return
      end
      error("broken")
    end)
    for i, path in ipairs { "/", "/none" } do
      local answer = converse(address, get(path))
      assert.matches("^HTTP/1.1 500 Internal Server Error\r\n", answer)
      assert.matches("request " .. ids[i], answer)
      assert.not_matches("broken", answer)
    end
  end)

  it("closes without a clean end when a handler dies in the middle of an answer", function()
    local address = serve(function(_, response)
      response:write("first")
      error("broken")
    end)
    local answer = converse(address, get("/"))
    assert.matches("5\r\nfirst\r\n$", answer)
  end)

  it("sends pieces as chunks, with trailers behind", function()
    local address = serve(function(_, response)
      response:write("one", "two")
      response:write("")
      response:write("three")
      response:finish { ["X-Sum"] = "11" }
    end)
    local answer = converse(address, get("/"))
    assert.matches("\r\nTransfer%-Encoding: chunked\r\n", answer)
    assert.matches("\r\n\r\n6\r\nonetwo\r\n5\r\nthree\r\n0\r\nX%-Sum: 11\r\n\r\n$", answer)
  end)

  it("sends pieces of a known length as they are, and refuses more", function()
    local result
    local address = serve(function(_, response)
      response:header("Content-Length", 6)
      response:write("one")
      result = table.pack(response:write("twox"))
      response:write("two")
    end)
    local answer = converse(address, get("/"))
    assert.matches("\r\nContent%-Length: 6\r\n\r\nonetwo$", answer)
    assert.same({ n = 3, nil, "too_large", "too_large" }, result)
  end)

  it("ends a stream of HTTP/1.0 with the connection", function()
    local address = serve(function(_, response)
      response:write("one")
      response:write("two")
    end)
    local answer = converse(address, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert.matches("\r\nConnection: close\r\n", answer)
    assert.matches("\r\n\r\nonetwo$", answer)
  end)

  it("leaves the body out for HEAD, 204, 205 and 304", function()
    local address = serve(function(request, response)
      local status = tonumber(request.path:match("%d+"))
      response:status(status):send(status < 300 and "hello" or nil)
    end)
    assert.matches("\r\nContent%-Length: 5\r\n[^\n]*\r\n$",
      converse(address, "HEAD /200 HTTP/1.1\r\nHost: h\r\n\r\n"))
    for _, status in ipairs { 204, 304 } do
      local answer = converse(address, get("/" .. status))
      assert.not_matches("Content%-Length", answer)
      assert.matches("\r\n\r\n$", answer)
    end
    assert.matches("\r\nContent%-Length: 0\r\n\r\n$", converse(address, get "/205"))
  end)

  it("reads bodies of all framings, whole and in pieces", function()
    local address = serve(function(request, response)
      local parts = {}
      if request.path == "/all" then
        parts[1] = assert(request:read_all())
      else
        for chunk in request:chunks { max = 3 } do
          assert(#chunk <= 3)
          parts[#parts + 1] = chunk
        end
      end
      assert.same({ nil, "eof", "eof" }, { request:read_some() })
      response:send(table.concat(parts) .. ";" .. (request:trailers()["x-sum"] or ""))
    end)
    local chunked = "POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" ..
      "5;x=\"y\"\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nX-Sum: 11\r\n\r\n"
    local conn <close> = connect(address)
    for _, path in ipairs { "/all", "/pieces" } do
      conn:write(chunked:format(path), post(path, "hello world"), post(path, ""))
      assert.equal("hello world;11", select(3, read_response(conn)))
      assert.equal("hello world;", select(3, read_response(conn)))
      assert.equal(";", select(3, read_response(conn)))
    end
  end)

  it("tells a client that waits for it to go on, when the body is wanted", function()
    local address = serve(function(request, response)
      if request.path == "/want" then
        response:send(request:read_all())
      else
        response:status(403):send()
      end
    end)
    local conn <close> = connect(address)
    conn:write("POST /want HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert.equal("HTTP/1.1 100 Continue", conn:read_until("\r\n\r\n"))
    conn:write("ok")
    assert.equal("ok", select(3, read_response(conn)))
    conn:write("POST /not HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    local answer = conn:read_all()
    assert.matches("^HTTP/1.1 403 ", answer)
    assert.matches("\r\nConnection: close\r\n", answer)
  end)

  it("skips a small body that nobody reads, and closes behind a large one", function()
    local address = serve(function(_, response) response:send("x") end)
    local conn <close> = connect(address)
    conn:write(post("/", ("a"):rep(1000)), get("/"))
    assert.equal(200, (read_response(conn)))
    assert.equal(200, (read_response(conn)))
    conn:write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\nabc")
    local _, head = read_response(conn)
    assert.matches("\r\nConnection: close\r\n", head)
    assert.equal("eof", select(2, conn:read_some()))
  end)

  it("takes nothing of a body for a request that a handler has begun to read and left", function()
    local paths = {}
    local address = serve(function(request, response)
      paths[#paths + 1] = request.path
      if request.path == "/some" then
        request:read_some(5)
      elseif request.path == "/all" then
        request:read_all(5)
      elseif request.path == "/chunk" then
        local next_chunk, of = request:chunks { max = 1 }
        pcall(next_chunk, of)
      end
      response:send("x")
    end, { body_max = 100 })
    local evil = get "/evil"
    for _, path in ipairs { "/some", "/all", "/chunk" } do
      for _, count in ipairs { 1, 2, 100 } do
        local body = evil:rep(count)
        local chunk = ("%x\r\n%s\r\n0\r\n\r\n"):format(#body, body)
        converse(address, post(path, body) .. get "/good")
        converse(address, ("POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"):format(path)
          .. chunk .. get "/good")
      end
    end
    for index, path in ipairs(paths) do
      assert.is_true(path ~= "/evil", index)
    end
    assert.is_true(#paths >= 30)
  end)

  it("limits bodies", function()
    local results = {}
    local address = serve(function(request, response)
      if request.path == "/more" then
        request:limit_body(20)
      end
      results[#results + 1] = { request:read_all() }
      response:send()
    end, { body_max = 10 })
    converse(address, post("/", ("a"):rep(11)))
    converse(address, post("/more", ("a"):rep(20)))
    converse(address, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" ..
      "b\r\naaaaaaaaaaa\r\n0\r\n\r\n")
    assert.same({ nil, "too_large", "too_large" }, results[1])
    assert.same({ ("a"):rep(20) }, results[2])
    assert.same({ nil, "too_large", "too_large" }, results[3])
  end)

  it("refuses what two parsers could read differently, and ends the connection", function()
    local called = 0
    local address = serve(function(request, response)
      called = called + 1
      request:read_all()
      response:send()
    end)
    local bad = {
      [400] = {
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /../x HTTP/1.1\r\nHost: h\r\n\r\n", "\22\3\1\2\0\1\n",
      },
      [431] = { "GET / HTTP/1.1\r\nHost: h\r\nA: " .. ("a"):rep(20000) },
      [414] = { "GET /" .. ("a"):rep(9000) .. " HTTP/1.1\r\nHost: h\r\n\r\n" },
      [501] = { "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
        "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n" },
      [505] = { "GET / HTTP/2.0\r\nHost: h\r\n\r\n" },
    }
    for status, messages in pairs(bad) do
      for _, message in ipairs(messages) do
        local answer = converse(address, message .. get("/"))
        assert.matches("^HTTP/1.1 " .. status .. " ", answer)
        assert.is_nil(answer:find("HTTP/1.1", 9, true))
      end
    end
    assert.equal(0, called)
  end)

  it("tells a handler of a body with bad framing, and ends the connection behind", function()
    local result
    local address = serve(function(request, response)
      result = { request:read_all() }
      response:send("x")
    end)
    local answer = converse(address,
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" .. get("/"))
    assert.equal("invalid", result[3])
    assert.matches("chunk", result[2])
    assert.matches("\r\nConnection: close\r\n", answer)
    assert.is_nil(answer:find("HTTP/1.1", 9, true))
  end)

  it("limits the time for a head and between requests", function()
    local limits <const> = { head_timeout = 0.02, keep_alive = 0.02 }
    local address = serve(function(_, response) response:send("x") end, limits)
    local conn <close> = connect(address)
    conn:write("GET / HT")
    assert.matches("^HTTP/1.1 408 ", conn:read_all())
    local other <close> = connect(address)
    other:write(get("/"))
    read_response(other)
    assert.equal("eof", select(2, other:read_some()))
    local silent <close> = connect(address)
    assert.equal("eof", select(2, silent:read_some()))
  end)

  it("limits requests on a connection, and can do without keep-alive", function()
    local address = serve(function(_, response) response:send("x") end, { requests_max = 2 })
    local answer = converse(address, get("/") .. get("/") .. get("/"))
    assert.equal(2, select(2, answer:gsub("HTTP/1.1 200", "")))
    address = serve(function(_, response) response:send("x") end, { keep_alive = 0 })
    assert.equal(1, select(2, converse(address, get("/") .. get("/")):gsub("HTTP/1.1 200", "")))
  end)

  it("cancels a request whose client has left", function()
    local left = sync.event()
    local address = serve(function(request)
      local _ <close> = setmetatable({}, { __close = function() left:set() end })
      assert.is_true(request:is_open())
      task.sleep(60)
    end)
    local conn = connect(address)
    conn:write(get("/"))
    conn:flush()
    task.sleep(0.01)
    conn:close()
    assert.is_true(task.with_timeout(SECONDS, left.wait, left))
  end)

  it("answers a client that has ended its sending all the same", function()
    local body = ("x"):rep(3 * 1024 * 1024)
    local address = serve(function(_, response)
      response:write(body)
      response:write(body)
    end)
    local answer = converse(address, "GET / HTTP/1.0\r\n\r\n")
    assert.equal(2 * #body, #answer - answer:find("\r\n\r\n", 1, true) - 3)
  end)

  it("waits for a client that reads slowly, and cuts one that does not", function()
    local result
    local done = sync.event()
    local address = serve(function(_, response)
      for _ = 1, 200 do
        result = { response:write(("x"):rep(100000)) }
        if not result[1] then
          break
        end
      end
      done:set()
    end, { write_timeout = 0.1 })
    local conn <close> = connect(address)
    conn:write(get("/"))
    assert.is_true(task.with_timeout(SECONDS, done.wait, done))
    assert.same({ nil, "timeout", "timeout" }, result)
  end)

  it("serves files with their length", function()
    local name = os.tmpname()
    local file <close> = assert(io.open(name, "w"))
    file:write(("0123456789"):rep(100000))
    file:flush()
    local address = serve(function(request, response)
      if request.path == "/part" then
        return response:send_file(name, 10, 25)
      end
      return response:send_file(name)
    end)
    local conn <close> = connect(address)
    conn:write(get("/"), get("/part"), get("/"))
    assert.equal(1000000, #select(3, read_response(conn)))
    assert.equal("0123456789012345678901234", select(3, read_response(conn)))
    assert.equal(1000000, #select(3, read_response(conn)))
    assert.matches("Content%-Length: 1000000\r\n\r\n$",
      converse(address, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"))
    os.remove(name)
  end)

  it("serves open files of every size, small ones with their head", function()
    local folder <close> = assert(fs.root(os.getenv "SCRATCH" or "/tmp"))
    local address = serve(function(request, response)
      local size = assert(math.tointeger(request.query))
      local opened <close> = assert(folder:open("sized", "write"))
      assert(opened:write(("x"):rep(size), "the end"))
      local source <close> = assert(folder:open("sized"))
      if request.path == "/to-its-end" then
        return response:send_file(source, 0)
      end
      return response:send_file(source, 3, size)
    end)
    for _, size in ipairs { 0, 4, 16376, 16377, 16378, 16383, 16384, 16385, 70000 } do
      local conn <close> = connect(address)
      conn:write(get("/part?" .. size), get("/to-its-end?" .. size))
      local _, head, body = read_response(conn)
      assert.equal((("x"):rep(size) .. "the end"):sub(4, size + 3), body)
      assert.is_nil(head:find "Content-Type", "a type that nobody has set")
      assert.equal(("x"):rep(size) .. "the end", select(3, read_response(conn)))
      conn:write(("HEAD /part?%d HTTP/1.1\r\nHost: here\r\n\r\n"):format(size), get("/part?4"))
      assert.matches("\r\nContent%-Length: " .. size .. "$", (conn:read_until("\r\n\r\n")))
      assert.equal("xthe", select(3, read_response(conn)))
    end
    folder:remove "sized"
  end)

  it("cannot be made to split a response", function()
    local messages = {}
    local address = serve(function(_, response)
      for _, case in ipairs {
        { "x", "a\r\nSet-Cookie: b" }, { "x", "a\nb" }, { "x", "a\0b" }, { "x y", "a" }, { "x:", "a" },
        { "", "a" }, { "x", " a" }, { "Transfer-Encoding", "gzip" }, { "Connection", "keep-alive" },
        { "Content-Length", -1 },
      } do
        messages[#messages + 1] = select(2, pcall(response.header, response, case[1], case[2]))
      end
      messages[#messages + 1] = select(2, pcall(response.add_header, response, "x", "a\rb"))
      response:send()
    end)
    local answer = converse(address, get("/"))
    assert.equal(11, #messages)
    for _, message in ipairs(messages) do
      assert.is_string(message)
    end
    assert.not_matches("\r\n[xS]", answer)
  end)

  it("sets, replaces, adds and removes fields", function()
    local read
    local address = serve(function(_, response)
      response:header("X-A", "1"):header("x-a", "2"):add_header("X-A", "3")
      response:header("X-B", 4):header("X-B", nil)
      response:header("Content-Type", "text/html")
      read = { response:header("X-a"), response:header("x-b"), response:status() }
      response:status(201):send("x")
      read[4] = response:is_finished()
      read[5] = select(2, pcall(response.status, response, 200))
      read[6] = select(2, pcall(response.send, response, "again"))
      read[7] = response:bytes_sent()
    end)
    local answer = converse(address, get("/"))
    assert.matches("^HTTP/1.1 201 Created\r\n", answer)
    assert.matches("\r\nx%-a: 2\r\nX%-A: 3\r\n", answer)
    assert.not_matches("X%-B", answer)
    assert.equal(1, select(2, answer:gsub("Content%-Type", "")))
    assert.equal("2, 3", read[1])
    assert.is_nil(read[2])
    assert.equal(200, read[3])
    assert.is_true(read[4])
    assert.matches("sent already", read[5])
    assert.matches("finished already", read[6])
    assert.equal(1, read[7])
  end)

  it("gives the connection to another protocol", function()
    local address = serve(function(request, response)
      assert.equal("echo", request.upgrade)
      local conn = response:header("X-Note", "yes"):upgrade("echo")
      assert.same({ nil, "closed", "closed" }, { response:send("x") })
      for line in conn:lines() do
        conn:write(line:upper(), "\n")
      end
    end)
    local conn <close> = connect(address)
    conn:write(get("/", "Connection: Upgrade\r\nUpgrade: echo\r\n"), "early\n")
    local head = conn:read_until("\r\n\r\n")
    assert.matches("^HTTP/1.1 101 Switching Protocols\r\n", head)
    assert.matches("\r\nX%-Note: yes", head)
    conn:write("late\n")
    assert.equal("EARLY", conn:read_line())
    assert.equal("LATE", conn:read_line())
  end)

  it("forgets what scripts keep of a request that is over", function()
    local kept
    local address = serve(function(request, response)
      kept = kept or { request = request, response = response }
      response:send("x")
    end)
    converse(address, post("/kept", "body"))
    assert.equal("/kept", kept.request.path)
    assert.is_false(kept.request:is_open())
    assert.same({ nil, "closed", "closed" }, { kept.request:read_all() })
    assert.same({ nil, "closed", "closed" }, { kept.response:send("y") })
    assert.matches("moonwire.http.request: POST /kept", tostring(kept.request))
  end)

  it("serves no more requests to a client that reads no answers", function()
    local served = 0
    local address = serve(function(_, response)
      served = served + 1
      response:send(("x"):rep(50000))
    end)
    local conn <close> = connect(address)
    for _ = 1, 2000 do
      conn:try_write(get("/"))
    end
    conn:flush()
    local before
    repeat
      before = served
      task.sleep(0.02)
    until served == before
    assert.is_true(served < 1000)
    for _ = 1, 2000 do
      read_response(conn)
    end
    assert.equal(2000, served)
  end)

  it("lets requests in progress end when its listener closes", function()
    local go = sync.event()
    local address, listener = serve(function(_, response)
      go:wait()
      response:send("x")
    end)
    local conn <close> = connect(address)
    local idle <close> = connect(address)
    conn:write(get("/"))
    conn:flush()
    task.sleep(0.01)
    listener:close()
    assert.equal("eof", select(2, idle:read_some()))
    go:set()
    local _, head = read_response(conn)
    assert.matches("\r\nConnection: close\r\n", head)
    assert.equal("eof", select(2, conn:read_some()))
  end)

  it("raises for options that do not exist and handlers that are none", function()
    assert.has_error(function() server.serve("tcp://127.0.0.1:0", print, { keepalives = 1 }) end)
    assert.has_error(function() server.serve("tcp://127.0.0.1:0", 5) end)
    assert.has_error(function() server.serve("tcp://127.0.0.1:0", print, { body_max = -1 }) end)
  end)
end)
