-- What the benchmark has Moonwire serve: a script there that does not start is told of here.
local authority = require "spec.support.authority"
local folder = require "spec.support.folder"
local http = require "moonwire.http.client"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"

local function start(name, scheme, options)
  return moonwire.serve {
    script = ("spec/bench/%s.lua"):format(name), listen = { (scheme or "tcp") .. "://127.0.0.1:0" },
    options = options or {},
  }
end

local function body_of(address, options)
  local answer = assert(http.get(address, options))
  assert.are.equal(200, answer.status)
  return answer.body
end

describe("the scripts of the benchmark", function()
  after_each(http.close)

  it("send back bytes and lines", function()
    for _, name in ipairs { "echo", "line" } do
      local server <close> = start(name)
      local conn <close> = assert(net.connect(server.address))
      conn:write("hello\n")
      assert.are.equal("hello", conn:read_line())
    end
  end)

  it("answer over HTTP, with files, and over TLS", function()
    local place <close> = folder.new()
    local pair = authority.new(place):issue({ "localhost" })
    place:write("www/small", "few bytes")
    for part, text in pairs { certificate = pair.pem, key = pair.key_pem } do
      place:write(("tls/%s.pem"):format(part), text)
    end
    local root = { "--set", ("root=%s/www"):format(place.path), "--set", ("tls=%s/tls"):format(place.path) }
    local hello <close> = start "http"
    assert.are.equal("Hello, World!\n", body_of("http://127.0.0.1:" .. hello.port))
    local files <close> = start("file", "tcp", { root[1], root[2] })
    assert.are.equal("few bytes", body_of(("http://127.0.0.1:%d/small"):format(files.port)))
    local secure <close> = start("https", "tls", root)
    local address = "https://localhost:" .. secure.port
    local options = { tls = { authorities = place.path .. "/ca.pem" } }
    assert.are.equal("Hello, World!\n", body_of(address .. "/", options))
    assert.are.equal("few bytes", body_of(address .. "/small", options))
  end)
end)
