local authority = require "spec.support.authority"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"

describe("examples/tls_echo.lua", function()
  it("says each line back to openssl, with a certificate to try things out", function()
    local echo <close> = session.start "tls_echo"
    assert.matches("development certificate", echo.servers[1]:log())
    local client <close> = terminal.open(echo.commands[1] .. " 2>&1")
    client:sees "TLSv1.3 TLS_"
    client:type "hello"
    client:sees "hello\n"
  end)

  it("takes a certificate of one's own", function()
    local here <close> = folder.new()
    local ca = authority.new(here)
    local www = ca:issue { "127.0.0.1" }
    local server <close> = moonwire.serve {
      script = "examples/tls_echo.lua", listen = { "tls://127.0.0.1:0" },
      options = { "--set", "certificate=" .. www.certificate, "--set", "key=" .. www.key },
    }
    local options = { tls = { authorities = ca.file } }
    local conn <close> = assert(net.connect("tls://127.0.0.1:" .. server.port, options))
    assert.matches("^TLSv1.3 TLS_", conn:read_line())
    conn:write("hello\n")
    assert.equal("hello", conn:read_line())
  end)
end)
