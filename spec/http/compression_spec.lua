local asking = require "spec.http.asking"
local compress = require "moonwire.compress"
local compression = require "moonwire.http.compression"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local process = require "spec.support.process"
local server = require "moonwire.http.server"
local static = require "moonwire.http.static"
local sync = require "moonwire.sync"

local TEXT <const> = ("All work and no play makes Jack a dull boy. "):rep(200)
local KINDS <const> = { gzip = "gzip", br = "brotli", deflate = "deflate" }

describe("http compression of responses", function()
  local listener, address, host

  local function serve(handler, options)
    if listener then
      listener:close()
    end
    listener = assert(server.serve("tcp://127.0.0.1:0", compression.new(options)(handler)))
    address = "tcp://" .. listener:local_address():gsub("^tcp://", "")
    host = address:gsub("^tcp", "http")
  end

  after_each(function()
    listener:close()
    listener = nil
  end)

  local function send_text(_, response)
    response:send(TEXT)
  end

  local function ask(accept, target)
    return asking.ask(address, target or "/", { ["Accept-Encoding"] = accept })
  end

  local function expect_coded(coding, answer)
    assert.are.equal(coding, answer.headers["content-encoding"])
    assert.are.equal("Accept-Encoding", answer.headers.vary)
    assert.are.equal(TEXT, assert(compress.decode(KINDS[coding], answer.body)))
    assert.is_true(#answer.body < #TEXT / 10)
  end

  local function expect_plain(answer)
    assert.is_nil(answer.headers["content-encoding"])
    assert.are.equal(TEXT, answer.body)
  end

  it("uses the coding that the client asks for", function()
    serve(send_text)
    expect_coded("br", ask "gzip, deflate, br")
    expect_coded("gzip", ask "gzip")
    expect_coded("gzip", ask "br;q=0.5, gzip;q=0.8")
    expect_coded("gzip", ask "br;q=0, *")
    for _, accept in ipairs { "identity", "gzip;q=0", "*;q=0", "zstd", "deflate", "", "gzip;q=2",
      "identity, br;q=0.9" } do
      local answer = ask(accept)
      expect_plain(answer)
      assert.are.equal("Accept-Encoding", answer.headers.vary)
    end
    serve(send_text, { codings = { "deflate" }, level = 9 })
    expect_coded("deflate", ask "gzip, deflate, br")
  end)

  it("announces the length of a body that was sent whole", function()
    serve(send_text)
    local answer = ask "gzip"
    assert.are.equal(#answer.body, tonumber(answer.headers["content-length"]))
  end)

  it("is understood by curl", function()
    serve(send_text)
    local status, output = process.run { "curl", "-sS", "--compressed", host .. "/" }
    assert.are.equal(0, status)
    assert.are.equal(TEXT, output)
    local _, size = process.run { "curl", "-sS", "-H", "Accept-Encoding: br", "-o", "/dev/null", "-w",
      "%{size_download}",
      host .. "/" }
    assert.is_true(tonumber(size) < 200)
  end)

  it("leaves alone what would not gain", function()
    local changes = {
      function(response) response:header("Content-Type", "image/png") end,
      function(response) response:header("Content-Type", "text/event-stream") end,
      function(response) response:header("Cache-Control", "public, no-transform") end,
      function(response) response:status(206):header("Content-Range", "bytes 0-1/2") end,
    }
    for _, change in ipairs(changes) do
      serve(function(_, response)
        change(response)
        response:send(TEXT)
      end)
      expect_plain(ask "gzip")
    end
    serve(function(_, response) response:send "short" end)
    assert.are.equal("short", ask "gzip".body)
    serve(function(_, response) response:send "short" end, { min = 1 }) -- it would grow
    assert.are.equal("short", ask "gzip".body)
    serve(function(_, response) response:header("Content-Type", "image/png"):send(TEXT) end,
      { compressible = function(kind) return kind == "image/png" end })
    expect_coded("gzip", ask "gzip")
  end)

  it("does not code twice", function()
    serve(function(_, response)
      response:header("Content-Encoding", "gzip"):send(compress.gzip(TEXT))
    end)
    assert.are.equal(TEXT, compress.decode("gzip", ask "gzip, br".body))
  end)

  it("says that a tag is of the content, not of the bytes", function()
    serve(function(_, response)
      response:header("ETag", '"abc"'):header("Accept-Ranges", "bytes"):header("Vary", "Origin"):send(TEXT)
    end)
    local headers = ask "gzip".headers
    assert.are.equal('W/"abc"', headers.etag)
    assert.are.equal("Origin, Accept-Encoding", headers.vary)
    assert.is_nil(headers["accept-ranges"])
    assert.are.equal('"abc"', ask "identity".headers.etag)
  end)

  it("gives HEAD the head of GET", function()
    serve(send_text)
    local answer = ask("gzip", "HEAD /")
    assert.are.equal("", answer.body)
    assert.are.equal("gzip", answer.headers["content-encoding"])
    assert.is_nil(answer.headers["content-length"])
  end)

  it("passes on at once what is written", function()
    local go = sync.event()
    serve(function(_, response)
      response:write "one, "
      go:wait()
      response:write("two, ", "three")
    end)
    local conn <close> = assert(net.connect(address))
    conn:write "GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    local head = assert(conn:read_until("\r\n\r\n", 4096))
    assert.matches("Content%-Encoding: gzip", head)
    local decoder, text = compress.decoder "gzip", ""
    while #text < 5 do
      local size = tonumber(conn:read_line(10), 16)
      text = text .. decoder:add(conn:read(size))
      conn:read(2)
    end
    assert.are.equal("one, ", text)
    go:set()
    local rest = asking.parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. conn:read_all())
    assert.is_true(rest.is_whole)
    assert.are.equal("two, three", decoder:add(rest.body))
    assert.is_true(decoder:finish())
  end)

  it("streams what is longer than memory should be, whoever ends it", function()
    for _, ends in ipairs { true, false } do
      serve(function(_, response)
        for _ = 1, 200 do
          response:write(TEXT)
        end
        response:flush()
        if ends then
          response:finish()
        end
      end, { flush = false })
      for _, coding in ipairs { "gzip", "br" } do
        local answer = ask(coding)
        assert.is_true(answer.is_whole)
        assert.are.equal(TEXT:rep(200), compress.decode(KINDS[coding], answer.body))
      end
      assert.are.equal(TEXT:rep(200), ask "identity".body)
    end
  end)

  it("leaves a body that is cut short without an end", function()
    serve(function(_, response)
      response:write(TEXT)
      error("a fault of this spec", 0)
    end)
    assert.is_falsy(ask "gzip".is_whole)
  end)

  it("compresses files, and leaves parts of them alone", function()
    local place <close> = folder.new()
    place:write("a.txt", TEXT)
    place:write("a.png", TEXT)
    local root <close> = assert(file.root(place.path))
    serve(assert(static.new(root)))
    expect_coded("gzip", ask("gzip", "/a.txt"))
    expect_plain(ask("identity", "/a.txt"))
    expect_plain(ask("gzip", "/a.png"))
    local answer = asking.ask(address, "/a.txt", { ["Accept-Encoding"] = "gzip", Range = "bytes=0-2" })
    assert.are.equal("All", answer.body)
    assert.is_nil(answer.headers["content-encoding"])
    local tag = ask("gzip", "/a.txt").headers.etag
    assert.are.equal('W/"', tag:sub(1, 3))
    assert.are.equal(304, asking.ask(address, "/a.txt", { ["Accept-Encoding"] = "gzip",
      ["If-None-Match"] = tag }).status)
    serve(function(_, response)
      response:header("Content-Type", "text/plain"):send_file(place.path .. "/a.txt", 4, 4)
    end, { min = 1 })
    assert.are.equal("work", compress.decode("gzip", ask "gzip".body))
    assert.are.equal("gzip", ask("gzip", "HEAD /").headers["content-encoding"])
  end)

  it("says what is wrong with its options", function()
    serve(send_text)
    assert.has_error(function() compression.new { levels = 1 } end)
    assert.has_error(function() compression.new { codings = { "zip" } } end)
    assert.has_error(function() compression.requests { max = 0 } end)
  end)
end)

describe("http decompression of requests", function()
  local listener, address

  local function serve(handler, options)
    listener = assert(server.serve("tcp://127.0.0.1:0", compression.requests(options)(handler)))
    address = "tcp://" .. listener:local_address():gsub("^tcp://", "")
  end

  after_each(function()
    listener:close()
  end)

  local function post(coding, body)
    return asking.ask(address, "POST /", { ["Content-Encoding"] = coding }, body)
  end

  local function echo(request, response)
    local data, err = request:read_all(100000)
    response:status(data and 200 or 400):send(data or err)
  end

  it("reads a body as if it were not compressed", function()
    serve(echo)
    for coding, kind in pairs { gzip = "gzip", ["x-gzip"] = "gzip", GZIP = "gzip", deflate = "deflate",
      br = "brotli" } do
      assert.are.equal(TEXT, post(coding, compress.encode(kind, TEXT)).body)
    end
    assert.are.equal(TEXT, post("identity", TEXT).body)
    assert.are.equal(TEXT, asking.ask(address, "POST /", nil, TEXT).body)
    assert.are.equal("", post("gzip", compress.gzip "").body)
  end)

  it("reads it piece by piece", function()
    serve(function(request, response)
      local sizes = {}
      assert.are.equal("All", request:read_some(3))
      for chunk in request:chunks { max = 1000 } do
        assert(#chunk <= 1000)
        sizes[#sizes + 1] = #chunk
      end
      local data, err = request:read_some()
      local sum = 3
      for _, size in ipairs(sizes) do
        sum = sum + size
      end
      response:send(("%d %s %s"):format(sum, data, err))
    end)
    assert.are.equal(("%d nil eof"):format(#TEXT), post("gzip", compress.gzip(TEXT)).body)
  end)

  it("has limits for what comes out", function()
    serve(echo, { max = 150000 })
    assert.are.equal("too_large", post("gzip", compress.gzip(("\0"):rep(100001))).body)
    assert.are.equal(100000, #post("gzip", compress.gzip(("\0"):rep(100000))).body)
    assert.are.equal("too_large", post("br", compress.encode("brotli", ("\0"):rep(10 << 20))).body)
  end)

  it("refuses what is damaged, cut, or in a coding that nobody knows", function()
    serve(echo)
    assert.are.equal("decode gzip: not of this coding, or damaged", post("gzip", "no gzip").body)
    assert.are.equal("decode gzip: it ends too early", post("gzip", compress.gzip(TEXT):sub(1, -2)).body)
    for _, coding in ipairs { "zstd", "gzip, br", "compress" } do
      local answer = post(coding, "x")
      assert.are.equal(415, answer.status)
      assert.are.equal("br, gzip, deflate", answer.headers["accept-encoding"])
    end
  end)
end)
