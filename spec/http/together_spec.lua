-- Middleware that changes responses, one behind the other, whatever the order.
local compress = require "moonwire.compress"
local http = require "moonwire.http"
local web = require "spec.support.web"

local KEY <const> = ("k"):rep(32)

local function site_with(...)
  local app = http.router()
  for _, middleware in ipairs { ... } do
    app:use(middleware)
  end
  app:get("/whole", function(request, response)
    request.session.seen = true
    response:html(("<p>hello</p>"):rep(1000))
  end)
  app:get("/pieces", function(request, response)
    request.session.seen = true
    response:header("Content-Type", "text/html")
    for _ = 1, 10 do
      response:write(("<p>hello</p>"):rep(100))
    end
  end)
  app:get("/events", function(request, response)
    request.session.seen = true
    local events <close> = response:sse()
    events:send "x"
  end)
  app:get("/nothing", function(request, response)
    request.session.seen = true
    response:redirect "/"
  end)
  return web.serve(app)
end

describe("sessions, compression and CORS", function()
  for name, order in pairs { ["one way"] = { 1, 2, 3 }, ["and the other"] = { 3, 2, 1 } } do
    it("do each their work, " .. name .. " round", function()
      local all <const> = {
        http.session { keys = { KEY } }, http.compress(), http.cors { origins = "*" },
      }
      local site <close> = site_with(all[order[1]], all[order[2]], all[order[3]])
      for _, path in ipairs { "/whole", "/pieces", "/events", "/nothing" } do
        local answer = site:get(path, { ["Accept-Encoding"] = "gzip", Origin = "https://a.example" })
        assert.matches("^session=[%w_-]+%.", answer.headers["set-cookie"], nil, path)
        assert.are.equal("*", answer.headers["access-control-allow-origin"])
        if path == "/whole" or path == "/pieces" then
          assert.are.equal("gzip", answer.headers["content-encoding"])
          assert.are.equal(("<p>hello</p>"):rep(1000), compress.decode("gzip", answer.body))
        end
      end
    end)
  end
end)

describe("two sessions", function()
  it("are two", function()
    local app = http.router()
    app:use(http.session { keys = { KEY }, name = "a" })
    app:use(function(next_handler)
      return function(request, response, ctx)
        request.first = request.session
        return next_handler(request, response, ctx)
      end
    end)
    app:use(http.session { keys = { KEY }, name = "b" })
    app:use(http.session { keys = { KEY }, name = "c" })
    app:get("/", function(request, response)
      request.session.n = 1
      response:send "x"
    end)
    local site <close> = web.serve(app)
    for _ = 1, 2 do
      local fields = site:get("/").headers["set-cookie"]
      assert.matches("c=[%w_-]+%.", fields)
      assert.matches("b=[%w_-]+%.", fields)
    end
  end)
end)
