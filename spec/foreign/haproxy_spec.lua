-- haproxy before us and behind us: it writes PROXY headers that we read, and reads those that we write.
local authority = require "spec.support.authority"
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local process = require "spec.support.process"
local server = require "moonwire.http.server"

local CONFIG <const> = [[
defaults
  timeout connect 5s
  timeout client 5s
  timeout server 5s
listen front
  mode %s
  bind 127.0.0.1:%s%s
  server back %s%s
]]

-- A port that is free at the moment.
local function free_port()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  return listener:local_address():match ":(%d+)$"
end

---@class spec.haproxy
---@field mode? string default "tcp"
---@field bind? string options of its listener
---@field target string where it connects to
---@field server? string options of that

-- Starts haproxy between its `address` and the target.
---@param options spec.haproxy
local function start(options)
  local place, port = folder.new(), free_port()
  local file = place:write("haproxy.cfg", CONFIG:format(options.mode or "tcp", port, options.bind or "",
    options.target, options.server or ""))
  local haproxy = setmetatable({ address = "127.0.0.1:" .. port }, {
    __close = function(self)
      self.process:stop()
      place:remove()
    end,
  })
  haproxy.process = process.start { "haproxy", "-db", "-f", file }
  condition.wait_until(function()
    assert(not haproxy.process:status(), haproxy.process:errors())
    local sockets <close> = assert(io.open "/proc/net/tcp")
    return sockets:read("a"):find((" 0100007F:%04X 00000000:0000 0A "):format(port), 1, true)
  end, 10)
  return haproxy
end

local function ask(address, options)
  options = options or {}
  options.read_timeout = 5
  local conn <close> = assert(net.connect(address, options))
  assert(conn:write("hello\n"))
  return conn:read_line(), conn:local_address()
end

describe("haproxy in front of us", function()
  for version, word in ipairs { " send-proxy", " send-proxy-v2" } do
    it("tells who its client is:" .. word, function()
      local listener <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
        local proxy = conn:proxy()
        conn:write(conn:peer_address(), " v", proxy.version, " ", proxy.destination, " ")
        conn:write(conn:read_line(), "\n")
      end, { proxies = { "127.0.0.0/8" } }))
      local haproxy <close> = start { target = listener:local_address(), server = word }
      local line, client = ask(haproxy.address)
      assert.equal(("%s v%d %s hello"):format(client, version, haproxy.address), line)
    end)
  end

  it("has us served as its clients, by HTTP and with its checks", function()
    local peers = {}
    local listener <close> = assert(server.serve("tcp://127.0.0.1:0", function(request, response)
      peers[request.path] = request.peer
      response:send "served"
    end, { proxies = { "127.0.0.1" } }))
    local haproxy <close> = start {
      mode = "http", bind = "\n  option httpchk GET /check", target = listener:local_address(),
      server = " send-proxy-v2 check inter 50ms",
    }
    local status, output = process.run { "curl", "-s", "--local-port", "1024-65535", "-w", " %{local_port}",
      "http://" .. haproxy.address .. "/x" }
    assert.equal(0, status)
    assert.equal("served " .. peers["/x"]:match ":(%d+)$", output)
    condition.wait_until(function()
      return peers["/check"]
    end)
    assert.is_true(peers["/check"] ~= peers["/x"])
  end)

  it("tells what its clients have agreed on with it by TLS", function()
    local place <close> = folder.new()
    local pair = authority.new(place):issue { "www.example.org" }
    local pem = place:write("both.pem", pair.pem .. pair.key_pem)
    local said
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      said = conn:proxy()
      conn:write "seen\n"
    end, { proxies = { "127.0.0.1" } }))
    local haproxy <close> = start {
      bind = (" ssl crt %s alpn echo\n  unique-id-format %%[uuid()]"):format(pem),
      target = listener:local_address(),
      server = " send-proxy-v2 proxy-v2-options authority,ssl,ssl-cipher,unique-id,crc32c",
    }
    assert.equal("seen", ask("tls://" .. haproxy.address, {
      tls = { verify = "none", name = "www.example.org", protocols = { "echo" } },
    }))
    assert.same({ "www.example.org", "echo", 36 }, { said.authority, said.protocol, #said.unique_id })
    assert.same({ "TLSv1.3", false }, { said.tls.version, said.tls.verified })
    assert.is_truthy(said.tls.cipher)
  end)
end)

describe("haproxy behind us", function()
  it("reads what net.connect writes", function()
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      conn:write(conn:peer_address(), " ", conn:proxy().destination, "\n")
    end, { proxies = { "127.0.0.1" } }))
    local haproxy <close> = start {
      bind = " accept-proxy", target = listener:local_address(), server = " send-proxy-v2",
    }
    for version = 1, 2 do
      for source, destination in pairs {
        ["192.0.2.1:4711"] = "198.51.100.9:443", ["[2001:db8::1]:4711"] = "[2001:db8::2]:443",
      } do
        local line = ask(haproxy.address, {
          proxy_header = { version = version, source = source, destination = destination },
        })
        assert.equal(source .. " " .. destination, line)
      end
      local line = ask(haproxy.address, { proxy_header = { version = version } })
      assert.matches("^127.0.0.1:%d+ " .. haproxy.address .. "$", line)
    end
  end)
end)
