-- Recorded sessions with scripts/web.lua, changed at random: it answers or ends, in time, and serves a good
-- client afterwards.
local codec = require "moonwire.codec"
local folder = require "spec.support.folder"
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

local HOST <const> = " HTTP/1.1\r\nHost: x\r\n"
local FORM <const> = '--a\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--a--\r\n'
local FORM_FIELDS <const> = "Content-Type: multipart/form-data; boundary=a\r\nContent-Length: " .. #FORM
local SESSIONS <const> = {
  "GET /" .. HOST .. "Accept: text/html\r\nAccept-Encoding: br, gzip\r\n\r\nGET /none" .. HOST .. "\r\n",
  "POST /upload" .. HOST .. FORM_FIELDS .. "\r\n\r\n" .. FORM,
  "GET /board" .. HOST .. "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    .. "Sec-WebSocket-Version: 13\r\n"
    .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    .. '\x81\x93\0\0\0\0{"by":"","text":""}\x88\x80\0\0\0\0',
  "HEAD /upload/x?y=%20" .. HOST .. "Authorization: Basic YTpi\r\nRange: bytes=0-1,3-\r\n\r\n",
  "PUT /old" .. HOST .. "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nOPTIONS *" .. HOST .. "\r\n",
}

local WORDS <const> = {
  "\r\n", "\r", "\n", "\0", "\255", " ", "/", "..", "%2e%2e/", "%00", ":", ",", ";", '"', "--a", "?",
  "Host: ", "Content-Length: 99999999999\r\n", "Transfer-Encoding: chunked\r\n",
  "{", "}", "<", "filename=", "\x81\x80",
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
  if code == "timeout" or answer and answer:find "^HTTP/1.1 500" then
    error(("%s after %s"):format(err or answer, codec.url_encode(text)), 0)
  end
end

describe("scripts/web.lua that hears changed sessions", function()
  it("answers or ends, and goes on", function()
    local place <close> = folder.new()
    local server <close> = moonwire.serve { script = "scripts/web.lua", options = {
      "--set", "upload=" .. place.path, "--set", "board=true", "--set", "status=true",
      "--set", "redirects./old=/", "--set", "access_log=" .. place.path .. "/.log",
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
    local status, output = process.run { "curl", "-sS", "--max-time", "30",
      ("http://127.0.0.1:%d/"):format(server.port) }
    assert.equal(0, status)
    assert.matches("It works", output)
    assert.not_matches("scripts/web", server:log())
  end)
end)
