local condition = require "spec.support.condition"
local limit = require "moonwire.http.limit"
local router = require "moonwire.http.router"
local web = require "spec.support.web"

local function site_with(options)
  local app = router.new()
  app:use(limit.rate(options))
  app:get("/", function(_, response) response:send "ok" end)
  app:get("/other", function(_, response) response:send "ok" end)
  return web.serve(app)
end

local function by_header(request)
  return request:header "x-key"
end

describe("a limit on requests", function()
  it("lets some through at once, and so many a second after that", function()
    local site <close> = site_with { rate = 20, burst = 3 }
    local refused = 0
    for _ = 1, 3 do
      assert.are.equal(200, site:get("/").status)
    end
    local answer = condition.wait_until(function()
      local answer = site:get "/other"
      refused = refused + 1
      return answer.status == 429 and answer
    end)
    assert.are.same({ "1", "429: too many requests\n" }, { answer.headers["retry-after"], answer.body })
    condition.wait_until(function() return site:get("/").status == 200 end)
  end)

  it("counts each client by itself, and nobody who has no key", function()
    local site <close> = site_with { rate = 0.01, key = by_header }
    for _ = 1, 3 do
      assert.are.equal(200, site:get("/").status)
    end
    for _, key in ipairs { "a", "b" } do
      assert.are.equal(200, site:get("/", { ["X-Key"] = key }).status)
      local answer = site:get("/", { ["X-Key"] = key })
      assert.are.same({ 429, "100" }, { answer.status, answer.headers["retry-after"] })
    end
  end)

  it("remembers no more clients than it may", function()
    local site <close> = site_with { rate = 0.01, key = by_header, max = 2 }
    for i = 1, 10 do
      assert.are.equal(200, site:get("/", { ["X-Key"] = tostring(i) }).status)
    end
    assert.are.equal(429, site:get("/", { ["X-Key"] = "10" }).status)
    assert.are.equal(200, site:get("/", { ["X-Key"] = "1" }).status)
  end)

  it("is refused without a rate", function()
    for _, options in ipairs { {}, { rate = 0 }, { rate = -1 }, { rate = 0 / 0 }, { rate = 1, burst = 0 },
      { rte = 1 } } do
      local ok, message = pcall(function() limit.rate(options) end)
      assert.is_false(ok)
      assert.matches("^spec/http/limit_spec.lua:%d+: bad argument #1 to 'rate'", message)
    end
  end)
end)
