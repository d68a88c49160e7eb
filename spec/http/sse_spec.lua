local condition = require "spec.support.condition"
local net = require "moonwire.net"
local router = require "moonwire.http.router"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local web = require "spec.support.web"

describe("events", function()
  it("are written as the standard has them", function()
    local site <close> = web.serve(function(request, response)
      local events <close> = response:sse { retry = 1.5 }
      events:send "one"
      events:send { event = "time", data = "two\nlines\r\nthree\rfour", id = "7" }
      events:send { data = { a = 1 } }
      events:send { data = "", retry = 0 }
      events:send { id = "" }
      events:comment " nothing"
      events:send(request:header "last-event-id" or "-")
    end)
    local answer = site:get("/", { ["Last-Event-ID"] = "41" })
    assert.are.equal("text/event-stream", answer.headers["content-type"])
    assert.are.equal("no-cache", answer.headers["cache-control"])
    assert.are.equal(table.concat {
      "retry: 1500\n\n", "data: one\n\n",
      "event: time\nid: 7\ndata: two\ndata: lines\ndata: three\ndata: four\n\n",
      'data: {"a":1}\n\n', "retry: 0\ndata: \n\n", "id: \n\n", ": nothing\n\n", "data: 41\n\n",
    }, answer.body)
  end)

  it("cannot be forged by what is in them", function()
    local problems = {}
    local site <close> = web.serve(function(_, response)
      local events <close> = response:sse()
      for _, event in ipairs {
        { event = "a\ndata: x" }, { event = "a\r" }, { id = "1\n" }, { id = "1\0" }, { event = 1 },
        { id = 1 },
        { retry = -1 }, { retry = "1" }, { evnt = "x" },
      } do
        local ok, message = pcall(function() events:send(event) end)
        problems[#problems + 1] = not ok
          and message:match "^spec/http/sse_spec.lua:%d+: bad argument #1 to 'send'"
      end
      local ok, message = pcall(function() events:comment "a\nb" end)
      problems[#problems + 1] = not ok and message:match "#1 to 'comment'"
    end)
    assert.are.equal(":\n\n", site:get("/").body)
    assert.are.equal(10, #problems)
    for i, problem in ipairs(problems) do
      assert.is_string(problem, i)
    end
  end)

  it("keep the connection alive while nothing happens", function()
    local heard = sync.event()
    local site <close> = web.serve(function(_, response)
      local events <close> = response:sse { keep_alive = 0.02 }
      heard:wait()
      events:send "end"
    end)
    local conn <close> = assert(net.connect("tcp://" .. site.address:gsub("^tcp://", "")))
    conn:write "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for _ = 1, 3 do
      assert(conn:read_until("\n:\n\n", 4096))
    end
    heard:set()
    assert.matches("data: end\n\n", assert(conn:read_all(4096)), 1, true)
  end)

  it("can be without that", function()
    local site <close> = web.serve(function(_, response)
      local events <close> = response:sse { keep_alive = false }
      task.sleep(0.05)
      events:send "end"
    end)
    assert.are.equal(":\n\ndata: end\n\n", site:get("/").body)
  end)

  it("end with the client", function()
    local ended
    local site <close> = web.serve(function(_, response)
      local events <close> = response:sse { keep_alive = 0.01 }
      local ending <const> = { __close = function() ended = true end }
      local guard <close> = setmetatable({}, ending) -- luacheck: ignore 211
      while events:send "x" do
        task.sleep(0.01)
      end
    end)
    local conn = assert(net.connect("tcp://" .. site.address:gsub("^tcp://", "")))
    conn:write "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert(conn:read_until("data: x", 4096))
    conn:close()
    condition.wait_until(function() return ended end)
  end)

  it("wait for a client that reads slowly, and are not mixed", function()
    local sent = 0
    local app = router.new()
    app:get("/", function(_, response)
      local events <close> = response:sse { keep_alive = 0.001 }
      local group <close> = task.group()
      for i = 1, 2 do
        group:spawn(function()
          for _ = 1, 200 do
            assert(events:send { event = tostring(i), data = ("x"):rep(20000) })
            sent = sent + 1
          end
        end)
      end
      group:wait()
    end)
    local site <close> = web.serve(app)
    local conn <close> = assert(net.connect("tcp://" .. site.address:gsub("^tcp://", "")))
    conn:write "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    local before
    condition.wait_until(function()
      local is_same = before == sent and sent > 0
      before = sent
      return is_same
    end)
    assert.is_true(sent < 400)
    local answer = web.parse(assert(conn:read_all(16 * 1024 * 1024)))
    local count = 0
    for event, data in answer.body:gmatch "event: (%d)\ndata: (x+)\n\n" do
      count = count + 1
      assert.is_true(#data == 20000 and #event == 1)
    end
    assert.are.equal(400, count)
  end)

  it("are refused with options that are none", function()
    local message
    local site <close> = web.serve(function(_, response)
      local _, first = pcall(function() response:sse { x = 1 } end)
      local _, second = pcall(function() response:sse { keep_alive = 0 } end)
      message = first .. second
      response:send()
    end)
    site:get "/"
    assert.matches("#1 to 'sse' %(unknown option 'x' %(known: keep_alive, retry%)", message)
    assert.matches("option 'keep_alive': seconds above 0, or false", message)
  end)
end)
