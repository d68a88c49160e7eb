-- What clients of TLS ask for, as their own programs say it, without taking part in the handshake.
local net = require "moonwire.net"
local process = require "spec.support.process"
local task = require "moonwire.task"

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local HELLO <const> = read "spec/fuzz/corpus/clienthello/tls13"

describe("stream:peek_client_hello", function()
  it("tells what openssl asks for, and takes nothing", function()
    local seen, first
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      seen = conn:peek_client_hello { timeout = 20 }
      first = conn:read_some()
    end))
    process.run { "openssl", "s_client", "-connect", listener:local_address(),
      "-servername", "WWW.Example.org", "-alpn", "h2,http/1.1" }
    assert.same({
      server_name = "www.example.org", protocols = { "h2", "http/1.1" }, version = "TLSv1.3",
      encrypted = false,
    }, seen)
    assert.equal("\22\3\1", first:sub(1, 3))
  end)

  it("waits until it is complete, wherever it is cut", function()
    for cut = 1, #HELLO - 1, 7 do
      local client, server = net.pair()
      client:write(HELLO:sub(1, cut))
      local asking = task.spawn(server.peek_client_hello, server)
      task.yield()
      client:write(HELLO:sub(cut + 1), "more")
      assert.equal("www.example.org", assert(asking:join(20)).server_name)
      assert.equal(HELLO .. "more", server:read(#HELLO + 4))
      client:close()
      server:close()
    end
  end)

  it("fails with what is no TLS, ends too early, or takes too long", function()
    local client, server = net.pair()
    client:write "SSH-2.0-x\r\n"
    local hello, err, code = server:peek_client_hello()
    assert.same({ nil, "ClientHello of pipe: it is not TLS", "protocol" }, { hello, err, code })
    assert.equal("SSH-2.0-x", server:read_line())
    client:write(HELLO:sub(1, 100))
    assert.same({ nil, "timeout", "timeout" }, { server:peek_client_hello { timeout = 0.01 } })
    assert.same({ nil, "too_large", "too_large" }, { server:peek_client_hello { max = 100 } })
    client:shutdown_write()
    assert.same({ nil, "eof", "eof" }, { server:peek_client_hello() })
    server:close()
    assert.same({ nil, "closed", "closed" }, { server:peek_client_hello() })
    client:close()
  end)

  it("refuses options that it does not know", function()
    local client, server = net.pair()
    assert.has_error(function() server:peek_client_hello { most = 1 } end)
    assert.has_error(function() server:peek_client_hello { max = 65537 } end)
    server:close()
    client:close()
  end)
end)
