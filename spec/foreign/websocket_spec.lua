-- WebSockets with Chromium and python3-autobahn. python3-websockets and ws of Node are in spec/websocket.
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local process = require "spec.support.process"
local raw = require "spec.websocket.raw"
local server = require "moonwire.http.server"
local sync = require "moonwire.sync"
local websocket = require "moonwire.websocket"

local AUTOBAHN <const> = "spec/foreign/websocket_autobahn.py"

describe("WebSockets and python3-autobahn", function()
  it("talk to each other when we serve", function()
    local listener <close> = raw.serve { deflate = true, protocols = { "echo" } }
    local _, output, errors = process.run { "/usr/bin/python3", AUTOBAHN, "talk", raw.url(listener),
      seconds = 30 }
    assert.equal("good\n", output, errors)
  end)

  it("talk to each other when they serve", function()
    local peer <close> = process.start { "/usr/bin/python3", AUTOBAHN, "serve" }
    local port = condition.wait_until(function() return peer:output():match "%d+" end, 20)
    for _, deflate in ipairs { false, true, { context = false, peer_context = false } } do
      local ws <close> = assert(websocket.connect(("ws://127.0.0.1:%s/"):format(port), {
        deflate = deflate, protocols = { "echo" },
      }))
      assert.equal(deflate ~= false, ws:is_compressed())
      for _, message in ipairs { "", "größe κόσμε", ("x"):rep(126), ("some text "):rep(50000) } do
        assert(ws:send(message))
        assert.is_true(ws:receive() == message)
      end
      assert(ws:send("\xff\0", "binary"))
      assert.same({ "\xff\0", "binary" }, { ws:receive() })
      assert.is_true(ws:close(3001, "enough"))
    end
  end)
end)

-- Serves the page and what it talks to; what it reports comes into the queue.
local function serve_page(reports)
  local file <close> = assert(io.open "spec/foreign/websocket_page.html")
  local page = file:read "a"
  local handlers = {}
  handlers["/"] = function(_, response)
    response:header("Content-Type", "text/html; charset=utf-8"):send(page)
  end
  handlers["/report"] = function(request, response)
    reports:push(request:read_all())
    response:send "thanks"
  end
  handlers["/echo"] = function(request, response)
    local ws = assert(websocket.accept(request, response, { deflate = true, protocols = { "echo" } }))
    for message, kind in ws:messages() do
      ws:send(message, kind)
    end
  end
  handlers["/push"] = function(request, response)
    local ws = assert(websocket.accept(request, response, { deflate = { context = false, threshold = 0 } }))
    for i = 1, 20 do
      ws:send("number " .. i)
    end
    ws:ping "are you there?"
    ws:close(4000, "that was all")
  end
  return assert(server.serve("tcp://127.0.0.1:0", function(request, response)
    local handler = handlers[request.path]
    if handler then
      return handler(request, response)
    end
    response:status(404):send "nothing"
  end))
end

describe("WebSockets and Chromium", function()
  it("talk to each other", function()
    local reports = sync.queue(1)
    local listener <close> = serve_page(reports)
    local home <close> = folder.new()
    local browser <close> = process.start {
      "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
      "--user-data-dir=" .. home.path, "http://" .. listener:local_address() .. "/",
      env = { HOME = home.path },
    }
    local report = reports:pop(60)
    assert.is_truthy(report, browser:errors())
    local numbers = {}
    for i = 1, 20 do
      numbers[i] = "number " .. i
    end
    assert.equal(table.concat({
      "protocol echo", "extensions permessage-deflate", "hello", "0 255 254", "long text true",
      "closed 3001 true",
      table.concat(numbers, ","), "closed 4000 that was all true", "refused 1006",
    }, "\n"), report)
  end)
end)
