-- What the log says of modules that block.
local blocking = require "moonwire.blocking"
local moonwire = require "spec.support.moonwire"

-- The warnings of a script that runs to its end.
local function warnings_of(code)
  local status, log = moonwire.run(code)
  assert.are.equal(0, status, log)
  local found = {}
  for line in log:gmatch("[^\n]+") do
    found[#found + 1] = line:match(" warn  (.*)$")
  end
  return found
end

describe("a module that blocks", function()
  it("is told of once, with what there is instead", function()
    local warnings = warnings_of [[
      local socket = require "socket"
      package.loaded.socket, package.loaded["socket.core"] = nil, nil
      require "socket"
      require "socket.http"
      assert(socket.tcp)]]
    assert.are.equal(1, #warnings)
    assert.matches("^module 'socket.core' blocks the whole process while it waits ", warnings[1])
    assert.matches('instead="moonwire.net, or moonwire.compat.socket', warnings[1], 1, true)
    assert.matches("service=script", warnings[1], 1, true)
  end)

  it("is told of where it is required, each by its name", function()
    local warnings = warnings_of [[
      require "socket.core"
      require "socket.unix"]]
    assert.are.equal(2, #warnings)
    assert.matches("socket.unix", warnings[2], 1, true)
  end)

  it("is not told of when something stands in for it", function()
    assert.are.same({}, warnings_of [[
      require("moonwire.compat.socket").install()
      require "socket"
      require "socket.core"
      require "socket.unix"
      require "socket.http"]])
    assert.are.same({}, warnings_of [[
      package.preload["luasql.mysql"] = function() return {} end
      require "luasql.mysql"]])
  end)

  it("is not told of when it is not there", function()
    assert.are.same({}, warnings_of [[
      assert(not pcall(require, "luasql.no_such"))
      assert(not package.searchpath("lsqlite3", package.cpath))
      assert(not pcall(require, "lsqlite3"))]])
  end)

  it("is not confused with others", function()
    assert.are.same({}, warnings_of [[
      require "lfs"
      require "ltn12"
      require "mime"
      require "moonwire.net"]])
  end)

  it("is told of with something to use instead, whichever it is", function()
    local count = 0
    for name, instead in pairs(blocking.modules) do
      count = count + 1
      assert.is_true(#instead > 10, name)
      for module in instead:gmatch("moonwire%.[%w_.]*[%w_]") do
        assert.is_truthy(package.searchpath(module, package.path), name .. ": no module " .. module)
      end
    end
    assert.is_true(count >= 20)
  end)
end)
