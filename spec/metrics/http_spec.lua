-- scripts/metrics.lua, as clients and as those who are none see it.
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"

local EXPOSITION <const> = "text/plain; version=0.0.4; charset=utf-8"

local server

-- What the server answers to these bytes.
local function answer_to(bytes)
  local conn <close> = assert(net.connect(server.address))
  conn:write(bytes)
  return assert(conn:read_all())
end

local function request(method, target, fields)
  return ("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n"):format(method, target, fields or "")
end

local function expect_status(status, bytes)
  local answer = answer_to(bytes)
  assert.are.equal(status, tonumber(answer:match("^HTTP/1%.1 (%d%d%d) ")), ("%q: %s"):format(bytes, answer))
  assert.is_truthy(answer:find("\r\nConnection: close\r\n", 1, true), answer)
  local head, body = answer:match("^(.-\r\n)\r\n(.*)$")
  if not bytes:find("^HEAD") and status ~= 204 then
    assert.are.equal(#body, tonumber(head:match("\r\nContent%-Length: (%d+)\r\n")))
  end
  return head, body
end

describe("scripts/metrics.lua", function()
  setup(function()
    server = moonwire.serve { script = "scripts/metrics.lua" }
  end)

  teardown(function()
    server:stop()
  end)

  it("answers curl", function()
    local status, output, errors = process.run {
      "curl", "-sS", "-w", "%{http_code} %{content_type}",
      ("http://127.0.0.1:%d/metrics"):format(server.port),
    }
    assert.are.equal(0, status, errors)
    assert.are.equal("200 " .. EXPOSITION, output)
  end)

  it("answers GET and HEAD", function()
    local head, body = expect_status(200, request("GET", "/metrics"))
    assert.is_truthy(head:find("\r\nContent-Type: " .. EXPOSITION, 1, true), head)
    assert.is_truthy(head:find("\r\nCache-Control: no-store\r\n", 1, true), head)
    local other_head, nothing = expect_status(200, request("HEAD", "/metrics"))
    assert.are.equal("", nothing)
    assert.are.equal((head:gsub("Date: [^\r]+", "")), (other_head:gsub("Date: [^\r]+", "")))
    assert.are.equal(body, select(2, expect_status(200, "GET /metrics HTTP/1.0\r\n\r\n")))
  end)

  it("answers one after the other on a connection", function()
    local answer = answer_to("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" .. request("GET", "/metrics"))
    assert.are.equal(2, select(2, answer:gsub("HTTP/1%.1 200 OK", "")))
  end)

  it("takes queries, absolute targets and what clients send along", function()
    expect_status(200, request("GET", "/metrics?name=x"))
    expect_status(200, request("GET", "http://x/metrics"))
    expect_status(200, request("GET", "/metrics", "Accept: */*;q=0.1 \r\nContent-Length: 0\r\nEmpty:\r\n"))
    -- A body of GET means nothing (RFC 9110, section 9.3.1).
    expect_status(200, request("GET", "/metrics", "Content-Length: 5\r\n") .. "hello")
    expect_status(200, request("GET", "/metrics", "Transfer-Encoding: chunked\r\n") .. "0\r\n\r\n")
  end)

  it("has nothing else", function()
    for _, target in ipairs { "/", "/metrics/", "/metricsx", "/Metrics", "http://x" } do
      expect_status(404, request("GET", target))
    end
  end)

  it("refuses other methods, and says which it takes", function()
    for _, method in ipairs { "POST", "PUT", "DELETE", "get" } do
      local head = expect_status(405, request(method, "/metrics"))
      assert.is_truthy(head:find("\r\nAllow: GET, HEAD, OPTIONS\r\n", 1, true), head)
    end
    expect_status(204, request("OPTIONS", "/metrics"))
  end)

  it("refuses what is odd, with the status that says most", function()
    for _, bytes in ipairs {
      "GET /metrics HTTP/1.1\r\n\r\n", "GET /metrics HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
      "GET /metrics\r\n\r\n", "GET  /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
      " GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "GET /metrics HTTP/1.1 \r\nHost: x\r\n\r\n",
      "GET /met\1rics HTTP/1.1\r\nHost: x\r\n\r\n", "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET metrics HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://y/metrics HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /metrics HTTP/1.1\r\nHost : x\r\n\r\n", "GET /metrics HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
      "GET /metrics HTTP/1.1\r\nHost: x\0\r\n\r\n", "GET /metrics HTTP/1.1\r\nHost: x\ny: z\r\n\r\n",
      "GET /metrics HTTP/1.1\r\nHost: x\ry: z\r\n\r\n",
      "GET /metrics HTTP/1.1\r\nHost: x\r\nno field\r\n\r\n",
      "GET /metrics HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
      request("GET", "/metrics", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") .. "0\r\n\r\n",
    } do
      expect_status(400, bytes)
    end
    expect_status(431, request("GET", "/metrics", "Long: " .. ("x"):rep(8192) .. "\r\n"))
    expect_status(505, "GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n")
  end)

  it("says nothing to who says nothing, or stops in the middle", function()
    local conn <close> = assert(net.connect(server.address))
    conn:write("GET /metrics HTTP/1.1\r\nHost: x\r\n")
    conn:shutdown_write()
    assert.are.equal("", conn:read_all())
  end)

  it("counts what services count", function()
    local both <close> = moonwire.serve [[
      local metrics = require "moonwire.metrics"
      local visits = metrics.counter("visits_total", "Visits.")
      return function(conn)
        visits:add(1)
        conn:write(metrics.text())
      end]]
    for count = 1, 3 do
      local conn <close> = assert(net.connect(both.address))
      assert.is_truthy(conn:read_all():find(('visits_total{service="script"} %d\n'):format(count), 1, true))
    end
  end)
end)
