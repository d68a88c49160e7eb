-- TLS as operators have it: certificates in the config, their renewal, connections that move.
local authority = require "spec.support.authority"
local condition = require "spec.support.condition"
local core = require "moonwire.core"
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local python = require "spec.tls.python"
local test = require "moonwire.test"

test.deadline(120) -- a hundred reloads, also under a sanitizer

local here, ca

setup(function()
  here = folder.new()
  ca = authority.new(here)
end)

teardown(function()
  here:remove()
end)

local SERVICE <const> = [[
service "%s" { script = "%s.lua", listen = "tls://127.0.0.1:0", tls = %s }
]]

local TLS <const> = '{ certificate = "%s/www.pem", key = "%s/www.key" }'

-- A certificate as the two files of a name in the folder `place`; only its owner may read the key.
local function put(place, name, pair)
  place:write(name .. ".pem", pair.pem)
  assert(process.run { "chmod", "600", place:write(name .. ".key.new", pair.key_pem) } == 0)
  assert(os.rename(place.path .. "/" .. name .. ".key.new", place.path .. "/" .. name .. ".key"))
end

local function issue(second)
  return ca:issue { "127.0.0.1", second, file = second }
end

-- A daemon of one service with a certificate for "first.test" in its own folder.
local function start(options)
  local place = folder.new()
  put(place, "www", issue "first.test")
  local tls = options.tls or TLS:format(place.path, place.path)
  local d = daemon.start {
    scripts = { ["count.lua"] = options.script or daemon.COUNTER:format "old" }, workers = options.workers,
    config = options.config or SERVICE:format("count", "count", tls),
  }
  return d, place
end

local function connect(d, tls)
  tls = tls or {}
  tls.authorities = tls.authorities or ca.file
  return net.connect(d:address("count", "tls"), { tls = tls, read_timeout = 5 })
end

local function says(conn, line)
  assert(conn:write(line, "\n"))
  return conn:read_line()
end

local function shown(d)
  local conn <close> = assert(connect(d))
  return conn:tls().certificate.names[2]
end

describe("a daemon with certificates", function()
  it("serves with them, though its workers cannot read the keys", function()
    local d <close>, place = start {}
    assert.equal("first.test", shown(d))
    local conn <close> = assert(connect(d))
    assert.equal("old 1 hello", says(conn, "hello"))
    -- one that is started again has them, too
    for _, worker in ipairs(d:ask({ command = "status" }).workers) do
      os.execute("kill -9 " .. worker.pid)
    end
    condition.wait_until(function()
      local other <close> = connect(d)
      return other and says(other, "again") == "old 1 again"
    end)
    place:remove()
  end)

  it("makes one to try things out, which stays the same over reloads", function()
    local d <close>, place = start { tls = '"auto"' }
    local function look()
      local conn <close> = assert(connect(d, { verify = "none" }))
      return conn:tls().certificate.fingerprint
    end
    local first = look()
    assert.is_true(d:reload().ok)
    assert.equal(first, look())
    place:remove()
  end)

  it("does not start with a bad pair, and says which file is bad", function()
    local place <close> = folder.new()
    put(place, "www", issue "first.test")
    local function check(tls)
      place:write("count.lua", daemon.COUNTER)
      place:write("moonwire.lua", SERVICE:format("count", "count", tls))
      local config = place.path .. "/moonwire.lua"
      local status, output, errors = process.run { moonwire.binary, "check", "-c", config }
      return status, output .. errors
    end
    local status, said = check '{ certificate = "www.pem", key = "www.key" }'
    assert.equal(0, status, said)
    status, said = check '{ certificate = "www.pem", key = "none.key" }'
    assert.equal(1, status)
    assert.matches('moonwire%.lua:1: service "count": tls: read [^ ]*none%.key: no such file', said)
    place:write("bad.pem", "nothing")
    status, said = check '{ certificate = "bad.pem", key = "www.key" }'
    assert.equal(1, status)
    assert.matches("bad%.pem", said)
    place:write("other.key", issue("other.test").key_pem)
    status, said = check '{ certificate = "www.pem", key = "other.key" }'
    assert.equal(1, status)
    assert.matches("other%.key", said)
    assert(process.run { "chmod", "644", place.path .. "/www.key" } == 0)
    status, said = check '{ certificate = "www.pem", key = "www.key" }'
    assert.equal(0, status)
    assert.matches("the key .*www%.key is open to everybody", said)
  end)

  it("tells of handshakes that come to nothing, and serves all others", function()
    local d <close>, place = start {}
    local conn <close> = assert(connect(d))
    local address = "tcp://" .. d:address("count", "tls"):match "//(.*)"
    local clear <close> = assert(net.connect(address, { read_timeout = 5 }))
    clear:write("GET / HTTP/1.1\r\n\r\n")
    clear:read_all()
    d:wait_for_log "service count: connection of 127%.0%.0%.1:%d+ came to nothing: "
    assert.equal("old 1 hello", says(conn, "hello"))
    local silent <close> = assert(net.connect(address))
    assert.equal("old 2 hello", says(conn, "hello"))
    silent:close()
    place:remove()
  end)

  it("begins TLS in mid-stream with them", function()
    local place = folder.new()
    put(place, "www", issue "first.test")
    local d <close> = daemon.start {
      scripts = { ["count.lua"] = [[return function(conn)
        conn:read_line()
        conn:write("go on\n")
        assert(conn:start_tls())
        conn:write("hello\n")
      end]] },
      config = ('service "count" { script = "count.lua", listen = "tcp://127.0.0.1:0", '
        .. 'tls = { certificate = "%s/www.pem", key = "%s/www.key" } }'):format(place.path, place.path),
    }
    local conn <close> = assert(net.connect(d:address "count"))
    conn:write("STARTTLS\n")
    assert.equal("go on", conn:read_line())
    assert(conn:start_tls { authorities = ca.file })
    assert.equal("hello", conn:read_line())
    place:remove()
  end)

  it("keeps limits of time in the handshake, too", function()
    local place = folder.new()
    put(place, "www", issue "first.test")
    local d <close> = daemon.start {
      scripts = { ["count.lua"] = daemon.COUNTER },
      config = 'service "count" { script = "count.lua", listen = "tls://127.0.0.1:0", '
        .. "limits = { idle = 0.1 }, tls = " .. TLS:format(place.path, place.path) .. " }",
    }
    local begun = core.now()
    local conn <close> = assert(net.connect("tcp://" .. d:address("count", "tls"):match "//(.*)"))
    conn:read_all()
    assert.is_true(core.now() - begun < 2)
    condition.wait_until(function()
      local all = 0
      for _, entry in ipairs(d:services "count") do all = all + entry.connections end
      return all == 0
    end)
    place:remove()
  end)
end)

