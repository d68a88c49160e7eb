-- TLS of scripts that reach no files.
local authority = require "spec.support.authority"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"

describe("a script in a sandbox", function()
  local function serve(code)
    return moonwire.serve { code = code, options = { "--sandbox" }, listen = { "tls://127.0.0.1:0" } }
  end

  it("has certificates as texts", function()
    local here <close> = folder.new()
    local ca = authority.new(here)
    local www = ca:issue { "127.0.0.1" }
    local server <close> = serve(([[
      return { options = { tls = { certificate_pem = %q, key_pem = %q } },
        connect = function(conn) conn:write(conn:tls().version, "\n") end }]]):format(www.pem, www.key_pem))
    local options = { tls = { authorities = ca.file } }
    local conn <close> = assert(net.connect("tls://127.0.0.1:" .. server.port, options))
    assert.equal("TLSv1.3", conn:read_line())
  end)

  it("names no files", function()
    local status, errors = moonwire.run {
      options = { "--sandbox" },
      code = [[
        local net = require "moonwire.net"
        for _, options in ipairs { { authorities = "/etc/passwd" }, { certificate = "/a", key = "/b" } } do
          local ok, message = pcall(net.connect, "tls://127.0.0.1:1", { tls = options })
          print(ok, message)
        end]],
    }
    assert.equal(0, status)
    for _, name in ipairs { "authorities", "certificate" } do
      local text = ("option 'tls.%s': a script in a sandbox names no files; give %s_pem"):format(name, name)
      assert.matches(text, errors, 1, true)
    end
  end)
end)
