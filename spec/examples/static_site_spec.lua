local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local session = require "spec.examples.session"

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

describe("examples/static_site.lua", function()
  it("sends what is in a folder", function()
    local server <close> = session.start "static_site"
    local status, output = process.run { "sh", "-c", server.commands[1] }
    assert.are.equal(0, status)
    assert.are.equal(read_file "docs/errors.md", output)
  end)

  it("tells browsers what they may keep, lists folders, and writes what was asked for to the log", function()
    local place <close> = folder.new()
    place:write("main.4f2a91c0.js", "x")
    place:write("page.html", "x")
    place:write("folder/file", "x")
    local options = { "--set", "root=" .. place.path }
    local server <close> = moonwire.serve { script = "examples/static_site.lua", options = options }
    local function head_of(path)
      local _, output = process.run { "curl", "-sI", ("http://127.0.0.1:%d%s"):format(server.port, path) }
      return output
    end
    assert.matches("Cache%-Control: public, max%-age=31536000, immutable\r\n", head_of "/main.4f2a91c0.js")
    assert.matches("Cache%-Control: no%-cache\r\n", head_of "/page.html")
    assert.matches("^HTTP/1.1 308 .*\r\nLocation: /folder/\r\n", head_of "/folder")
    assert.matches("^HTTP/1.1 200 ", head_of "/folder/")
    server:wait_for_log "target=/folder/ "
  end)
end)
