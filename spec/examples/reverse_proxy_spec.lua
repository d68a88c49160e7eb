local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

describe("examples/reverse_proxy.lua", function()
  local function curl(...)
    local status, output = process.run { "curl", "-s", ... }
    assert.are.equal(0, status)
    return output
  end

  it("passes requests on to the servers that are set", function()
    local site <close> = moonwire.serve {
      script = "examples/static_site.lua", options = { "--set", "root=docs" },
    }
    local proxy <close> = moonwire.serve {
      script = "examples/reverse_proxy.lua",
      options = { "--set", "upstreams.1=http://127.0.0.1:" .. site.port },
    }
    local url = ("http://127.0.0.1:%d/errors.md"):format(proxy.port)
    assert.are.equal(read_file "docs/errors.md", curl(url))
    assert.matches("\r\nVia: 1.1 moonwire\r\n", curl("-I", url))
    site:stop()
    assert.matches("^502 Bad Gateway\n", curl(url))
  end)
end)
