local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"

describe("examples/parallel_fetch.lua", function()
  it("tells what came of each URL", function()
    local site <close> = moonwire.serve {
      script = "examples/static_site.lua", options = { "--set", "root=docs" },
    }
    local base = ("http://127.0.0.1:%d"):format(site.port)
    local status, output = process.run {
      moonwire.binary, "run", "examples/parallel_fetch.lua", "--", base .. "/errors.md", base .. "/none",
      "http://127.0.0.1:9/",
    }
    assert.are.equal(0, status)
    assert.matches("/errors.md: 200, %d+ bytes in %d+%.%d+ s\n", output)
    assert.matches("/none: 404, %d+ bytes in %d+%.%d+ s\n", output)
    assert.matches("http://127.0.0.1:9/: connect 127.0.0.1:9: connection refused\n", output)
  end)
end)
