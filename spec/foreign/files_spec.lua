-- Programs of others with scripts/files.lua: curl, wget, aria2 and rclone; its page in Chromium.
local browser = require "spec.support.browser"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local test = require "moonwire.test"

test.deadline(300)

local SECONDS <const> = 120

local function run(command)
  command.seconds = SECONDS
  local status, output, errors = process.run(command)
  assert.equal(0, status, output .. errors)
  return output
end

describe("scripts/files.lua and", function()
  local place, server, url

  before_each(function()
    place = folder.new()
    place:write("root/.keep", "")
    server = moonwire.serve { script = "scripts/files.lua", options = {
      "--set", "root=" .. place.path .. "/root", "--set", "users.bob=SECRET",
      "--set", "anonymous=" .. place.path .. "/root",
    } }
    url = ("http://127.0.0.1:%d/"):format(server.port)
  end)

  after_each(function()
    server:stop()
    place:remove()
  end)

  it("wget: gets a tree, and goes on in the middle of a file", function()
    local text = ("0123456789"):rep(100000)
    place:write("root/tree/a b.bin", text)
    place:write("root/tree/deep/ü", "u")
    local here <close> = folder.new()
    run { "wget", "-q", "-r", "-np", "-nH", "-P", here.path, "-R", "index.html*", url .. "tree/" }
    assert.equal("u", here:read "tree/deep/ü")
    here:write("part/a b.bin", text:sub(1, 333333))
    run { "wget", "-q", "-c", "-P", here.path .. "/part", url .. "tree/a%20b.bin" }
    assert.equal(text, here:read "part/a b.bin")
  end)

  it("rclone: reads a tree by its pages, and compares it equal", function()
    for i = 1, 30 do
      place:write(("root/tree/d%d/e %d/f%d"):format(i % 5, i % 3, i), ("%d "):format(i):rep(i * 500))
    end
    local here <close> = folder.new()
    local source = ":http,url='" .. url .. "':tree"
    run { "rclone", "--config", "/dev/null", "copy", source, here.path, env = { HOME = here.path } }
    run { "diff", "-r", place.path .. "/root/tree", here.path }
  end)

  it("aria2: gets a file in eight parts at a time with a password, and compares its checksum", function()
    local words = {}
    for i = 1, 2000000 do
      words[i] = ("%07d\n"):format(i)
    end
    place:write("root/large.bin", table.concat(words))
    local here <close> = folder.new()
    local sum = run { "curl", "-sS", "-f", url .. "large.bin?checksum" }
    run { "aria2c", "-q", "--no-conf", "-d", here.path, "-x", "8", "-s", "8", "-k", "1M", "--http-user=bob",
      "--http-passwd=SECRET", "--checksum=sha-256=" .. sum:match "^%x+", url .. "large.bin" }
    run { "cmp", here.path .. "/large.bin", place.path .. "/root/large.bin" }
  end)

  it("curl: many files at a time, both ways", function()
    local here <close> = folder.new()
    local words = { "curl", "-sS", "-f", "-u", "bob:SECRET", "-Z", "--parallel-max", "20" }
    for i = 1, 50 do
      here:write("f" .. i, ("%d "):format(i):rep(20000))
      table.move({ "-T", here.path .. "/f" .. i, url .. "up/" }, 1, 3, #words + 1, words)
    end
    run(words)
    run { "diff", "-r", here.path, place.path .. "/root/up" }
  end)

  it("Chromium: shows folders, wide and narrow", function()
    place:write("root/folder/a very long name of a file, which has to be broken somewhere.txt", "x")
    local chromium <close> = browser.start()
    local page = chromium:open(url, { width = 390, height = 844, scheme = "dark" })
    page:evaluate "document.querySelector('a').click()"
    page:wait "location.pathname === '/folder/' && document.querySelectorAll('tr').length === 2"
    assert.is_false(page:overflows())
    assert.equal("", chromium:problems())
  end)
end)
