local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local session = require "spec.examples.session"

local function curl(server, ...)
  local url = ("http://127.0.0.1:%d/"):format(server.port)
  local status, output = process.run { "curl", "-s", "-w", "%{http_code}", url, ... }
  assert.are.equal(0, status)
  return output
end

describe("examples/upload.lua", function()
  it("is used as its first lines say", function()
    local place <close> = folder.new()
    local command = session.commands("examples/upload.lua")
    assert.matches("^build/moonwire run examples/upload.lua .*%-%-set folder=/tmp$", command[1])
    local server <close> = moonwire.serve {
      script = "examples/upload.lua", options = { "--set", "folder=" .. place.path, "--memory-limit", "8M" },
    }
    local translated = command[2]:gsub("7011", server.port)
    local status, output = process.run { "sh", "-c", translated }
    assert.are.equal(0, status)
    assert.matches("<li>README.md: %d+ bytes</li>", output)
    assert.are.equal(0, (process.run { "cmp", "README.md", place.path .. "/README.md" }))
    assert.matches('<form method="post".*200$', curl(server))
  end)

  it("saves several files, of any size, under safe names", function()
    local place <close> = folder.new()
    local other <close> = folder.new()
    local server <close> = moonwire.serve {
      script = "examples/upload.lua", options = { "--set", "folder=" .. place.path, "--memory-limit", "8M" },
    }
    local big = other:write("big", ("0123456789abcdef"):rep(1024 * 1024))
    local page = curl(server, "-F", "file=@" .. big, "-F", "file=@" .. big .. ";filename=<b>.txt", "-F",
      "other=1")
    assert.matches("<li>big: 16777216 bytes</li>%s+<li>&lt;b&gt;.txt: 16777216 bytes</li>.*201$", page)
    assert.are.equal(0, (process.run { "cmp", big, place.path .. "/<b>.txt" }))
    assert.matches("<li>big: exists</li>.*200$",
      curl(server, "-F", "file=@" .. big):gsub("big: [^<]*exists[^<]*", "big: exists"))
  end)

  it("refuses what is no form, and forms of other sites", function()
    local place <close> = folder.new()
    local server <close> = moonwire.serve {
      script = "examples/upload.lua", options = { "--set", "folder=" .. place.path },
    }
    assert.matches("415$", curl(server, "-d", "x=1"))
    assert.matches("400$", curl(server, "-d", "--x", "-H", "Content-Type: multipart/form-data; boundary=x"))
    assert.matches("^403", curl(server, "-F", "file=@README.md", "-H", "Origin: http://evil.example"))
    assert.is_nil(place:read "README.md")
  end)
end)
