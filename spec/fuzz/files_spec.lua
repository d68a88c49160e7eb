-- Recorded sessions with scripts/files.lua, changed at random: it answers or ends, in time, stays in its
-- folder, and serves a good client afterwards.
local codec = require "moonwire.codec"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local mutation = require "spec.fuzz.mutation"
local net = require "moonwire.net"
local process = require "spec.support.process"
local task = require "moonwire.task"
local test = require "moonwire.test"

local ROUNDS <const> = 300
local AT_A_TIME <const> = 10
local SECONDS <const> = 20

test.deadline(100)

local HEAD <const> = " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\n"
local SESSIONS <const> = {
  "PUT /a/b" .. HEAD .. "Content-Length: 5\r\n\r\nhelloGET /a/b" .. HEAD .. "Range: bytes=1-2,4-\r\n\r\n",
  "PUT /c" .. HEAD .. "Content-Range: bytes 0-4/9\r\nContent-Length: 5\r\n\r\nhelloHEAD /c?upload" .. HEAD
    .. "\r\n",
  "PUT /c" .. HEAD .. "Content-Range: bytes 3-8/9\r\nContent-Length: 6\r\nIf-Match: *\r\n\r\nhelloo",
  "PUT /d/" .. HEAD .. "Content-Length: 0\r\n\r\nDELETE /d/" .. HEAD .. "\r\nGET /?json" .. HEAD .. "\r\n",
  "PUT /e" .. HEAD .. "Transfer-Encoding: chunked\r\nRepr-Digest: sha-256=:AAAA:\r\n\r\n3\r\nabc\r\n"
    .. "0\r\n\r\n",
  "GET /a/b?checksum" .. HEAD .. "\r\nGET /a/b" .. HEAD .. "Want-Repr-Digest: sha-256=1\r\n"
    .. "If-None-Match: *\r\n\r\n",
}

local WORDS <const> = {
  "\r\n", "\r", "\n", "\0", "\255", " ", "/", "..", "../", "%2e%2e/", "%2f", "%00", ":", ",", ";", "=", '"',
  "*", "-", "0", "9", "99999999999999999999", "?upload", "?", "bytes ", "sha-256=",
  "Content-Length: 9\r\n", ".incoming-",
}

local function perform(address, text)
  local conn <close> = assert(net.connect(address, { read_timeout = SECONDS }))
  local at = 1
  while at <= #text do
    local size = math.random(60)
    if not conn:write(text:sub(at, at + size - 1)) then
      return
    end
    at = at + size
    task.yield()
  end
  conn:shutdown_write()
  local answer, err, code = conn:read_all(1024 * 1024)
  if code == "timeout" or answer and answer:find "HTTP/1.1 500" then
    error(("%s after %s"):format(err or answer, codec.url_encode(text)), 0)
  end
end

describe("scripts/files.lua that hears changed sessions", function()
  it("answers or ends, and goes on", function()
    local place <close> = folder.new()
    place:write("root/.keep", "")
    local server <close> = moonwire.serve { script = "scripts/files.lua", options = {
      "--set", "root=" .. place.path .. "/root", "--set", "users.bob.token=TOKEN", "--set", "sync=false",
      "--set", "quota=100000",
    } }
    math.randomseed(9110)
    local texts = {}
    for i = 1, ROUNDS do
      texts[i] = mutation.change(SESSIONS[i % #SESSIONS + 1], math.random(4), WORDS)
    end
    local group <close> = task.group()
    for first = 1, AT_A_TIME do
      group:spawn(function()
        for i = first, ROUNDS, AT_A_TIME do
          perform(server.address, texts[i])
        end
      end)
    end
    assert(group:wait(90))
    local status, output = process.run { "curl", "-sS", "-f", "--max-time", "30", "-T", "README.md",
      "-H", "Authorization: Bearer TOKEN", ("http://127.0.0.1:%d/good"):format(server.port) }
    assert.equal(0, status, output)
    assert.equal(lfs.attributes("README.md", "size"), lfs.attributes(place.path .. "/root/good", "size"))
    for name in lfs.dir(place.path) do
      assert.is_truthy(name:find "^%.+$" or name == "root", name)
    end
    assert.not_matches(" error ", server:log())
  end)
end)
