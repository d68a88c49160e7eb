-- scripts/files.lua, started as a user would, with curl as its client.
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

test.deadline(120)

local SECONDS <const> = 60
local MIB <const> = 1048576

local CONFIG <const> = [[
service "files" {
  listen = "tcp://127.0.0.1:0", script = "%s/scripts/files.lua", workers = 1,
  settings = { root = "%s/%s", users = { bob = { token = "TOKEN" } }, sync = false },
}
]]

local function options_of(settings)
  local options = {}
  for _, setting in ipairs(settings) do
    table.move({ "--set", setting }, 1, 2, #options + 1, options)
  end
  return options
end

describe("scripts/files.lua", function()
  local place, server

  local function serve(...)
    server = moonwire.serve {
      script = "scripts/files.lua", options = options_of { "root=" .. place.path .. "/root", ... },
      -- So that AddressSanitizer, where it is there, keeps nothing that was freed.
      env = { ASAN_OPTIONS = (os.getenv "ASAN_OPTIONS" or "") .. ":quarantine_size_mb=1" },
    }
  end

  before_each(function()
    place = folder.new()
    place:write("root/.keep", "")
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
      "curl", "-sS", "-w", "\n%{http_code}", "--max-time", SECONDS,
      ("http://127.0.0.1:%d%s"):format(server.port, path), seconds = SECONDS, ...,
    }
    assert.equal(0, status, errors)
    local body, code = output:match "^(.*)\n(%d+)$"
    return math.tointeger(tonumber(code)), body
  end

  local function as_bob(path, ...)
    return curl(path, "-H", "Authorization: Bearer TOKEN", ...)
  end

  it("takes files and gives them back, whole or from the middle on", function()
    serve "users.bob.token=TOKEN"
    local text = ("0123456789"):rep(20000)
    local source, target = place:write("x.bin", text), place.path .. "/y.bin"
    assert.equal(201, (as_bob("/", "-T", source)))
    assert.equal(201, (as_bob("/deep/down/", "-T", source)))
    assert.equal(text, place:read "root/deep/down/x.bin")
    place:write("y.bin", text:sub(1, 5000))
    assert.equal(206, (as_bob("/x.bin", "-C", "-", "-o", target)))
    assert.equal(text, place:read "y.bin")
    assert.equal("34567", select(2, as_bob("/x.bin", "-r", "3-7")))
    local sum = select(2, as_bob "/x.bin?checksum")
    local status, output = process.run { "sh", "-c", 'cd "$0" && sha256sum -c', place.path, input = sum }
    assert.equal(0, status, output)
    assert.equal(204, (as_bob("/x.bin", "-X", "DELETE")))
    assert.equal(404, (as_bob "/x.bin"))
    assert.equal(404, (as_bob "/x.bin?checksum"))
    server:wait_for_log "file .*kind=new name=x.bin size=200000 user=bob"
    server:wait_for_log "file .*kind=removed"
  end)

  it("goes on where an upload stopped", function()
    serve "users.bob.token=TOKEN"
    local text = ("0123456789"):rep(100000)
    local source = place:write("x.bin", text)
    local conn <close> = assert(net.connect(server.address))
    conn:write("PUT /x.bin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\n",
      "Content-Length: 1000000\r\n\r\n", text:sub(1, 345678))
    conn:flush()
    local offset
    condition.wait_until(function()
      local _, head = as_bob("/x.bin?upload", "-I")
      offset = head:match "Upload%-Offset: (%d+)"
      return offset == "345678"
    end, SECONDS)
    assert.equal(201, (as_bob("/x.bin", "-C", offset, "-T", source)))
    assert.equal(text, place:read "root/x.bin")
    assert.equal(204, (as_bob("/x.bin", "-C", "-", "-T", source)))
    assert.equal(text, place:read "root/x.bin")
  end)

  it("lists folders, for people and for programs", function()
    place:write("root/a <b>&.txt", "12345")
    place:write("root/folder/x", "")
    serve "users.bob.token=TOKEN"
    local entries = json.decode((select(2, as_bob("/", "-H", "Accept: application/json"))))
    assert.equal(2, #entries)
    assert.same({ "a <b>&.txt", "file", 5 }, { entries[1].name, entries[1].kind, entries[1].size })
    assert.same({ "folder", "folder" }, { entries[2].name, entries[2].kind })
    local page = select(2, as_bob "/")
    assert.matches('<a href="./a%%20%%3Cb%%3E%%26.txt">a &lt;b&gt;&amp;.txt</a>', page)
    assert.matches('<a href="./folder/">', page)
    assert.not_matches("keep", page)
    assert.equal("[]", select(2, as_bob "/folder/?json"):gsub("{.-}", ""))
    place:write("root/folder/\xff?", "odd")
    entries = json.decode((select(2, as_bob "/folder/?json")))
    assert.same({ "x", "\u{fffd}?", "./%FF%3F" }, { entries[1].name, entries[2].name, entries[2].address })
    assert.equal("odd", (select(2, as_bob("/folder/" .. entries[2].address))))
    assert.equal(404, (as_bob "/none/"))
    assert.equal(404, (as_bob "/.keep"))
    assert.equal(404, (as_bob "/.keep?checksum"))
  end)

  it("knows who may what", function()
    place:write("root/shared/a", "for all")
    place:write("own/.keep", "")
    serve("users.bob=SECRET", "users.ann.token=TOKEN", "users.ann.root=" .. place.path .. "/own",
      "users.ann.quota=10", "users.eve.token=X", "users.eve.write=false",
      "anonymous=" .. place.path .. "/root/shared")
    local source = place:write("x", "12345678")
    assert.equal(401, (curl("/x", "-T", source)))
    assert.equal(401, (curl("/x", "-T", source, "-u", "bob:secret")))
    assert.equal(401, (curl("/x", "-T", source, "-H", "Authorization: Bearer NONE")))
    assert.same({ 200, "for all" }, { curl "/a" })
    assert.equal(403, (curl("/x", "-T", source, "-H", "Authorization: Bearer X")))
    assert.same({ 200, "for all" }, { curl("/shared/a", "-H", "Authorization: Bearer X") })
    assert.same({ 200, "for all" }, { curl("/shared/a", "-u", "bob:SECRET") })
    local token = "Authorization: Bearer TOKEN"
    assert.equal(201, (curl("/x", "-T", source, "-H", token)))
    assert.equal("12345678", place:read "own/x")
    assert.equal(507, (curl("/y", "-T", source, "-H", token)))
    assert.equal(403, (curl("/x", "-T", source, "-H", token, "-H", "Sec-Fetch-Site: cross-site")))
  end)

  it("counts a quota over all workers", function()
    assert(os.execute("chmod -R a+rwX " .. place.path))
    local d <close> = daemon.start { workers = 2, config = ([[
      service "files" { listen = "tcp://127.0.0.1:0", script = "%s/scripts/files.lua",
        settings = { root = "%s/root", quota = 100, users = { bob = { token = "TOKEN" } } } }
    ]]):format(lfs.currentdir(), place.path) }
    server = { port = d:address "files":match "%d+$", stop = function() end }
    local source, statuses = place:write("x", "1234567890"), {}
    for i = 1, 12 do
      local status = curl("/f" .. i, "-T", source, "-H", "Authorization: Bearer TOKEN")
      statuses[status] = (statuses[status] or 0) + 1
    end
    assert.same({ [201] = 10, [507] = 2 }, statuses)
  end)

  it("does not start with settings that are none", function()
    local function fault_of(...)
      local status, errors = moonwire.run {
        script = "scripts/files.lua", listen = { "tcp://127.0.0.1:0" }, options = options_of { ... },
      }
      assert.equal(1, status, errors)
      return errors
    end
    assert.matches("root = a folder expected", fault_of "users.bob=x")
    assert.matches("users.NAME = a password expected", fault_of("root=" .. place.path))
    assert.matches("unknown option 'rot'", fault_of("users.bob=x", "rot=1"))
    assert.matches("a password or a token expected", fault_of("root=" .. place.path, "users.bob.write=true"))
  end)

  it("plays its scene", function()
    serve "users.bob=SECRET"
    scene.play("spec/scenes/files.scene", { server = server.address })
    assert.equal("Hello, World!", place:read "root/hello.txt")
  end)

  it("takes no more memory for large files", function()
    serve("users.bob.token=TOKEN", "sync=false")
    local source = place.path .. "/large"
    assert(process.run { "truncate", "-s", "24M", source } == 0)
    local function resident()
      for line in io.lines(("/proc/%d/status"):format(server.process:pid())) do
        local kib = line:match "^VmHWM:%s*(%d+) kB"
        if kib then
          return tonumber(kib) * 1024
        end
      end
    end
    local function there_and_back(name)
      assert.equal(201, (as_bob(name, "-T", source)))
      assert.equal(200, (as_bob(name, "-o", "/dev/null")))
      assert.equal(64, #select(2, as_bob(name .. "?checksum")):match "^%x+")
    end
    there_and_back "/one"
    local before = resident()
    there_and_back "/two"
    assert.is_true(resident() - before < 12 * MIB, ("from %d to %d"):format(before, resident()))
  end)

  it("goes on through a reload: an upload, a download, a connection that rests", function()
    place:write("root/large.bin", ("0123456789abcdef"):rep(MIB))
    place:write("other/here", "new")
    assert(os.execute("chmod -R a+rwX " .. place.path))
    local script = lfs.currentdir()
    local d <close> = daemon.start { workers = 1, config = CONFIG:format(script, place.path, "root") }
    local function open(request)
      local conn = assert(net.connect(d:address "files", { read_timeout = SECONDS }))
      assert(conn:write(request, " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\n"))
      return conn
    end
    local download <close> = open "GET /large.bin"
    download:write "Connection: close\r\n\r\n"
    download:read_until("\r\n\r\n", 4096)
    local upload <close> = open "PUT /new.bin"
    upload:write("Connection: close\r\nContent-Length: 1000\r\n\r\n", ("a"):rep(500))
    local rests <close> = open "GET /here"
    rests:write "\r\n"
    assert.matches("404", rests:read_until("\r\n\r\n", 4096))
    condition.wait_until(function()
      local asking <close> = open "HEAD /new.bin?upload"
      asking:write "Connection: close\r\n\r\n"
      return asking:read_all():find "Upload%-Offset: 500\r\n"
    end, SECONDS)
    d:configure(CONFIG:format(script, place.path, "other"))
    assert.is_true(d:reload().ok)
    upload:write(("b"):rep(500))
    assert.matches("^HTTP/1.1 201 ", upload:read_all())
    assert.equal(("a"):rep(500) .. ("b"):rep(500), place:read "root/new.bin")
    assert.equal(16 * MIB, #download:read_all(32 * MIB))
    local after <close> = open "GET /here"
    after:write "Connection: close\r\n\r\n"
    assert.matches("\r\n\r\nnew$", after:read_all())
  end)
end)
