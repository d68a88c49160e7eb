-- The HTTP client against nginx.
local authority = require "spec.support.authority"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local http = require "moonwire.http.client"
local http_servers = require "spec.foreign.http_servers"

local DIRECTIVES <const> = [[
listen 127.0.0.1:{port};
root {place};
gzip on;
gzip_types *;
gzip_min_length 1;
location /moved { return 302 /file; }
location /upload { client_max_body_size 1k; proxy_pass http://127.0.0.1:1/; }
location = /dir { return 301 /dir/; }]]

local SECURE <const> = [[
listen 127.0.0.1:{port} ssl;
ssl_certificate %s;
ssl_certificate_key %s;
root {place};]]

describe("the client and nginx:", function()
  local here, nginx, base, client

  setup(function()
    here = folder.new()
    here:write("file", ("0123456789"):rep(50000))
    local port
    nginx, port = http_servers.nginx(here, DIRECTIVES)
    base = "http://127.0.0.1:" .. port
  end)

  teardown(function()
    nginx:stop()
    here:remove()
  end)

  before_each(function()
    client = http.new()
  end)

  after_each(function()
    client:close()
  end)

  it("files, compressed and plain, one after the other", function()
    for _, compression in ipairs { true, false } do
      for _ = 1, 3 do
        local answer = assert(client:get(base .. "/file", { compression = compression }))
        assert.equal(500000, #answer.body)
        assert.equal(compression and "gzip" or nil, answer.headers["content-encoding"])
      end
    end
    assert.equal(404, client:get(base .. "/none").status)
    local head = client:head(base .. "/file", { compression = false })
    assert.equal("500000", head.headers["content-length"])
    assert.equal(base .. "/file", client:get(base .. "/moved").url)
  end)

  it("downloads go on", function()
    local path = here.path .. "/copy"
    local tag = client:head(base .. "/file", { compression = false }).headers.etag
    here:write("copy.part", ("0123456789"):rep(20000))
    here:write("copy.part.of", tag)
    assert.same({ bytes = 500000, resumed = 200000 }, client:download(base .. "/file", path))
    assert.equal(("0123456789"):rep(50000), file.read(path))
    here:write("copy.part", "other")
    here:write("copy.part.of", '"other"')
    assert.same({ bytes = 500000, resumed = 0 }, client:download(base .. "/file", path))
  end)

  it("an upload that is refused early", function()
    local answer = assert(client:post(base .. "/upload", ("x"):rep(3000000)))
    assert.equal(413, answer.status)
    answer = assert(client:post(base .. "/upload", ("x"):rep(300000), { expect_continue = false }))
    assert.equal(413, answer.status)
  end)

  it("TLS, with who is trusted", function()
    local ca = authority.new(here)
    local www = ca:issue { "localhost", "127.0.0.1" }
    local secure, port = http_servers.nginx(here, SECURE:format(www.certificate, www.key))
    local url = ("https://127.0.0.1:%d/file"):format(port)
    for _ = 1, 3 do
      assert.equal(500000, #assert(client:get(url, { tls = { authorities = ca.file } })).body)
    end
    local _, _, code = client:get(url)
    assert.equal("certificate", code)
    secure:stop()
  end)
end)
