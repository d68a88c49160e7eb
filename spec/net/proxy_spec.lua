-- The PROXY protocol: what listeners take from proxies, and what connections begin with.
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local server = require "moonwire.http.server"

local V1 <const> = "PROXY TCP4 192.0.2.1 198.51.100.9 4711 443\r\n"
local SIGNATURE <const> = "\r\n\r\n\0\r\nQUIT\n"

local function tlv(kind, value)
  return string.pack(">Bs2", kind, value)
end

-- A header of version 2; `command` 0: LOCAL, 1: PROXY.
local function v2(command, family, addresses, tlvs)
  return SIGNATURE .. string.pack(">BBs2", 0x20 + command, family, addresses .. (tlvs or ""))
end

local IPV4 <const> = "\xC0\0\2\1\xC6\x33\x64\x09" .. string.pack(">HH", 4711, 443)

local function tell(conn)
  local proxy = conn:proxy()
  local line = conn:read_line() or "no line"
  conn:write(("%s|%s|%s|%s"):format(conn:peer_address(), proxy and "v" .. proxy.version or "none",
    proxy and proxy.destination or "", line), "\n")
end

local function serve(options, handler)
  options.proxies = options.proxies or { "127.0.0.1" }
  local address = options.address or "tcp://127.0.0.1:0"
  options.address = nil
  return assert(net.serve(address, handler or tell, options))
end

-- What a server answers to such bytes; each piece is a segment.
local function answer(listener, ...)
  local conn <close> = assert(net.connect(listener:local_address(), { read_timeout = 5 }))
  for _, piece in ipairs { ... } do
    assert(conn:write(piece))
    assert(conn:flush())
  end
  return (conn:read_line())
end

