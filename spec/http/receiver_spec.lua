local condition = require "spec.support.condition"
local crypto = require "moonwire.crypto"
local digest = require "moonwire.http.digest"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local net = require "moonwire.net"
local receiver = require "moonwire.http.receiver"
local static = require "moonwire.http.static"
local web = require "spec.support.web"

local TEXT <const> = ("0123456789"):rep(1000)
local OTHER <const> = digest.field(crypto.digest("sha256", "other"))

describe("http receiver", function()
  local place, root, site, changes

  local function serve(options)
    if site then
      site:__close()
    end
    options = options or {}
    options.on_change = options.on_change or function(_, change) changes[#changes + 1] = change end
    local receive = receiver.new(root, options)
    local files = assert(static.new(root, { digest = true }))
    site = web.serve(function(request, response, ctx)
      local is_read = request.method == "GET" or request.method == "HEAD"
      return (is_read and request.query ~= "upload" and files or receive)(request, response, ctx)
    end, { body_max = false })
  end

  before_each(function()
    place = folder.new()
    root = assert(file.root(place.path))
    changes = {}
    serve()
  end)

  after_each(function()
    site:__close()
    site = nil
    root:close()
    place:remove()
  end)

  local function put(name, body, headers)
    return site:request("PUT", "/" .. name, headers, body)
  end

  local function put_part(name, first, last, total)
    return put(name, TEXT:sub(first + 1, last + 1), {
      ["Content-Range"] = ("bytes %d-%d/%s"):format(first, last, total or #TEXT) })
  end

  local function offset_of(name)
    local answer = site:request("HEAD", "/" .. name .. "?upload")
    return answer.status == 204 and math.tointeger(tonumber(answer.headers["upload-offset"])) or nil
  end

  -- What is in the folder, hidden files too.
  local function count_names()
    local count = -2
    for _ in lfs.dir(place.path) do
      count = count + 1
    end
    return count
  end

  -- Sends the first half of a body, and is then gone or still there.
  local function send_half(name, stays)
    local conn = assert(net.connect("tcp://" .. site.address))
    assert(conn:write(("PUT /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"):format(
      name, #TEXT, TEXT:sub(1, 5000))))
    condition.wait_until(function() return offset_of(name) == 5000 end, 10)
    if stays then
      return conn
    end
    conn:abort()
  end

  it("takes a file, replaces it, and tells of it", function()
    local answer = put("a.txt", TEXT)
    assert.are.equal(201, answer.status)
    assert.are.equal(TEXT, place:read "a.txt")
    assert.are.equal(answer.headers.etag, site:get("/a.txt").headers.etag)
    assert.are.equal(204, put("a.txt", "new").status)
    assert.are.equal("new", place:read "a.txt")
    assert.are.same({
      { name = "a.txt", size = #TEXT, is_new = true }, { name = "a.txt", size = 3, is_new = false },
    }, changes)
    assert.are.equal(1, count_names())
  end)

  it("takes a chunked body, and an empty one", function()
    local answer = site:request("PUT", "/a", { ["Transfer-Encoding"] = "chunked" }, nil,
      "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert.are.equal(201, answer.status)
    assert.are.equal("abcde", place:read "a")
    assert.are.equal(201, put("b", "").status)
    assert.are.equal("", place:read "b")
  end)

  it("makes folders on the way, or does not", function()
    assert.are.equal(201, put("a/b/c%20d.txt", "x").status)
    assert.are.equal("x", place:read "a/b/c d.txt")
    assert.are.equal(201, put("a/e/", "").status)
    assert.are.equal("directory", lfs.attributes(place.path .. "/a/e", "mode"))
    assert.are.equal(409, put("a/e/", "").status)
    serve { parents = false }
    assert.are.equal(409, put("f/g", "x").status)
  end)

  it("goes on where an upload stopped", function()
    send_half "a"
    assert.is_nil(place:read "a")
    local answer = put_part("a", 6000, 9999)
    assert.are.equal(409, answer.status)
    assert.are.equal("5000", answer.headers["upload-offset"])
    answer = put_part("a", 5000, 7999)
    assert.are.equal(202, answer.status)
    assert.are.equal("8000", answer.headers["upload-offset"])
    assert.are.equal(201, put_part("a", 7000, 9999).status)
    assert.are.equal(TEXT, place:read "a")
    assert.is_nil(offset_of "a")
    assert.are.equal(1, count_names())
  end)

  it("takes over from a sender that it does not know to be gone", function()
    local conn <close> = send_half("a", true)
    assert.are.equal(409, put("a", "another").status)
    assert.are.equal(201, put_part("a", 5000, 9999).status)
    assert.are.equal(TEXT, place:read "a")
    assert.is_nil(conn:read_some())
  end)

  it("begins anew, or drops what came", function()
    send_half "a"
    assert.are.equal(201, put("a", "whole").status)
    assert.are.equal("whole", place:read "a")
    send_half "b"
    assert.are.equal(204, site:request("DELETE", "/b?upload").status)
    assert.is_nil(offset_of "b")
    assert.are.equal(404, site:request("DELETE", "/b?upload").status)
    assert.are.equal(409, put_part("c", 5, 9).status)
    assert.are.equal(1, count_names())
  end)

  it("refuses parts that are none", function()
    for _, range in ipairs {
      "bytes 0-4/*", "bytes */10", "bytes 5-2/10", "bytes 0-9/5", "0-4/5", "bytes 0-3/10",
    } do
      assert.are.equal(400, put("a", "12345", { ["Content-Range"] = range }).status, range)
    end
    local answer = site:request("PUT", "/a", { ["Transfer-Encoding"] = "chunked",
      ["Content-Range"] = "bytes 0-2/10" }, nil, "5\r\nabcde\r\n0\r\n\r\n")
    assert.are.equal(400, answer.status)
  end)

  it("keeps to conditions", function()
    local tag = put("a", "one").headers.etag
    assert.are.equal(412, put("a", "two", { ["If-None-Match"] = "*" }).status)
    assert.are.equal(412, put("a", "two", { ["If-Match"] = '"other"' }).status)
    assert.are.equal(412, put("b", "two", { ["If-Match"] = "*" }).status)
    local since = { ["If-Unmodified-Since"] = "Sun, 06 Nov 1994 08:49:37 GMT" }
    assert.are.equal(412, put("a", "two", since).status)
    assert.are.equal("one", place:read "a")
    assert.are.equal(204, put("a", "two", { ["If-Match"] = tag,
      ["If-Modified-Since"] = "Sun, 06 Nov 2094 08:49:37 GMT" }).status)
    assert.are.equal(412, site:request("DELETE", "/a", { ["If-Match"] = tag }).status)
    assert.are.equal(201, put("b", "two", { ["If-None-Match"] = "*" }).status)
  end)

  it("looks again when the body is there", function()
    local tag = put("a", "one").headers.etag
    local conn <close> = assert(net.connect("tcp://" .. site.address))
    conn:write("PUT /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-Match: ", tag,
      "\r\nContent-Length: 4\r\n\r\nTW")
    condition.wait_until(function() return offset_of "a" end, 10)
    place:write("a", "changed")
    conn:write "O!"
    assert.are.equal(412, web.parse(assert(conn:read_all())).status)
    assert.are.equal("changed", place:read "a")
  end)

  it("compares digests", function()
    local good = digest.field(crypto.digest("sha256", TEXT))
    assert.are.equal(400, put("a", TEXT, { ["Repr-Digest"] = OTHER }).status)
    assert.are.equal(400, put("a", TEXT, { ["Content-Digest"] = OTHER }).status)
    assert.is_nil(place:read "a")
    assert.are.equal(201, put("a", TEXT, { ["Repr-Digest"] = good, ["Content-Digest"] = good }).status)
    local answer = put("b", TEXT, { ["Want-Repr-Digest"] = "sha-256=1" })
    assert.are.equal(good, answer.headers["repr-digest"])
    assert.are.equal(crypto.digest("sha256", TEXT), changes[#changes].digest)
    answer = site:request("GET", "/b", { ["Want-Repr-Digest"] = "sha-256=1", Range = "bytes=0-1" })
    assert.are.equal(206, answer.status)
    assert.are.equal(good, answer.headers["repr-digest"])
    assert.is_nil(site:get("/b").headers["repr-digest"])
  end)

  it("compares digests of a file that came in parts, and of one that came chunked", function()
    local good = digest.field(crypto.digest("sha256", TEXT))
    send_half "a"
    local rest = { ["Content-Range"] = "bytes 5000-9999/10000", ["Repr-Digest"] = good }
    rest["Content-Digest"] = OTHER
    assert.are.equal(400, put("a", TEXT:sub(5001), rest).status)
    assert.are.equal(5000, offset_of "a")
    rest["Content-Digest"] = digest.field(crypto.digest("sha256", TEXT:sub(5001)))
    assert.are.equal(201, put("a", TEXT:sub(5001), rest).status)
    local function put_chunked(field)
      return site:request("PUT", "/c", { ["Transfer-Encoding"] = "chunked", Trailer = "Repr-Digest" }, nil,
        "5\r\nabcde\r\n0\r\nRepr-Digest: " .. field .. "\r\n\r\n").status
    end
    assert.are.equal(400, put_chunked(OTHER))
    assert.are.equal(201, put_chunked(digest.field(crypto.digest("sha256", "abcde"))))
    assert.are.equal(2, count_names())
  end)

  it("has limits: the size of a file, a quota", function()
    serve { max = 10, quota = assert(receiver.quota(root, 25)) }
    assert.are.equal(413, put("a", "12345678901").status)
    local long = site:request("PUT", "/a", { ["Transfer-Encoding"] = "chunked" }, nil,
      "b\r\n12345678901\r\n0\r\n\r\n")
    assert.are.equal(413, long.status)
    assert.are.equal(204, site:request("DELETE", "/a?upload").status)
    assert.are.equal(413, put("a", "1", { ["Content-Range"] = "bytes 0-0/11" }).status)
    assert.are.equal(201, put("a", "1234567890").status)
    assert.are.equal(201, put("b", "1234567890").status)
    assert.are.equal(507, put("c", "1234567890").status)
    assert.are.equal(204, site:request("DELETE", "/a").status)
    assert.are.equal(201, put("c", "1234567890").status)
    assert.are.equal(204, put("c", "12345").status)
    assert.are.equal(201, put("d", "1234567890").status)
    assert.are.equal(507, put("e", "1").status)
  end)

  it("keeps nothing of what there is no room for", function()
    local quota = assert(receiver.quota(root, 300000))
    serve { quota = quota }
    local large = TEXT:rep(40) -- a piece of it would fit
    assert.are.equal(507, put("a", large).status)
    assert.are.same({ 0, 0 }, { count_names(), quota.used })
    assert.are.equal(202, put("b", TEXT, { ["Content-Range"] = "bytes 0-9999/410000" }).status)
    assert.are.equal(507, put("b", large, { ["Content-Range"] = "bytes 10000-409999/410000" }).status)
    assert.are.same({ 10000, 10000 }, { offset_of "b", quota.used })
  end)

  it("removes files and empty folders", function()
    put("a/b", "x")
    assert.are.equal(409, site:request("DELETE", "/a/").status)
    assert.are.equal(204, site:request("DELETE", "/a/b").status)
    assert.are.equal(404, site:request("DELETE", "/a/b").status)
    assert.are.equal(204, site:request("DELETE", "/a/").status)
    assert.are.equal(405, site:request("DELETE", "/").status)
    serve { remove = false, replace = false }
    put("c", "x")
    assert.are.equal(409, put("c", "y").status)
    assert.are.equal(405, site:request("DELETE", "/c").status)
  end)

  it("stays below its folder, and away from what is hidden or no file", function()
    local outside <close> = folder.new()
    assert(lfs.link(outside.path, place.path .. "/out", true))
    assert(os.execute("mkfifo " .. place.path .. "/fifo"))
    place:write("dir/x", "")
    assert.are.equal(403, put("out/x", "x").status)
    assert.are.equal(403, put("%2e%2e%2fx", "x").status)
    for _, name in ipairs { ".x", "a/.x/b", ".incoming-0", "dir/.incoming-0" } do
      assert.are.equal(403, put(name, "x").status, name)
    end
    assert.are.equal(409, put("fifo", "x").status)
    assert.are.equal(409, put("dir", "x").status)
    assert.are.equal(405, put("", "x").status)
    assert.are.equal(400, put(("a/"):rep(65) .. "x", "x").status)
    assert.are.equal(400, put(("x"):rep(300), "x").status)
    assert.are.equal(405, site:request("PATCH", "/x").status)
    assert.is_nil(outside:read "x")
    serve { dot_files = true }
    assert.are.equal(403, put(".incoming-0", "x").status)
    assert.are.equal(201, put(".x", "x").status)
  end)

  it("replaces a link, and not what it leads to", function()
    local outside <close> = folder.new()
    outside:write("secret", "secret")
    assert(lfs.link(outside.path .. "/secret", place.path .. "/link", true))
    assert.are.equal(204, put("link", "new").status)
    assert.are.equal("secret", outside:read "secret")
    assert.are.equal("new", place:read "link")
  end)

  it("sweeps what nobody goes on with", function()
    local quota = assert(receiver.quota(root, 12000))
    serve { quota = quota }
    put("d/x", "x")
    send_half "d/a"
    assert.are.equal(0, receiver.sweep(root, 3600, quota))
    assert.are.equal(507, put("b", TEXT).status)
    condition.wait_until(function() return receiver.sweep(root, 0, quota) > 0 end, 10)
    condition.wait_until(function() return put("b", TEXT).status == 201 end, 10)
    assert.is_nil(offset_of "d/a")
  end)

  it("refuses what is no folder, option or quota", function()
    assert.has_error(function() receiver.new("x") end)
    assert.has_error(function() receiver.new(root, { size = 1 }) end)
    assert.has_error(function() receiver.new(root, { max = "1" }) end)
    assert.has_error(function() receiver.new(root, { quota = {} }) end)
    assert.has_error(function() receiver.sweep(root) end)
    assert.has_error(function() receiver.quota(root, 0) end)
  end)
end)
