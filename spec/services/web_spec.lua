-- scripts/web.lua, started as a user would.
local asking = require "spec.http.asking"
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local json = require "moonwire.json"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local scene = require "spec.support.scene"
local test = require "moonwire.test"
local websocket = require "moonwire.websocket"

test.deadline(90)

local SECONDS <const> = 30

local CONFIG <const> = [[
service "web" {
  listen = "tcp://127.0.0.1:0", script = "%s/scripts/web.lua", workers = 1,
  settings = { root = "%s/%s", board = true, upload = "%s/in" },
}
]]

local function options_of(settings)
  local options = {}
  for _, setting in ipairs(settings) do
    table.move({ "--set", setting }, 1, 2, #options + 1, options)
  end
  return options
end

describe("scripts/web.lua", function()
  local place, server

  local function serve(...)
    server = moonwire.serve { script = "scripts/web.lua", options = options_of { ... } }
  end

  before_each(function()
    place = folder.new()
    place:write("site/index.html", "<h1>home</h1>")
    place:write("site/style.0123abcd.css", "body {}")
    place:write("site/docs/a.txt", ("some text "):rep(500))
    place:write("other/index.html", "<h1>other</h1>")
    place:write("in/.keep", "")
    server = nil
  end)

  after_each(function()
    if server then
      server:stop()
    end
    place:remove()
  end)

  local function curl(path, ...)
    local status, output, errors = process.run {
      "curl", "-sS", "-i", "--max-time", "30", ("http://127.0.0.1:%d%s"):format(server.port, path), ...,
    }
    assert.equal(0, status, errors)
    local head, body = output:gsub("^HTTP/1.1 100 Continue\r\n\r\n", ""):match "^(.-\r\n)\r\n(.*)$"
    return math.tointeger(tonumber(head:match "^HTTP/1.1 (%d+)")), head:lower(), body
  end

  it("serves files: index, cache, compression, headers, pages for what is not there", function()
    serve("root=" .. place.path .. "/site", "headers.X-Frame-Options=false", "headers.X-Own=1")
    local status, head, body = curl "/"
    assert.equal(200, status)
    assert.equal("<h1>home</h1>", body)
    assert.matches("cache%-control: no%-cache\r\n", head)
    assert.matches("x%-content%-type%-options: nosniff\r\n", head)
    assert.matches("x%-own: 1\r\n", head)
    assert.not_matches("x%-frame%-options", head)
    assert.matches("immutable", select(2, curl "/style.0123abcd.css"))
    assert.matches("content%-encoding: br\r\n", select(2, curl("/docs/a.txt", "-H", "Accept-Encoding: br")))
    assert.equal(404, (curl "/docs/"))
    assert.equal(404, (curl "/none"))
    assert.equal("404: Not found\n", (select(3, curl "/none")))
    assert.matches("<h1>.-404", (select(3, curl("/none", "-H", "Accept: text/html"))))
    place:write("site/404.html", "<p>ours")
    assert.equal("<p>ours", (select(3, curl "/none")))
    assert.equal(405, (curl("/", "-X", "DELETE")))
    assert.equal(404, (curl "/board"))
    server:wait_for_log "request .*target=/ status=200 "
  end)

  it("has sites by their names, and sends clients from one to another", function()
    serve("hosts.1.name=www.example.org", "hosts.1.root=" .. place.path .. "/site",
      "hosts.2.name=example.org", "hosts.2.redirect=https://www.example.org/",
      "hosts.3.name=*.example.org", "hosts.3.root=" .. place.path .. "/other", "hosts.3.listing=true")
    assert.matches("home", select(3, curl("/", "-H", "Host: WWW.Example.org:80")))
    assert.matches("home", select(3, curl("/", "-H", "Host: www.example.org.")))
    assert.matches("other", select(3, curl("/", "-H", "Host: a.b.example.org")))
    local status, head = curl("/x%20y?z", "-H", "Host: example.org")
    assert.equal(308, status)
    assert.matches("location: https://www.example.org/x%%20y%?z\r\n", head)
    assert.equal(421, (curl("/", "-H", "Host: else.org")))
  end)

  it("sends what comes in clear to https, and other paths to where they are", function()
    serve("root=" .. place.path .. "/site", "https=8443", "redirects./old=/docs/a.txt")
    local status, head = curl "/old?a"
    assert.equal(308, status)
    assert.matches("location: https://127.0.0.1:8443/old%?a\r\n", head)
    assert.equal(404, (curl "/.well-known/acme"))
    assert.equal(421, (curl("/old", "--http1.0", "-H", "Host;")))
  end)

  it("asks for a password where it is told to", function()
    serve("root=" .. place.path .. "/site", "users.ann=SECRET", "private.1=/docs")
    assert.equal(200, (curl "/"))
    assert.equal(401, (curl "/docs/a.txt"))
    assert.equal(401, (curl("/docs/../docs/./a.txt", "--path-as-is")))
    assert.equal(401, (curl("/%64ocs/a.txt")))
    assert.equal(401, (curl("/docs/a.txt", "-u", "ann:secret")))
    assert.equal(200, (curl("/docs/a.txt", "-u", "ann:SECRET")))
  end)

  it("protects paths however they are written in the settings", function()
    for _, prefix in ipairs { "/docs/", "docs", "//docs" } do
      serve("root=" .. place.path .. "/site", "users.ann=SECRET", "private.1=" .. prefix)
      assert.equal(200, (curl "/"))
      assert.equal(404, (curl "/docsx"))
      for _, path in ipairs { "/docs", "/docs/", "/docs/a.txt", "//docs//a.txt" } do
        assert.equal(401, (curl(path)), prefix .. " " .. path)
      end
      server:stop()
    end
  end)

  it("takes files by its form, and gives them back", function()
    place:write("x.txt", "content")
    serve("upload=" .. place.path .. "/in", "upload_max=5000")
    local form = "file=@" .. place.path .. "/x.txt"
    local status, head, body = curl("/upload", "-F", form)
    assert.equal(201, status)
    assert.matches("x.txt</strong> 7 bytes, saved", body)
    assert.matches("content%-security%-policy: default%-src 'none'", head)
    assert.equal("content", place:read "in/x.txt")
    assert.equal(409, (curl("/upload", "-F", form)))
    assert.equal(201, (curl("/upload", "-F", form .. ";filename=.hidden")))
    assert.equal("content", place:read "in/_hidden")
    assert.equal(403, (curl("/upload", "-F", form .. ";filename=y", "-H", "Origin: http://else.org")))
    status, head, body = curl "/upload/x.txt"
    assert.same({ 200, "content" }, { status, body })
    assert.matches("content%-disposition: attachment", head)
    place:write("x.txt", ("x"):rep(6000))
    assert.equal(413, (curl("/upload", "-F", form .. ";filename=large")))
    assert.is_nil(lfs.attributes(place.path .. "/in/large"))
  end)

  it("has a board that all write on, and tells of requests as they come", function()
    serve("board=true", "status=true")
    local url = ("ws://127.0.0.1:%d/board"):format(server.port)
    local events <close> = assert(net.connect(server.address, { read_timeout = SECONDS }))
    events:write "GET /status/events HTTP/1.1\r\nHost: x\r\n\r\n"
    events:read_until("\r\n\r\n", 4096)
    local ann <close> = assert(websocket.connect(url))
    local bob <close> = assert(websocket.connect(url))
    assert.equal("", json.decode((ann:receive())).text)
    assert.equal("", json.decode((bob:receive())).text)
    ann:send(json.encode { by = "ann", text = "hello" })
    assert.equal("hello", json.decode((bob:receive())).text)
    local late <close> = assert(websocket.connect(url))
    assert.equal("hello", json.decode((late:receive())).text)
    late:send "no JSON"
    assert.same({ nil, "closed", "closed" }, { late:receive() })
    assert.equal(1008, late:close_code())
    assert.equal(404, (curl "/none?secret"))
    local told = events:read_until("\n\n", 4096)
    while not told:find "none" do
      told = events:read_until("\n\n", 4096)
    end
    assert.matches('"path":"/none"', told)
    assert.not_matches("secret", told)
    assert.equal(403, (curl("/board", "-H", "Connection: upgrade", "-H", "Upgrade: websocket", "-H",
      "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "-H",
      "Origin: http://else.org")))
  end)

  it("writes an access log that other programs read", function()
    local path = place.path .. "/access.log"
    serve("root=" .. place.path .. "/site", "access_log=" .. path, "users.ann=SECRET", "private.1=/docs")
    curl("/none", "-A", 'a"b\\', "-e", "http://x/\ty")
    curl("/docs/a.txt", "-u", "ann:SECRET")
    local log = condition.wait_until(function()
      local text = place:read "access.log"
      return text and text:find "docs" and text
    end, SECONDS)
    local date = "%[%d%d/%a%a%a/%d%d%d%d:%d%d:%d%d:%d%d %+0000%]"
    assert.matches("^127.0.0.1 %- %- " .. date
      .. ' "GET /none HTTP/1.1" 404 15 "http://x/\\x09y" "a\\x22b\\x5c"\n', log)
    assert.matches("\n127.0.0.1 %- ann " .. date .. ' "GET /docs/a.txt HTTP/1.1" 200 5000 "%-" "curl', log)
    assert.not_matches(" request ", server:log())
    assert(os.rename(path, path .. ".1"))
    curl "/"
    condition.wait_until(function() return place:read "access.log" end, SECONDS)
  end)

  it("does not start with settings that are none", function()
    local function fault_of(...)
      local status, errors = moonwire.run {
        script = "scripts/web.lua", listen = { "tcp://127.0.0.1:0" }, options = options_of { ... },
      }
      assert.equal(1, status, errors)
      return errors
    end
    assert.matches("unknown option 'rot'", fault_of "rot=1")
    assert.matches("unknown option 'rot'", fault_of("hosts.1.name=a", "hosts.1.rot=1"))
    assert.matches("hosts.1.name = a host expected", fault_of "hosts.1.root=/tmp")
    assert.matches("no such file", fault_of "root=/no/such/folder")
    assert.matches("needs users.NAME", fault_of "private.1=/x")
    assert.matches("https = true or a port", fault_of "https=yes")
    assert.matches("https = true or a port", fault_of "https=70000")
  end)

  it("plays its scene", function()
    serve("root=" .. place.path .. "/site")
    scene.play("spec/scenes/web.scene", { server = server.address })
  end)

  it("goes on through a reload: a download, an upload, a board, a connection that rests", function()
    place:write("site/large.bin", ("0123456789abcdef"):rep(1 << 20))
    assert(os.execute("chmod -R a+rwX " .. place.path))
    local script = lfs.currentdir()
    local d <close> = daemon.start { workers = 1,
      config = CONFIG:format(script, place.path, "site", place.path) }
    local address = d:address "web"
    local rests <close> = assert(net.connect(address, { read_timeout = SECONDS }))
    rests:write "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert.matches("home", rests:read_until("</h1>", 4096))
    local download <close> = assert(net.connect(address, { read_timeout = SECONDS }))
    download:write "GET /large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    download:read_until("\r\n\r\n", 4096)
    local upload <close> = assert(net.connect(address, { read_timeout = SECONDS }))
    local form = '--a\r\nContent-Disposition: form-data; name="f"; filename="u.bin"\r\n\r\n'
      .. ("u"):rep(100000) .. "\r\n--a--\r\n"
    upload:write("POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ", #form,
      "\r\nContent-Type: multipart/form-data; boundary=a\r\n\r\n", form:sub(1, 50000))
    upload:flush()
    local ws <close> = assert(websocket.connect("ws" .. address:sub(4) .. "/board"))
    ws:receive()
    d:configure(CONFIG:format(script, place.path, "other", place.path))
    assert.is_true(d:reload().ok)
    ws:send(json.encode { by = "ann", text = "still here" })
    assert.equal("still here", json.decode((ws:receive())).text)
    rests:write "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert.matches("other", rests:read_until("</h1>", 4096))
    upload:write(form:sub(50001))
    assert.equal(201, asking.parse(upload:read_all(1 << 20)).status)
    assert.equal(100000, #place:read "in/u.bin")
    assert.equal(16 << 20, #download:read_all(32 << 20))
    d:wait_for_log " request .*target=/upload status=201 "
  end)
end)
