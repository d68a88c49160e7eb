-- The reverse proxy before nginx, and our server behind nginx and HAProxy.
local folder = require "spec.support.folder"
local http = require "moonwire.http.client"
local http_servers = require "spec.foreign.http_servers"
local process = require "spec.support.process"
local proxy = require "moonwire.http.proxy"
local server = require "moonwire.http.server"

local FILES <const> = "listen 127.0.0.1:{port}; root {place};"

local BEFORE <const> = [[
listen 127.0.0.1:{port};
client_max_body_size 0;
proxy_http_version 1.1;
proxy_set_header Host $http_host;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection "upgrade";
location / { proxy_pass http://%s; }]]

local function echo(request, response)
  if request.upgrade and request.path == "/shout" then
    local stream = response:upgrade(request.upgrade)
    for line in stream:lines {} do
      stream:write(line:upper(), "\n")
    end
    return
  end
  response:header("X-Client", request:header("x-forwarded-for") or "-")
  response:header("X-Host", request.authority)
  for data in request:chunks() do
    response:write(data)
  end
  response:finish()
end

describe("proxies:", function()
  local here, client, children

  before_each(function()
    here, client, children = folder.new(), http.new(), {}
  end)

  after_each(function()
    client:close()
    for _, child in ipairs(children) do
      child:stop()
    end
    here:remove()
  end)

  local function keep(child, port)
    children[#children + 1] = child
    return port
  end

  local function serve(handler)
    return assert(server.serve("tcp://127.0.0.1:0", handler, { body_max = false })):local_address()
  end

  local function check_echo(address)
    local url = "http://" .. address
    for _, size in ipairs { 0, 10, 100000, 3000000 } do
      assert.equal(size, #assert(client:post(url, ("x"):rep(size))).body)
      local sent = 0
      local answer = client:post(url, function()
        sent = sent + 1000
        return sent <= size and ("y"):rep(1000) or nil
      end)
      assert.equal(size // 1000 * 1000, #answer.body)
    end
    local stream <close> = assert(client:get(url .. "/shout", { upgrade = "shout" }):upgrade())
    stream:write("hello\n")
    assert.equal("HELLO", stream:read_line())
  end

  it("ours before nginx", function()
    here:write("file", ("0123456789"):rep(100000))
    local port = keep(http_servers.nginx(here, FILES))
    local address = serve(proxy.new { upstreams = { "http://127.0.0.1:" .. port } })
    for _ = 1, 5 do
      assert.equal(1000000, #client:get("http://" .. address .. "/file").body)
    end
    local part = client:get("http://" .. address .. "/file", { headers = { Range = "bytes=10-19" } })
    assert.equal(206, part.status)
    assert.equal("0123456789", part.body)
    local status, output = process.run { "curl", "-s", "http://" .. address .. "/file" }
    assert.equal(0, status)
    assert.equal(1000000, #output)
  end)

  it("ours behind nginx", function()
    local behind = serve(proxy.new { upstreams = { "http://" .. serve(echo) }, trust = { "127.0.0.1" } })
    local port = keep(http_servers.nginx(here, BEFORE:format(behind)))
    check_echo("127.0.0.1:" .. port)
    local answer = client:get("http://127.0.0.1:" .. port)
    assert.equal("127.0.0.1, 127.0.0.1", answer.headers["x-client"])
    assert.equal("127.0.0.1:" .. port, answer.headers["x-host"])
  end)

  it("ours behind HAProxy", function()
    local behind = serve(proxy.new { upstreams = { "http://" .. serve(echo) } })
    check_echo("127.0.0.1:" .. keep(http_servers.haproxy(here, behind)))
  end)

  it("ours before HAProxy", function()
    local port = keep(http_servers.haproxy(here, serve(echo)))
    check_echo(serve(proxy.new { upstreams = { "http://127.0.0.1:" .. port } }))
  end)
end)
