-- What README.md shows must work as it stands there.
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local terminal = require "spec.examples.terminal"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local readme = read "README.md"

local function scripts()
  local list = {}
  for code in readme:gmatch("\n```lua\n(.-)```") do
    list[#list + 1] = code
  end
  return list
end

-- The functions that a line names in code quotes, with what they belong to: { "net", "connect" }. What names
-- no owner belongs to the one before: `conn:read(n)` `read_some(max)`.
local function words_of(line)
  local list, owner = {}, nil
  for code in line:gmatch("`([^`]+)`") do
    for word in code:gmatch("([%l_.:]+)%s?[({]") do
      local named, name = word:match("^(.+)[.:](.+)$")
      owner = named or owner
      list[#list + 1] = { owner, name or word }
    end
  end
  return list
end

local function section(title)
  return assert(readme:match("\n## " .. title .. "\n(.-)\n## "))
end

describe("README.md", function()
  it("is short", function()
    local _, lines = readme:gsub("\n", "")
    assert.is_true(lines <= 200, lines .. " lines")
  end)

  it("shows an echo server of ten lines", function()
    local code = scripts()[1]
    local _, lines = code:gsub("\n", "")
    assert.are.equal(10, lines + 1)
    local server <close> = moonwire.serve(code)
    local nc <close> = terminal.open("nc 127.0.0.1 " .. server.port)
    nc:type "hello"
    nc:sees "hello\n"
    local _, output = process.run { "nc", "-N", "127.0.0.1", server.port, input = "one\ntwo\n" }
    assert.are.equal("one\ntwo\n", output)
    server:wait_for_log("gone.*bytes=8")
  end)

  it("shows a first server that counts down for several people at the same time", function()
    local server <close> = moonwire.serve(scripts()[2])
    local ann <close> = terminal.open("nc 127.0.0.1 " .. server.port)
    local bob <close> = terminal.open("nc 127.0.0.1 " .. server.port)
    ann:sees "Your name? "
    bob:sees "Your name? "
    bob:type "bob"
    ann:type "ann"
    ann:sees "Your name? 3… 2… 1… hello, ann!\n"
    bob:sees "Your name? 3… 2… 1… hello, bob!\n"
  end)

  it("is right about a mistake: file, line and connection are in the log, and the server goes on", function()
    local code = scripts()[2]:gsub('conn:write%("hello', 'conn:wriet("hello')
    local server <close> = moonwire.serve(code)
    process.run { "nc", "-N", "127.0.0.1", server.port, input = "ann\n" }
    local entry = server:wait_for_log("wriet")
    assert.is_truthy(entry:find("script%.lua:10: .* connection=127%.0%.0%.1:%d+"), entry)
    local _, output = process.run { "nc", "-N", "127.0.0.1", server.port, input = "bob\n" }
    assert.are.equal("Your name? 3… 2… 1… ", output)
  end)

  it("names only files that are there, and all examples", function()
    for path in readme:gmatch("%]%(([^)#]+)%)") do
      assert.is_truthy(lfs.attributes(path), path)
    end
    for entry in lfs.dir("examples") do
      local found = readme:find("](examples/" .. entry .. ")", 1, true)
      assert.is_truthy(found or not entry:find("%.lua$"), entry .. " is not in README.md")
    end
  end)

  it("uses words that exist", function()
    local conn, socket = net.pair(), assert(net.datagram("udp://127.0.0.1:0"))
    local checked = 0
    for line in section("The words"):gmatch("[^\n]+") do
      local objects = { conn = conn, socket = socket, t = require("moonwire.task").current() }
      for _, word in ipairs(words_of(line)) do
        local object, name = word[1], word[2]
        local place = objects[object] or require("moonwire." .. object)
        assert.is_not_nil(place[name], object .. " has no " .. name)
        checked = checked + 1
      end
    end
    assert.is_true(checked >= 35, checked .. " words")
  end)
end)