describe("a connection of TLS", function()
  it("talks on through a hundred reloads", function()
    local d <close>, place = start {}
    local conns = {}
    for i = 1, 4 do
      conns[i] = assert(connect(d))
    end
    for round = 1, 100 do
      for i = 1, #conns do
        assert.equal(("old %d hello"):format(round), says(conns[i], "hello"))
      end
      local answer = d:reload()
      assert.is_true(answer.ok)
      assert.same({ 4, 0, 0 }, { answer.moved, answer.kept, answer.ended })
    end
    d.folder:write("count.lua", daemon.COUNTER:format "new")
    assert.is_true(d:reload().ok)
    for i = 1, #conns do
      assert.equal("new 101 hello", says(conns[i], "hello"))
      conns[i]:close()
    end
    place:remove()
  end)
end)

describe("certificates that are renewed", function()
  local function renew(d, place, name)
    put(place, "www", issue(name))
    condition.wait_until(function() return shown(d) == name end)
  end

  it("are noticed, and shown to those who come later", function()
    local d <close>, place = start {}
    local conn <close> = assert(connect(d))
    assert.equal("old 1 hello", says(conn, "hello"))
    renew(d, place, "second.test")
    d:wait_for_log "service count: certificates were renewed"
    renew(d, place, "third.test")
    assert.equal("old 2 hello", says(conn, "hello"))
    assert.equal(1, d:ask({ command = "status" }).generation)
    -- a reload reads them as well, and a worker that is started has the latest
    assert.is_true(d:reload().ok)
    assert.equal("third.test", shown(d))
    assert.equal("old 3 hello", says(conn, "hello"))
    place:remove()
  end)

  it("are not used when they are bad, and the log says why", function()
    local d <close>, place = start {}
    place:write("www.pem", "nonsense")
    d:wait_for_log "service count: changed certificates are not used, those before stay: .*www%.pem"
    assert.equal("first.test", shown(d))
    local answer = d:reload()
    assert.is_falsy(answer.ok)
    assert.equal("first.test", shown(d))
    renew(d, place, "second.test")
    place:remove()
  end)

  it("may be switched by a link", function()
    local place <close> = folder.new()
    for _, name in ipairs { "first.test", "second.test" } do
      local pair = issue(name)
      place:write("archive/" .. name .. "/cert.pem", pair.pem)
      place:write("archive/" .. name .. "/key.pem", pair.key_pem)
    end
    lfs.mkdir(place.path .. "/live")
    local function switch(name, way)
      for _, file in ipairs(way == "folder" and { "" } or { "/cert.pem", "/key.pem" }) do
        local link = place.path .. (way == "folder" and "/current" or "/live" .. file)
        assert(lfs.link(("%s/archive/%s%s"):format(place.path, name, file), link .. ".new", true))
        assert(os.rename(link .. ".new", link))
      end
    end
    for _, way in ipairs { "files", "folder" } do
      switch("first.test", way)
      local from = place.path .. (way == "folder" and "/current" or "/live")
      local tls = ('{ certificate = "%s/cert.pem", key = "%s/key.pem" }'):format(from, from)
      local d <close> = start { tls = tls }
      assert.equal("first.test", shown(d))
      switch("second.test", way)
      condition.wait_until(function() return shown(d) == "second.test" end)
    end
  end)
end)

describe("session tickets", function()
  for _, version in ipairs { "1.2", "1.3" } do
    it("of TLS " .. version .. " are good at all workers, over reloads and when one has died", function()
      local d <close>, place = start { workers = 2 }
      local port = math.tointeger(tonumber(d:address("count", "tls"):match ":(%d+)$"))
      local client <close> = python.start {
        port = port, ca = ca.file, name = "first.test", version = version, visits = 12, rounds = 3,
      }
      local function await(count)
        condition.wait_until(function() return #python.found(client) == count end, 10)
      end
      await(12)
      assert.is_true(d:reload().ok)
      client.stdin:write("go on\n")
      await(24)
      os.execute("kill -9 " .. d:ask({ command = "status" }).workers[1].pid)
      client.stdin:write("go on\n")
      await(36)
      for i, visit in ipairs(python.found(client)) do
        assert.equal("old 1 hello", visit.line, visit.error)
        assert.equal(i > 1, visit.resumed)
      end
      place:remove()
    end)
  end
end)
