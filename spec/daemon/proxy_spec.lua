-- Services behind proxies: whose address is whose, and what the limits are about.
local daemon = require "spec.support.daemon"
local net = require "moonwire.net"

local SCRIPT <const> = [[
return function(conn)
  conn:write(conn:peer_address(), " ", conn:proxy() and "proxied" or "direct", "\n")
  conn:read_line()
end]]

local TRUSTING <const> = [[
return { options = { proxies = { "127.0.0.1" } }, connect = function(conn)
  conn:write(conn:read_line(), "\n")
end }]]

local CONFIG <const> = [[
service "trusting" { script = "trusting.lua", listen = "tcp://127.0.0.1:0" }
service "proxied" { script = "tell.lua", listen = "tcp://127.0.0.1:0",
  proxies = "127.0.0.1", proxy_timeout = "50ms",
  limits = { per_address = 1 }, deny = "192.0.2.66" }
service "late" { script = "tell.lua", listen = "tcp://127.0.0.1:0", proxies = "127.0.0.0/8",
  options = { defer = true } }
service "direct" { script = "tell.lua", listen = "tcp://127.0.0.1:0", proxies = { "10.0.0.0/8", "unix" } }
service "secure" { script = "tell.lua", listen = { "tls://127.0.0.1:0", "tcp://127.0.0.1:0" }, tls = "auto",
  proxies = "127.0.0.1" }
]]

describe("a daemon behind a proxy", function()
  local d

  setup(function()
    local scripts = { ["tell.lua"] = SCRIPT, ["trusting.lua"] = TRUSTING }
    d = daemon.start { scripts = scripts, config = CONFIG, workers = 1 }
  end)

  teardown(function()
    d:stop()
  end)

  local function connect(service, client, options)
    options = options or {}
    options.read_timeout = 5
    if client then
      options.proxy_header = { source = client, destination = "198.51.100.9:443" }
    end
    return assert(net.connect(d:address(service), options))
  end

  it("serves the proxy's clients, and counts them as such", function()
    local one <close> = connect("proxied", "192.0.2.1:4711")
    assert.equal("192.0.2.1:4711 proxied", one:read_line())
    local two <close> = connect("proxied", "192.0.2.2:4711")
    assert.equal("192.0.2.2:4711 proxied", two:read_line())
    local three <close> = connect("proxied", "192.0.2.1:4712")
    assert.is_nil((three:read_line()))
    d:wait_for_log "connection of 192.0.2.1:4712 refused: limits.per_address is reached"
    local four <close> = connect("proxied", "192.0.2.66:1")
    assert.is_nil((four:read_line()))
    d:wait_for_log "connection of 192.0.2.66:1 refused: its network is not allowed"
  end)

  it("gives their places back", function()
    for port = 1, 3 do
      local conn <close> = connect("proxied", "192.0.2.7:" .. port)
      assert.equal(("192.0.2.7:%d proxied"):format(port), conn:read_line())
      conn:write("bye\n")
      assert.is_nil((conn:read_line()))
    end
  end)

  it("lets the proxy itself come as often as it likes", function()
    local one <close> = connect("proxied", nil, { proxy_header = { version = 1 } })
    local two <close> = connect("proxied", nil, { proxy_header = {} })
    assert.matches("^127.0.0.1:%d+ proxied$", one:read_line())
    assert.matches("^127.0.0.1:%d+ proxied$", two:read_line())
  end)

  it("disconnects a proxy whose header is missing or late", function()
    local conn <close> = connect "proxied"
    assert.same({ nil, "eof", "eof" }, { conn:read_line() })
    d:wait_for_log "info .*proxied: connection of 127.0.0.1:%d+ came to nothing: PROXY header: timeout"
    local other <close> = connect "proxied"
    other:write("hello\n")
    assert.is_nil((other:read_line()))
  end)

  it("serves what came with the header at once", function()
    local conn <close> = connect("late", "192.0.2.1:4711")
    assert(conn:write("hello\n"))
    assert.equal("192.0.2.1:4711 proxied", conn:read_line())
    local other <close> = connect("late", "192.0.2.1:4711")
    other:shutdown_write()
    assert.same({ nil, "eof", "eof" }, { other:read_line() })
  end)

  it("takes no header from others", function()
    local conn <close> = connect("direct", "192.0.2.1:4711")
    assert.matches("^127.0.0.1:%d+ direct$", conn:read_line())
  end)

  it("does not let scripts say who is a proxy", function()
    local conn <close> = connect "trusting"
    assert(conn:write("PROXY UNKNOWN\r\n"))
    assert.equal("PROXY UNKNOWN", conn:read_line())
    d:wait_for_log "warn .*the script's option 'proxies' is not used: the config has proxies = "
  end)

  it("has TLS behind the header, where it has TLS", function()
    local said = {}
    for address in d:log():gmatch "listening service=secure address=(%S+)" do
      local scheme = #said == 0 and "tls://" or "tcp://"
      local conn <close> = assert(net.connect(scheme .. address, {
        read_timeout = 5, tls = scheme == "tls://" and { verify = "none" } or nil,
        proxy_header = { source = "192.0.2.1:4711", destination = "198.51.100.9:443" },
      }))
      said[#said + 1] = conn:read_line()
    end
    assert.same({ "192.0.2.1:4711 proxied", "192.0.2.1:4711 proxied" }, said, d:log())
  end)
end)
