local folder = require "spec.support.folder"
local net = require "moonwire.net"
local scene = require "spec.support.scene"
local streams = require "spec.support.streams"

-- Greets, and says each line back behind its number.
local function number_lines(conn)
  local peer = conn:peer_address()
  conn:write("hello ", peer, " from ", peer:match ":(%d+)$", "\r\n")
  local count = 0
  for line in conn:lines() do
    count = count + 1
    conn:write(count, " ", line, "\r\n")
  end
end

-- Performs a text as a scene, and gives what was caught, or nil and the fault.
local function perform(text, handler, options)
  local here <close> = folder.new()
  here:write("x.scene", text)
  local listener <close> = assert(net.serve("tcp://127.0.0.1:0", handler or number_lines, options))
  local ok, result = pcall(scene.play, here.path .. "/x.scene", { server = streams.address_of(listener) })
  if ok then
    return result
  end
  return nil, (result:gsub("^.-/x%.scene", "x.scene"))
end

describe("scene.play", function()
  it("performs a scene of two", function()
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", number_lines))
    local caught = scene.play("spec/scenes/lines.scene", { server = streams.address_of(listener) })
    assert.matches("^%d+$", caught.port)
    assert.equal("1", caught.count)
  end)

  it("says which line did not go as written", function()
    local _, err = perform "ann< hello *\nann> a\nann< 2 a\n"
    assert.equal('x.scene:3: ann waits for "2 a", and gets "1 a"', err)
  end)

  it("takes what is special in patterns as it stands", function()
    assert.is_table(perform("ann< 100% (yes) [a-z]+ .*?", function(conn)
      conn:write "100% (yes) [a-z]+ .and more?\n"
    end))
    local _, err = perform("ann< a.c", function(conn) conn:write "abc\n" end)
    assert.equal('x.scene:1: ann waits for "a.c", and gets "abc"', err)
  end)

  it("expects an end, and no data before it", function()
    local _, err = perform("ann! ended", function(conn) conn:write "bye" end)
    assert.equal('x.scene:1: ann waits for the end, and gets "bye"', err)
    assert.is_table(perform("ann! ended", function() end))
  end)

  it("expects silence", function()
    local _, err = perform "ann! quiet"
    assert.matches('^x.scene:1: ann waits for nothing, and gets "hello ', err)
    assert.matches("^x.scene:2: ann waits for nothing", select(2, perform("bob! open server\nann! quiet",
      function() end)))
  end)

  it("starts TLS where the scene says so", function()
    assert.is_table(perform("ann< go\nann! tls\nann> x\nann< x\n", function(conn)
      conn:write "go\n"
      if conn:start_tls() then
        conn:write(conn:read_line(10), "\n")
      end
    end, { tls = "auto" }))
  end)

  it("refuses what is no line of a scene", function()
    for _, line in ipairs { "ann says hello", "ann! dance", "ann~ xyz" } do
      local _, err = perform(line)
      assert.matches("^x.scene:1: ", err)
    end
  end)
end)
