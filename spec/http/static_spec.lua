local asking = require "spec.http.asking"
local condition = require "spec.support.condition"
local core = require "moonwire.core"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local net = require "moonwire.net"
local process = require "spec.support.process"
local server = require "moonwire.http.server"
local static = require "moonwire.http.static"

local LONG <const> = ("0123456789"):rep(1000)

describe("http static", function()
  local place, root, listener, address, host

  local function stop()
    if listener then
      listener:close()
      root:close()
    end
  end

  -- Serves the folder `www` of the place until the next call.
  local function serve(options)
    stop()
    root = assert(file.root(place.path .. "/www", { links = not (options and options.links == false) }))
    listener = assert(server.serve("tcp://127.0.0.1:0", assert(static.new(root, options))))
    address = "tcp://" .. listener:local_address():gsub("^tcp://", "")
    host = address:gsub("^tcp", "http")
  end

  local function ask(target, fields)
    return asking.ask(address, target, fields)
  end

  local function curl(...)
    local status, output, errors = process.run { "curl", "-sS", "--path-as-is", ... }
    assert.are.equal(0, status, errors)
    return output
  end

  before_each(function()
    place = folder.new()
    place:write("secret.txt", "secret")
    place:write("www/index.html", "<p>home</p>\n")
    place:write("www/long.txt", LONG)
    place:write("www/empty.txt", "")
    place:write("www/docs/a b&c.txt", "odd name")
    place:write("www/.hidden", "hidden")
    place:write("www/.git/config", "hidden")
    place:write("www/.well-known/security.txt", "Contact: x")
    serve()
  end)

  after_each(function()
    stop()
    listener = nil
    place:remove()
  end)

  it("answers with a file and what is known of it", function()
    local answer = ask "/long.txt"
    assert.are.equal(200, answer.status)
    assert.are.equal(LONG, answer.body)
    local headers = answer.headers
    assert.are.equal("10000", headers["content-length"])
    assert.are.equal("text/plain; charset=utf-8", headers["content-type"])
    assert.are.equal("nosniff", headers["x-content-type-options"])
    assert.are.equal("bytes", headers["accept-ranges"])
    assert.matches('^"%x+%-2710"$', headers.etag)
    assert.are.equal(lfs.attributes(place.path .. "/www/long.txt", "modification"),
      core.http.parse_date(headers["last-modified"]))
    assert.is_nil(headers["cache-control"])
    assert.is_nil(headers.vary)
  end)

  it("answers HEAD with the same head", function()
    local get, head = ask "/long.txt", ask "HEAD /long.txt"
    assert.are.equal("", head.body)
    head.headers.date, get.headers.date = nil, nil
    assert.are.same(get.headers, head.headers)
    assert.are.equal(200, ask "HEAD /empty.txt".status)
  end)

  it("knows types by the ends of names", function()
    local types = {
      ["page.HTML"] = "text/html; charset=utf-8", ["a.b.css"] = "text/css; charset=utf-8",
        ["x.js"] = "text/javascript; charset=utf-8",
      ["x.json"] = "application/json", ["x.svg"] = "image/svg+xml", ["x.woff2"] = "font/woff2",
      ["x.mp4"] = "video/mp4", noend = "application/octet-stream", ["x.unknown"] = "application/octet-stream",
      ["x.foo"] = "application/x-foo", ["x.png"] = "image/x-mine",
    }
    serve { types = { foo = "application/x-foo", png = "image/x-mine" } }
    for name, kind in pairs(types) do
      place:write("www/" .. name, "data")
      assert.are.equal(kind, ask("/" .. name).headers["content-type"])
    end
  end)

  it("refuses other methods", function()
    for _, method in ipairs { "POST", "PUT", "DELETE", "OPTIONS" } do
      local answer = asking.ask(address, method .. " /long.txt", nil, "body")
      assert.are.equal(405, answer.status)
      assert.are.equal("GET, HEAD", answer.headers.allow)
    end
  end)

  describe("of a folder", function()
    it("sends the index", function()
      assert.are.equal("<p>home</p>\n", ask "/".body)
      assert.are.equal(404, ask "/docs/".status)
      serve { index = { "main.html", "long.txt" } }
      assert.are.equal(LONG, ask "/".body)
      serve { index = false }
      assert.are.equal(404, ask "/".status)
    end)

    it("redirects to the name with a slash, and to no other host", function()
      local answer = ask "/docs?a=%20b"
      assert.are.equal(308, answer.status)
      assert.are.equal("/docs/?a=%20b", answer.headers.location)
      lfs.mkdir(place.path .. "/www/a b")
      assert.are.equal("/a%20b/", ask "/a%20b".headers.location)
      lfs.mkdir(place.path .. "/www/evil.example")
      assert.are.equal("/evil.example/", ask "//evil.example".headers.location)
    end)

    it("lists it when it may, and nothing can break out of the page", function()
      assert.are.equal(404, ask "/docs/".status)
      serve { listing = true }
      place:write('www/docs/<img src=x onerror="alert(1)">.txt', "")
      place:write("www/docs/javascript:alert(1)", "")
      place:write("www/docs/sub/x", "")
      place:write("www/docs/.hidden", "")
      local answer = ask "/docs/"
      assert.are.equal("text/html; charset=utf-8", answer.headers["content-type"])
      assert.is_truthy(answer.body:find('<a href="a%20b%26c.txt">a b&amp;c.txt</a>', 1, true), answer.body)
      assert.is_truthy(answer.body:find('<a href="sub/">sub/</a>', 1, true))
      assert.is_truthy(answer.body:find('<a href="javascript%3Aalert%281%29">', 1, true))
      assert.is_nil(answer.body:find("<img", 1, true))
      assert.is_nil(answer.body:find("hidden", 1, true))
      assert.are.equal("<p>home</p>\n", ask "/".body)
      assert.are.equal("odd name", ask "/docs/a%20b%26c.txt".body)
    end)
  end)

  describe("keeps inside:", function()
    local function expect_nothing(target)
      local answer = ask(target)
      assert.is_truthy(answer.status >= 400 and answer.status < 500, target .. ": " .. answer.status)
      assert.is_nil(answer.body:find("secret", 1, true))
      assert.is_nil(answer.body:find("root:", 1, true))
    end

    it("names that lead out", function()
      for _, target in ipairs {
        "/../secret.txt", "/%2e%2e/secret.txt", "/docs/../../secret.txt", "/docs/%2E%2e/%2e./secret.txt",
        "/..%2fsecret.txt", "/docs%2f..%2f..%2fsecret.txt", "/..%5csecret.txt", "/long.txt%00.html", "/%00",
        "//etc/passwd", "/" .. ("../"):rep(20) .. "etc/passwd", "/%c0%ae%c0%ae/secret.txt",
          "/....//secret.txt",
        "/docs/..;/..;/secret.txt", "/~root", "/%2fetc/passwd", "/a%2", "/%zz", "/" .. ("a"):rep(5000),
        "/" .. ("a/"):rep(2000), "/long.txt/", "/long.txt/x",
      } do
        expect_nothing(target)
      end
      assert.matches("^[45]%d%d", curl("-o", "/dev/null", "-w", "%{http_code}", host .. "/../secret.txt"))
    end)

    it("links that lead out", function()
      lfs.link(place.path .. "/secret.txt", place.path .. "/www/out.txt", true)
      lfs.link("/etc", place.path .. "/www/etc", true)
      lfs.link("../../secret.txt", place.path .. "/www/docs/up.txt", true)
      lfs.link("/proc/self/cwd", place.path .. "/www/cwd", true)
      for _, target in ipairs { "/out.txt", "/etc/passwd", "/docs/up.txt", "/cwd/README.md", "/etc" } do
        expect_nothing(target)
      end
      lfs.link("long.txt", place.path .. "/www/in.txt", true)
      assert.are.equal(LONG, ask "/in.txt".body)
      serve { links = false }
      assert.are.equal(403, ask "/in.txt".status)
    end)

    it("what has a dot in front", function()
      for _, target in ipairs { "/.hidden", "/.git/config", "/%2ehidden", "/.git/", "/.git", "/docs/.x" } do
        assert.are.equal(404, ask(target).status)
      end
      assert.are.equal("Contact: x", ask "/.well-known/security.txt".body)
      serve { dot_files = true }
      assert.are.equal("hidden", ask "/.hidden".body)
    end)

    it("what is no file, which blocks nobody", function()
      assert(os.execute("mkfifo " .. place.path .. "/www/pipe"))
      local socket <close> = net.listen("unix://" .. place.path .. "/www/socket")
      assert.is_truthy(socket)
      assert.are.equal(404, ask "/pipe".status)
      assert.are.equal(404, ask "/socket".status)
      assert.are.equal(LONG, ask "/long.txt".body)
    end)
  end)

  describe("with conditions", function()
    local tag, date

    before_each(function()
      local headers = ask "/long.txt".headers
      tag, date = headers.etag, headers["last-modified"]
    end)

    local OLD <const>, NEW <const> = "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"

    it("answers 304 to who has it", function()
      for _, fields in ipairs {
        { ["If-None-Match"] = tag }, { ["If-None-Match"] = "W/" .. tag },
          { ["If-None-Match"] = '"x", ' .. tag },
        { ["If-None-Match"] = "*" }, { ["If-Modified-Since"] = date }, { ["If-Modified-Since"] = NEW },
        { ["If-None-Match"] = tag, ["If-Modified-Since"] = OLD },
      } do
        local answer = ask("/long.txt", fields)
        assert.are.equal(304, answer.status)
        assert.are.equal("", answer.body)
        assert.are.equal(tag, answer.headers.etag)
        assert.is_nil(answer.headers["content-type"])
        assert.are.equal(304, ask("HEAD /long.txt", fields).status)
      end
    end)

    it("answers 200 to who has another", function()
      for _, fields in ipairs {
        { ["If-None-Match"] = '"x"' }, { ["If-None-Match"] = "" }, { ["If-None-Match"] = tag:sub(2, -2) },
        { ["If-Modified-Since"] = OLD }, { ["If-Modified-Since"] = "yesterday" },
        { ["If-None-Match"] = '"x"', ["If-Modified-Since"] = date },
        { ["If-Match"] = tag }, { ["If-Match"] = "*" }, { ["If-Match"] = '"x", ' .. tag },
        { ["If-Unmodified-Since"] = date }, { ["If-Unmodified-Since"] = "never" },
        { ["If-Match"] = tag, ["If-Unmodified-Since"] = OLD },
      } do
        assert.are.equal(LONG, ask("/long.txt", fields).body)
      end
    end)

    it("answers 412 when the condition fails, first of all", function()
      for _, fields in ipairs {
        { ["If-Match"] = '"x"' }, { ["If-Match"] = "W/" .. tag }, { ["If-Unmodified-Since"] = OLD },
        { ["If-Match"] = '"x"', ["If-None-Match"] = tag },
        { ["If-Match"] = '"x"', ["If-Unmodified-Since"] = NEW, Range = "bytes=0-1" },
      } do
        assert.are.equal(412, ask("/long.txt", fields).status)
      end
    end)

    it("has another tag for another content", function()
      place:write("www/long.txt", LONG .. "x")
      assert.are_not.equal(tag, ask "/long.txt".headers.etag)
      assert.are.equal(200, ask("/long.txt", { ["If-None-Match"] = tag }).status)
    end)

    it("is understood by curl", function()
      local path = place.path .. "/copy"
      assert.are.equal("200", curl("-o", path, "-R", "-w", "%{http_code}", host .. "/long.txt"))
      assert.are.equal("304", curl("-o", path .. "2", "-z", path, "-w", "%{http_code}", host .. "/long.txt"))
      curl("-o", path, "--etag-save", path .. ".tag", host .. "/long.txt")
      assert.are.equal("304", curl("-o", path .. "2", "--etag-compare", path .. ".tag", "-w", "%{http_code}",
        host .. "/long.txt"))
    end)
  end)

  describe("with ranges", function()
    local function part(range, fields)
      fields = fields or {}
      fields.Range = range
      return ask("/long.txt", fields)
    end

    it("sends a part", function()
      for range, expected in pairs {
        ["bytes=0-0"] = { 0, 0 }, ["bytes=5-9"] = { 5, 9 }, ["bytes=9990-"] = { 9990, 9999 },
        ["bytes=-3"] = { 9997, 9999 }, ["bytes=9999-20000"] = { 9999, 9999 }, ["bytes=0-"] = { 0, 9999 },
        ["bytes=-20000"] = { 0, 9999 }, ["BYTES= 1-2 "] = { 1, 2 }, ["bytes=,3-4,"] = { 3, 4 },
        ["bytes=0-99999999999999999999999"] = { 0, 9999 }, ["bytes=5-9,20000-"] = { 5, 9 },
        ["bytes=0-5,3-9"] = { 0, 9 },
      } do
        local answer = part(range)
        assert.are.equal(206, answer.status, range)
        local first, last = expected[1], expected[2]
        assert.are.equal(("bytes %d-%d/10000"):format(first, last), answer.headers["content-range"])
        assert.are.equal(LONG:sub(first + 1, last + 1), answer.body)
        assert.are.equal(tostring(last - first + 1), answer.headers["content-length"])
        assert.are.equal("text/plain; charset=utf-8", answer.headers["content-type"])
      end
    end)

    it("sends all when the field cannot be read, or asks for too much", function()
      local many = {}
      for i = 1, 17 do
        many[i] = ("%d-%d"):format(i * 10, i * 10)
      end
      for _, range in ipairs {
        "bytes=", "bytes", "bytes=a-b", "bytes=5", "bytes=5-1", "bytes=-", "lines=1-2", "bytes=1-2,x",
          "bytes=1-2;3-4",
        "bytes=--1", "bytes=0x1-2", "bytes=" .. table.concat(many, ","),
      } do
        local answer = part(range)
        assert.are.equal(200, answer.status, range)
        assert.are.equal(LONG, answer.body)
      end
      assert.are.equal(200, ask("HEAD /long.txt", { Range = "bytes=0-1" }).status)
    end)

    it("says when there is no such part", function()
      for _, range in ipairs { "bytes=10000-", "bytes=20000-30000", "bytes=-0", "bytes=10000-,20000-" } do
        local answer = part(range)
        assert.are.equal(416, answer.status, range)
        assert.are.equal("bytes */10000", answer.headers["content-range"])
      end
      assert.are.equal(416, ask("/empty.txt", { Range = "bytes=0-" }).status)
    end)

    it("sends several parts in one", function()
      local answer = part "bytes=0-1,9998-, 100-102"
      assert.are.equal(206, answer.status)
      local boundary = answer.headers["content-type"]:match("^multipart/byteranges; boundary=(%x+)$")
      local expected = {}
      for _, span in ipairs { { 0, 1 }, { 9998, 9999 }, { 100, 102 } } do
        expected[#expected + 1] = ("--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
          .. "Content-Range: bytes %d-%d/10000\r\n\r\n%s\r\n"):format(
          boundary, span[1], span[2], LONG:sub(span[1] + 1, span[2] + 1))
      end
      assert.are.equal(table.concat(expected) .. "--" .. boundary .. "--\r\n", answer.body)
      assert.are.equal(tostring(#answer.body), answer.headers["content-length"])
      assert.is_nil(answer.headers["content-range"])
    end)

    it("sends no byte twice, however parts overlap", function()
      local answer = part "bytes=100-200,0-9,150-300,5-12,301-302"
      assert.are.equal(206, answer.status)
      local seen = {}
      for range in answer.body:gmatch("Content%-Range: bytes (%S+)/") do
        seen[#seen + 1] = range
      end
      assert.are.same({ "0-12", "100-302" }, seen)
      assert.is_true(#answer.body < 1000)
    end)

    it("asks If-Range first", function()
      local headers = ask "/long.txt".headers
      assert.are.equal(206, part("bytes=0-1", { ["If-Range"] = headers.etag }).status)
      assert.are.equal(206, part("bytes=0-1", { ["If-Range"] = headers["last-modified"] }).status)
      for _, other in ipairs { '"x"', "W/" .. headers.etag, "Sun, 06 Nov 1994 08:49:37 GMT" } do
        assert.are.equal(LONG, part("bytes=0-1", { ["If-Range"] = other }).body)
      end
    end)

    it("lets curl and wget go on where they were", function()
      local path = place:write("copy", LONG:sub(1, 4000))
      curl("-C", "-", "-o", path, host .. "/long.txt")
      assert.are.equal(LONG, place:read "copy")
      path = place:write("copy", LONG:sub(1, 7000))
      assert.are.equal(0, (process.run { "wget", "-q", "-c", "-O", path, host .. "/long.txt" }))
      assert.are.equal(LONG, place:read "copy")
      assert.are.equal("23456", curl("-r", "2-6", host .. "/long.txt"))
      assert.is_truthy(curl("-r", "0-1,5-6", host .. "/long.txt"):find("Content-Range: bytes 5-6/10000", 1,
        true))
    end)
  end)

  describe("in a coding that lies beside it", function()
    before_each(function()
      place:write("www/page.html.br", "brotli")
      place:write("www/page.html.gz", "gzip")
      place:write("www/page.html", "plain")
      place:write("www/x.png", "plain")
      place:write("www/x.png.gz", "gzip")
      place:write("www/only.css.gz", "gzip")
      serve { precompressed = true }
    end)

    it("is chosen by the client", function()
      local expected = {
        ["gzip, deflate, br"] = "brotli", gzip = "gzip", br = "brotli", ["*"] = "brotli", identity = "plain",
        ["gzip;q=1.0, br;q=0.5"] = "gzip", ["br;q=0, *"] = "gzip", ["gzip;q=0"] = "plain",
          ["x-gzip"] = "gzip",
        ["identity, gzip;q=0.5"] = "plain", [""] = "plain", ["zstd"] = "plain", ["gzip;q=abc"] = "plain",
        ["GZIP"] = "gzip", ["br;q=0.001"] = "brotli", [",,gzip ; q=0.3"] = "gzip",
      }
      for accept, body in pairs(expected) do
        local answer = ask("/page.html", { ["Accept-Encoding"] = accept })
        assert.are.equal(body, answer.body, accept)
        assert.are.equal(({ brotli = "br", gzip = "gzip" })[body], answer.headers["content-encoding"])
        assert.are.equal("text/html; charset=utf-8", answer.headers["content-type"])
        assert.are.equal("Accept-Encoding", answer.headers.vary)
      end
      assert.are.equal("plain", ask "/page.html".body)
    end)

    it("has a tag of its own, and ranges", function()
      local tags = {}
      for _, accept in ipairs { "br", "gzip", "identity" } do
        tags[ask("/page.html", { ["Accept-Encoding"] = accept }).headers.etag] = accept
      end
      local count = 0
      for tag, accept in pairs(tags) do
        count = count + 1
        assert.are.equal(304, ask("/page.html", { ["Accept-Encoding"] = accept,
          ["If-None-Match"] = tag }).status)
      end
      assert.are.equal(3, count)
      assert.are.equal("ot", ask("/page.html", { ["Accept-Encoding"] = "br", Range = "bytes=2-3" }).body)
    end)

    it("is looked for with text only, and when it may", function()
      assert.are.equal("plain", ask("/x.png", { ["Accept-Encoding"] = "gzip" }).body)
      assert.is_nil(ask "/x.png".headers.vary)
      assert.are.equal("gzip", ask("/only.css", { ["Accept-Encoding"] = "br, gzip" }).body)
      serve()
      assert.are.equal("plain", ask("/page.html", { ["Accept-Encoding"] = "gzip" }).body)
    end)
  end)

  it("has options for what else is told", function()
    serve { cache_control = "public, max-age=60", disposition = "attachment" }
    local headers = ask "/long.txt".headers
    assert.are.equal("public, max-age=60", headers["cache-control"])
    assert.are.equal('attachment; filename="long.txt"', headers["content-disposition"])
    assert.are.equal("public, max-age=60", ask("/long.txt",
      { ["If-None-Match"] = headers.etag }).headers["cache-control"])
    place:write('www/na"me ü.txt', "")
    assert.are.equal("attachment; filename=\"na_me __.txt\"; filename*=UTF-8''na%22me%20%C3%BC.txt",
      ask "/na%22me%20%C3%BC.txt".headers["content-disposition"])
    serve {
      cache_control = function(name) return name:find("long") and "immutable" or nil end,
      not_found = function(_, response) response:status(404):send "mine" end,
    }
    assert.are.equal("immutable", ask "/long.txt".headers["cache-control"])
    assert.is_nil(ask "/".headers["cache-control"])
    assert.are.equal("mine", ask "/nothing".body)
  end)

  it("tells what a file is now, whoever has asked for it before", function()
    local before = ask "/long.txt"
    assert.are.equal(before.headers.etag, ask "/long.txt".headers.etag)
    place:write("www/long.txt", "short")
    local after = ask "/long.txt"
    assert.are.equal("short", after.body)
    assert.are_not.equal(before.headers.etag, after.headers.etag)
    assert.are.equal(304, ask("/long.txt", { ["If-None-Match"] = after.headers.etag }).status)
    for number = 1, 1100 do -- more than it remembers
      place:write(("www/n%d.txt"):format(number), "x")
      assert.are.equal(200, ask(("/n%d.txt"):format(number)).status)
    end
    assert.are.equal(after.headers.etag, ask "/long.txt".headers.etag)
  end)

  it("keeps what others have set, and sets the same beside it", function()
    local plain = ask "/long.txt".headers
    local handler = assert(static.new(root, { cache_control = "no-cache", disposition = "inline" }))
    local own <close> = assert(server.serve("tcp://127.0.0.1:0", function(request, response, ctx)
      response:header("Content-Type", "text/odd"):header("X-Own", "1")
      return handler(request, response, ctx)
    end))
    local other = asking.ask("tcp://" .. own:local_address():gsub("^tcp://", ""), "/long.txt").headers
    for _, name in ipairs { "content-type", "content-length", "etag", "last-modified", "accept-ranges",
      "x-content-type-options" } do
      assert.are.equal(plain[name], other[name], name)
    end
    assert.are.same({ "1", "no-cache", 'inline; filename="long.txt"' },
      { other["x-own"], other["cache-control"], other["content-disposition"] })
  end)

  it("has a page for all that is not there", function()
    serve { fallback = "index.html" }
    for target, body in pairs {
      ["/some/page"] = "<p>home</p>\n", ["/docs/"] = "<p>home</p>\n", ["/missing.js"] = "Not Found\n",
        ["/long.txt"] = LONG,
    } do
      assert.are.equal(body, ask(target).body)
    end
    serve { fallback = "missing.html" }
    assert.are.equal(404, ask "/some/page".status)
  end)

  it("takes a folder that is open, and the rest of a path", function()
    local files = assert(static.new(root))
    local other <close> = assert(server.serve("tcp://127.0.0.1:0", function(request, response, ctx)
      request.parameters = { path = request.path:gsub("^/assets/", "") }
      return files(request, response, ctx)
    end))
    local from = "tcp://" .. other:local_address():gsub("^tcp://", "")
    assert.are.equal(LONG, asking.ask(from, "/assets/long.txt").body)
    assert.are.equal("/assets/docs/", asking.ask(from, "/assets/docs").headers.location)
    assert.are.equal("<p>home</p>\n", asking.ask(from, "/assets/").body)
  end)

  it("answers many requests on one connection", function()
    local conn <close> = assert(net.connect(address))
    local request = "GET /docs/a%20b%26c.txt HTTP/1.1\r\nHost: x\r\n\r\n"
    for _ = 1, 3 do
      conn:write(request:rep(20))
      for _ = 1, 20 do
        assert.matches("^HTTP/1.1 200 OK\r\n", assert(conn:read_until("\r\n\r\n", 4096)))
        assert.are.equal("odd name", conn:read(8))
      end
    end
    local crowd = {}
    for i = 1, 20 do
      crowd[i] = assert(net.connect(address))
    end
    for _ = 1, 5 do
      for _, one in ipairs(crowd) do
        one:write(request)
      end
      for _, one in ipairs(crowd) do
        assert(one:read_until("\r\n\r\n", 4096))
        assert.are.equal("odd name", one:read(8))
      end
    end
    for _, one in ipairs(crowd) do
      one:close()
    end
  end)

  it("ends the connection when a file becomes shorter while it is sent", function()
    local path = place:write("www/large.bin", ("x"):rep(1024):rep(32 << 10))
    local conn <close> = assert(net.connect(address))
    conn:write "GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n"
    assert.matches("Content%-Length: 33554432", conn:read_until("\r\n\r\n", 4096))
    assert(file.open(path, "update")):truncate(1 << 20)
    local size = 0
    for chunk in conn:chunks() do
      size = size + #chunk
    end
    assert.is_true(size >= 1 << 20 and size < 32 << 20)
    assert.are.equal(LONG, ask "/long.txt".body)
  end)

  it("sends what it has of a file that is removed meanwhile", function()
    local path = place:write("www/large.bin", ("x"):rep(1024):rep(8 << 10))
    local conn <close> = assert(net.connect(address))
    conn:write "GET /large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    conn:read_until("\r\n\r\n", 4096)
    os.remove(path)
    assert.are.equal(8 << 20, #conn:read_all(16 << 20))
    assert.are.equal(404, ask "/large.bin".status)
  end)

  it("leaves nothing open", function()
    local function count()
      local descriptors = 0
      for _ in lfs.dir "/proc/self/fd" do
        descriptors = descriptors + 1
      end
      return descriptors
    end
    ask "/long.txt"
    local before
    condition.wait_until(function()
      local now = count()
      local same = now == before
      before = now
      return same
    end, 5)
    for _ = 1, 10 do
      ask "/long.txt"
      ask "/docs"
      ask "/nothing"
      asking.ask(address, "/long.txt", { Range = "bytes=0-1,5-6" })
      asking.ask(address, "/long.txt", { ["If-None-Match"] = "*" })
    end
    condition.wait_until(function() return count() <= before end, 5)
  end)

  it("lets a function answer for what is refused", function()
    serve { refuse = function(request, response, status)
      response:send(("no %s: %d %d"):format(request.method, status, response:status()))
    end }
    assert.are.equal("no GET: 404 404", ask "/nothing".body)
    assert.are.equal("no POST: 405 405", curl("-d", "x", host .. "/"))
  end)

  it("says what is wrong with its options", function()
    assert.has_error(function() static.new(".", { indices = 1 }) end)
    assert.has_error(function() static.new(".", { index = 1 }) end)
    assert.has_error(function() static.new(".", { cache_control = 1 }) end)
    assert.has_error(function() static.new(".", { disposition = "none" }) end)
    assert.are.equal("not_found", select(3, static.new "/no/such/folder"))
  end)
end)