describe("a listener with proxies", function()
  it("takes the client's address from a header of version 1", function()
    local listener <close> = serve {}
    assert.equal("192.0.2.1:4711|v1|198.51.100.9:443|hello", answer(listener, V1 .. "hello\n"))
    assert.equal("[2001:db8::1]:1|v1|[2001:db8::2]:2|hello",
      answer(listener, "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\nhello\n"))
  end)

  it("and of version 2", function()
    local listener <close> = serve {}
    assert.equal("192.0.2.1:4711|v2|198.51.100.9:443|hello", answer(listener, v2(1, 0x11, IPV4) .. "hello\n"))
  end)

  it("takes the proxy's when the header tells none", function()
    local listener <close> = serve {}
    assert.matches("^127.0.0.1:%d+|v1||hello$", answer(listener, "PROXY UNKNOWN\r\nhello\n"))
    assert.matches("^127.0.0.1:%d+|v2||hello$", answer(listener, v2(0, 0, "") .. "hello\n"))
  end)

  it("waits for the rest of a header", function()
    local listener <close> = serve {}
    local conn <close> = assert(net.connect(listener:local_address()))
    for byte in (v2(1, 0x11, IPV4) .. "hello\n"):gmatch "." do
      assert(conn:write(byte))
      assert(conn:flush())
    end
    assert.equal("192.0.2.1:4711|v2|198.51.100.9:443|hello", conn:read_line())
  end)

  it("tells what else a header says", function()
    local said
    local listener <close> = serve({}, function(conn)
      said = conn:proxy()
      said.is_there = conn:is_open()
      conn:close()
      said.afterwards = conn:proxy()
    end)
    local tls = string.pack(">BI4", 7, 0) .. tlv(0x21, "TLSv1.3") .. tlv(0x22, "ann") .. tlv(0x23, "AES")
    local tlvs = tlv(1, "h2") .. tlv(2, "www.example.org") .. tlv(5, "\0id") .. tlv(0xE0, "ours")
      .. tlv(0x20, tls)
    assert.is_nil(answer(listener, v2(1, 0x11, IPV4, tlvs)))
    assert.matches("^127.0.0.1:%d+$", said.address)
    said.address = nil
    assert.same({
      version = 2, is_local = false, destination = "198.51.100.9:443", authority = "www.example.org",
      protocol = "h2", unique_id = "\0id", is_there = true,
      tls = { verified = true, version = "TLSv1.3", common_name = "ann", cipher = "AES" },
    }, said)
  end)

  it("says so when the proxy speaks for itself", function()
    local said
    local listener <close> = serve({}, function(conn)
      said = conn:proxy()
    end)
    assert.is_nil(answer(listener, v2(0, 0, "")))
    assert.same({ true, nil }, { said.is_local, said.tls })
  end)

  it("takes what others send as it is", function()
    local listener <close> = serve { proxies = { "10.0.0.0/8", "unix", "::1" } }
    assert.matches("^127.0.0.1:%d+|none||PROXY TCP4 192", answer(listener, V1))
  end)

  it("takes headers of those who come by a Unix socket, if it names them", function()
    local place <close> = folder.new()
    local path = "unix://" .. place.path .. "/x"
    do
      local listener <close> = serve { address = path, proxies = { "unix" } }
      assert.equal("192.0.2.1:4711|v1|198.51.100.9:443|hello", answer(listener, V1 .. "hello\n"))
    end
    local listener <close> = serve { address = path, proxies = { "0.0.0.0/0" } }
    assert.equal("unix://|none||hello", answer(listener, "hello\n"))
  end)

  it("hands what came with the header to a task that is deferred", function()
    local listener <close> = serve { defer = true }
    assert.equal("192.0.2.1:4711|v1|198.51.100.9:443|hello", answer(listener, V1 .. "hello\n"))
    assert.equal("192.0.2.1:4711|v1|198.51.100.9:443|hello", answer(listener, V1, "hello\n"))
  end)

  it("closes a deferred connection that ends behind its header", function()
    local listener <close> = serve { defer = true }
    local conn <close> = assert(net.connect(listener:local_address(), { read_timeout = 5 }))
    assert(conn:write(V1))
    conn:shutdown_write()
    assert.same({ nil, "eof", "eof" }, { conn:read_line() })
  end)

  it("hands connections to a task that accepts when they are through", function()
    local listener <close> = assert(net.listen("tcp://127.0.0.1:0", { proxies = { "127.0.0.1" } }))
    local one <close> = assert(net.connect(listener:local_address()))
    assert(one:write(V1, "hello\n"))
    local conn <close> = assert(listener:accept(5))
    assert.same({ "192.0.2.1:4711", "hello" }, { conn:peer_address(), conn:read_line() })
    local two <close> = assert(net.connect(listener:local_address()))
    assert.same({ nil, "timeout", "timeout" }, { listener:accept(0.02) })
    assert(two:write(v2(1, 0x11, IPV4)))
    local other <close> = assert(listener:accept(5))
    assert.equal(2, other:proxy().version)
  end)

  it("has TLS behind the header", function()
    local listener <close> = assert(net.serve("tls://127.0.0.1:0", function(conn)
      conn:write(conn:tls().version, " ")
      tell(conn)
    end, { tls = "auto", proxies = { "127.0.0.1" } }))
    for version = 1, 2 do
      local conn <close> = assert(net.connect("tls://" .. listener:local_address(), {
        tls = { verify = "none", name = "localhost" },
        proxy_header = { version = version, source = "192.0.2.1:4711", destination = "198.51.100.9:443" },
      }))
      assert(conn:write("hello\n"))
      assert.equal(("TLSv1.3 192.0.2.1:4711|v%d|198.51.100.9:443|hello"):format(version), conn:read_line())
    end
  end)

  it("refuses what cannot be right", function()
    local function refused(message, options)
      local ok, why = pcall(net.serve, "tcp://127.0.0.1:0", tell, options)
      assert.is_false(ok)
      assert.matches(message, why)
    end
    refused('option \'proxies\': "10.1.2.3/8": the address has bits', { proxies = { "10.1.2.3/8" } })
    refused("option 'proxies': a list of networks expected", { proxies = "127.0.0.1" })
    refused("option 'proxies': networks, such as", { proxies = { 1 } })
    local many = {}
    for i = 1, 1025 do
      many[i] = "::1"
    end
    refused("option 'proxies': too many", { proxies = many })
    refused("proxy_timeout", { proxy_timeout = -1 })
  end)
end)

