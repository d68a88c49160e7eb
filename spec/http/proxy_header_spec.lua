-- The PROXY protocol beneath HTTP, and interim answers through a proxy.
local condition = require "spec.support.condition"
local http = require "moonwire.http.client"
local net = require "moonwire.net"
local proxy = require "moonwire.http.proxy"
local server = require "moonwire.http.server"

local HEADER <const> = "PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n"
local TO_PROXIES <const> = { proxies = { "127.0.0.1" } }

local function serve(handler, options)
  return assert(server.serve("tcp://127.0.0.1:0", handler, options))
end

local function open(listener)
  return assert(net.connect("tcp://" .. listener:local_address(), { read_timeout = 20 }))
end

local function ask(conn)
  conn:write "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
  local head = assert(conn:read_until("\r\n\r\n", 4096))
  return conn:read(math.tointeger(tonumber(head:match "Content%-Length: (%d+)")))
end

describe("a PROXY header", function()
  it("is told by requests of its connection", function()
    local listener <close> = serve(function(request, response)
      local said = request:proxy()
      response:send(("%s %s %d"):format(request.peer, said.destination, said.version))
    end, TO_PROXIES)
    local conn <close> = open(listener)
    conn:write(HEADER)
    assert.equal("192.0.2.1:4711 198.51.100.2:80 1", ask(conn))
    assert.equal("192.0.2.1:4711 198.51.100.2:80 1", ask(conn))
  end)

  it("is told by nobody else's", function()
    local kept
    local listener <close> = serve(function(request, response)
      kept = request
      response:send(tostring(request:proxy()))
    end)
    local conn <close> = open(listener)
    assert.equal("nil", ask(conn))
    conn:close()
    condition.wait_until(function() return not kept:is_open() end, 20)
    assert.is_nil(kept:proxy())
  end)

  it("begins connections for a request, and those of a client", function()
    local target <close> = serve(function(request, response) response:send(request.peer) end, TO_PROXIES)
    local url = "http://" .. target:local_address() .. "/"
    local listener <close> = serve(function(request, response)
      local conn <close> = assert(net.connect("tcp://" .. target:local_address(), { proxy_header = request }))
      local header = { source = "192.0.2.9:1", destination = "192.0.2.8:2" }
      local client <close> = http.new { connection = { proxy_header = header } }
      local answer = assert(client:get(url))
      response:send(ask(conn) .. " " .. answer.body)
    end)
    local conn <close> = open(listener)
    assert.equal(conn:local_address() .. " 192.0.2.9:1", ask(conn))
    assert.has_error(function() net.connect("tcp://127.0.0.1:1", { proxy_header = io.stdout }) end)
  end)

  it("tells servers behind a proxy who each client is", function()
    local peers, connections = {}, {}
    local target <close> = serve(function(request, response)
      peers[#peers + 1] = request.peer
      connections[request:proxy().address] = true
      response:send(request.peer)
    end, TO_PROXIES)
    local listener <close> = serve(proxy.new {
      upstreams = { "http://" .. target:local_address() }, proxy_header = true,
    })
    local one <close> = open(listener)
    local other <close> = open(listener)
    for _ = 1, 2 do
      assert.equal(one:local_address(), ask(one))
      assert.equal(other:local_address(), ask(other))
    end
    assert.equal(4, #peers)
    local count = 0
    for _ in pairs(connections) do
      count = count + 1
    end
    assert.equal(2, count) -- each client has one, which is used again
  end)

  it("tells no client when a proxy asks how its servers are", function()
    local is_local
    local target <close> = serve(function(request, response)
      is_local = request:proxy().is_local
      response:send "well"
    end, TO_PROXIES)
    proxy.new { upstreams = { "http://" .. target:local_address() }, proxy_header = true,
      check = { interval = 0.05 } }
    condition.wait_until(function() return is_local end, 20)
  end)
end)

describe("interim answers", function()
  local EARLY <const> = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Drop: 1\r\n"
    .. "Keep-Alive: 1\r\n\r\n"

  -- What comes back through a proxy when the server sends these bytes.
  local function exchange(bytes, request)
    local target <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      conn:read_until("\r\n\r\n", 4096)
      conn:write(bytes)
    end))
    local listener <close> = serve(proxy.new {
      upstreams = { "http://" .. target:local_address() }, drop_answer_headers = { "X-Drop" },
    })
    local conn <close> = open(listener)
    conn:write(request)
    return conn:read_all()
  end

  local LAST <const> = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
  local REQUEST <const> = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

  it("go to the client before the one that counts", function()
    local back = exchange(EARLY .. EARLY .. LAST, REQUEST)
    local one = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    assert.equal(one .. one, back:sub(1, 2 * #one))
    assert.matches("^HTTP/1.1 200 OK\r\n.*\r\n\r\nok$", back:sub(2 * #one + 1))
  end)

  it("are kept from clients that know none, and 100 from all", function()
    assert.matches("^HTTP/1.1 200 ", exchange(EARLY .. LAST, "GET / HTTP/1.0\r\nHost: a\r\n\r\n"))
    assert.matches("^HTTP/1.1 200 ", exchange("HTTP/1.1 100 Continue\r\n\r\n" .. LAST, REQUEST))
  end)

  it("are passed on up to a limit", function()
    local back = exchange(EARLY:rep(100) .. LAST, REQUEST)
    assert.equal(16, select(2, back:gsub("HTTP/1.1 103 ", "")))
    assert.matches("\r\n\r\nok$", back)
  end)
end)
