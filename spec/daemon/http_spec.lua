-- HTTP through reloads: between two requests a connection is at a checkpoint.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local net = require "moonwire.net"
local task = require "moonwire.task"

local RELOADS <const> = 100
local CONNECTIONS <const> = 30

local SERVICE <const> = [[
local http = require "moonwire.http"
local task = require "moonwire.task"
return http.service(function(request, response)
  if request.path == "/slow" then
    task.sleep(%s)
  end
  response:send("%s " .. (request:read_all() or ""))
end)
]]

local function service(version, slow)
  return SERVICE:format(slow or 0.01, version)
end

-- One exchange on a connection: the version that has answered. Raises for anything but the right answer.
local function exchange(conn, count)
  local body = ("%d"):format(count)
  local path = count % 7 == 0 and "/slow" or "/"
  local message = "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s"
  assert(conn:write(message:format(path, #body, body)))
  local head = assert(conn:read_until("\r\n\r\n"))
  assert(head:find("^HTTP/1.1 200 OK\r\n") and not head:find("\r\nConnection:"), head)
  local answer = assert(conn:read(tonumber(head:match("Content%-Length: (%d+)"))))
  local version, echoed = answer:match("^(%d+) (%d+)$")
  assert(echoed == body)
  return tonumber(version)
end

local function client(d, seen, stop)
  return task.spawn(function()
    local conn <close> = assert(net.connect(d:address "web"))
    local count = 0
    repeat
      count = count + 1
      local version = exchange(conn, count)
      assert(version >= seen.last, "an older version answers")
      task.sleep(0.002)
    until stop.now
    return exchange(conn, 1), count
  end)
end

describe("an HTTP service", function()
  it("goes through a hundred reloads: no request fails, no connection is closed, the next meets new code",
    function()
      local d <close> = daemon.start { scripts = { ["web.lua"] = service(0) } }
      local clients, stop = {}, { now = false }
      for i = 1, CONNECTIONS do
        clients[i] = client(d, { last = 0 }, stop)
      end
      for version = 1, RELOADS do
        d.folder:write("web.lua", service(version))
        local answer = d:reload()
        assert.is_true(answer.ok, answer.error)
        assert.equal(0, answer.ended)
      end
      stop.now = true
      local sum = 0
      for _, one in ipairs(clients) do
        local version, count = one:join()
        assert.equal(RELOADS, version, count)
        sum = sum + count
      end
      assert.is_true(sum > RELOADS * 5)
      condition.wait_until(function() return #d:services "web" == 2 end)
    end)

  it("answers a request in progress with the code that it met, and the next one with the new", function()
    local d <close> = daemon.start { workers = 1, scripts = { ["web.lua"] = service(1, 0.3) } }
    local conn <close> = assert(net.connect(d:address "web"))
    local slow = task.spawn(exchange, conn, 7)
    task.sleep(0.05)
    d.folder:write("web.lua", service(2))
    assert.is_true(d:reload().ok)
    assert.equal(1, (slow:join()))
    assert.equal(2, exchange(conn, 1))
  end)

  it("closes connections that rest when it stops, and counts them until then", function()
    local d <close> = daemon.start { workers = 1, scripts = { ["web.lua"] = service(1) } }
    local conn <close> = assert(net.connect(d:address "web"))
    exchange(conn, 1)
    assert.equal(1, d:services("web")[1].connections)
    d:configure('service "other" { script = "web.lua", listen = "tcp://127.0.0.1:0" }\n')
    assert.is_true(d:reload().ok)
    assert.equal("eof", select(2, conn:read_some()))
  end)

  it("holds the limits of the config: what is silent for too long is closed", function()
    local d <close> = daemon.start {
      workers = 1, scripts = { ["web.lua"] = service(1) },
      config = 'service "web" { script = "web.lua", listen = "tcp://127.0.0.1:0", limits = { idle = 0.1 } }',
    }
    local conn <close> = assert(net.connect(d:address "web"))
    exchange(conn, 1)
    assert.equal("eof", select(2, conn:read_some()))
  end)
end)