describe("a server of HTTP with proxies", function()
  local listener, address

  setup(function()
    listener = assert(server.serve("tcp://127.0.0.1:0", function(request, response)
      response:send(request.peer .. " " .. request.path)
    end, { proxies = { "127.0.0.1" } }))
    address = listener:local_address()
  end)

  teardown(function()
    listener:close()
  end)

  it("takes the header and the first request in one segment", function()
    local conn <close> = assert(net.connect(address, { read_timeout = 5 }))
    assert(conn:write(V1, "GET /one HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert.matches("\r\n\r\n192.0.2.1:4711 /one$", conn:read_until("/one", 4096) .. "/one")
    assert(conn:write("GET /two HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    assert.matches("192.0.2.1:4711 /two$", conn:read_all())
  end)

  it("is what curl speaks to", function()
    local status, output = process.run { "curl", "-s", "--haproxy-protocol", "http://" .. address .. "/x" }
    assert.equal(0, status)
    assert.matches("^127.0.0.1:%d+ /x$", output)
  end)
end)

describe("a proxy without a good header", function()
  local SERVICE <const> = [[
    local net = require "moonwire.net"
    assert(net.serve("unix://%s/x", function(conn) conn:write("served\n") end,
      { proxies = { "unix" }, proxy_timeout = 0.05 })):keep()
    return function() end]]

  it("is disconnected without a word, and the log says why", function()
    local place <close> = folder.new()
    local one <close> = moonwire.serve { code = SERVICE:format(place.path) }
    local function refused(bytes, ends)
      local conn <close> = assert(net.connect("unix://" .. place.path .. "/x", { read_timeout = 5 }))
      assert(conn:write(bytes))
      if ends then
        conn:shutdown_write()
      end
      assert.equal("", conn:read_all())
    end
    refused("GET / HTTP/1.1\r\n\r\n")
    assert.matches(" info .*connection of unix:// came to nothing: PROXY header: no PROXY header$",
      one:wait_for_log "came to nothing")
    refused("PROXY TCP4 1 2 3 4\r\n")
    refused("PROXY TCP4 192.0", true)
    refused(v2(1, 0x11, "short"))
    refused("PROXY ")
    local _, count = one:log():gsub("came to nothing", "")
    assert.equal(1, count)
  end)
end)

describe("net.connect with proxy_header", function()
  -- What a server gets to see.
  local function sent(header, size, options)
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    options = options or {}
    options.proxy_header = header
    local conn <close> = assert(net.connect(listener:local_address(), options))
    assert(conn:write("data"))
    local other <close> = assert(listener:accept(5))
    return other:read(size + 4)
  end

  it("begins with that header", function()
    local pair = { version = 1, source = "192.0.2.1:4711", destination = "198.51.100.9:443" }
    assert.equal(V1 .. "data", sent(pair, #V1))
    pair.version = nil
    assert.equal(v2(1, 0x11, IPV4) .. "data", sent(pair, 28))
    assert.equal("PROXY UNKNOWN\r\ndata", sent({ version = 1 }, 15))
    assert.equal(v2(0, 0, "") .. "data", sent({}, 16))
  end)

  it("passes a connection's addresses on", function()
    local target <close> = serve {}
    local front <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      local back <close> = assert(net.connect(target:local_address(), { proxy_header = conn }))
      net.relay(conn, back)
    end))
    local conn <close> = assert(net.connect(front:local_address()))
    assert(conn:write("hello\n"))
    assert.equal(("%s|v2|%s|hello"):format(conn:local_address(), front:local_address()), conn:read_line())
  end)

  it("passes on what a proxy before has said", function()
    local target <close> = serve {}
    local front <close> = serve({}, function(conn)
      local back <close> = assert(net.connect(target:local_address(), { proxy_header = conn }))
      net.relay(conn, back)
    end)
    assert.equal("192.0.2.1:4711|v2|198.51.100.9:443|hello", answer(front, V1 .. "hello\n"))
  end)

  it("fails with a connection that is closed", function()
    local one = net.pair()
    one:close()
    assert.same({ nil, "closed", "closed" }, { net.connect("tcp://127.0.0.1:1", { proxy_header = one }) })
  end)

  it("speaks for itself with a stream that has no addresses", function()
    local one, two = net.pair()
    assert.is_nil(two:proxy())
    assert.equal(v2(0, 0, "") .. "data", sent(one, 16))
    one:close()
    two:close()
  end)

  it("refuses what cannot be right", function()
    local function refused(message, header)
      local ok, why = pcall(net.connect, "tcp://127.0.0.1:1", { proxy_header = header })
      assert.is_false(ok)
      assert.matches(message, why, 1, true)
    end
    refused("'version'", { version = 3 })
    refused("option 'proxy_header.source': a numeric address expected", { source = "localhost:1" })
    refused("option 'proxy_header.source': text expected", { source = 1 })
    refused("option 'proxy_header': source and destination go together", { source = "192.0.2.1:1" })
    refused("unknown option 'client'", { client = "192.0.2.1:1" })
    refused("a table, a stream or a request expected", true)
    refused("a table, a stream or a request expected", io.stdout)
  end)
end)

describe("a listener that closes", function()
  it("closes connections whose header is still to come", function()
    local listener = serve {}
    local conn <close> = assert(net.connect(listener:local_address(), { read_timeout = 5 }))
    assert(conn:write("PROXY"))
    condition.wait_until(function()
      return conn:counters().pending == 0
    end)
    listener:close()
    assert.is_nil((conn:read_line()))
  end)
end)
