local cors = require "moonwire.http.cors"
local router = require "moonwire.http.router"
local web = require "spec.support.web"

local PREFLIGHT <const> = { ["Access-Control-Request-Method"] = "PUT" }

local function site_with(options)
  local app = router.new()
  app:use(cors.new(options))
  app:get("/", function(_, response) response:send("hello") end)
  return web.serve(app)
end

local function from(origin, more)
  local headers = { Origin = origin }
  for name, value in pairs(more or {}) do
    headers[name] = value
  end
  return headers
end

describe("pages of other origins", function()
  it("may read when they are on the list", function()
    local site <close> = site_with { origins = { "https://A.example" }, expose = { "x-count" } }
    local answer = site:get("/", from "https://a.example")
    assert.are.equal("hello", answer.body)
    assert.are.equal("https://a.example", answer.headers["access-control-allow-origin"])
    assert.are.equal("x-count", answer.headers["access-control-expose-headers"])
    assert.are.equal("Origin", answer.headers.vary)
    assert.is_nil(answer.headers["access-control-allow-credentials"])
  end)

  it("may not read otherwise, and caches learn that it depends", function()
    local site <close> = site_with { origins = { "https://a.example" }, credentials = true }
    for _, origin in ipairs { "https://b.example", "null", "http://a.example", "https://a.example.evil",
      "*" } do
      local answer = site:get("/", from(origin))
      assert.are.equal("hello", answer.body)
      assert.is_nil(answer.headers["access-control-allow-origin"], origin)
      assert.is_nil(answer.headers["access-control-allow-credentials"], origin)
      assert.are.equal("Origin", answer.headers.vary)
    end
    assert.are.equal("Origin", site:get("/").headers.vary)
  end)

  it("may all read when that is said", function()
    local site <close> = site_with { origins = "*" }
    local answer = site:get("/", from "https://b.example")
    assert.are.equal("*", answer.headers["access-control-allow-origin"])
    assert.is_nil(answer.headers.vary)
  end)

  it("are judged by a function", function()
    local site <close> = site_with {
      origins = function(origin, request) return origin:find "%.example$" ~= nil and request.path == "/" end,
      credentials = true,
    }
    local answer = site:get("/", from "https://c.example")
    assert.are.equal("https://c.example", answer.headers["access-control-allow-origin"])
    assert.are.equal("true", answer.headers["access-control-allow-credentials"])
    assert.is_nil(site:get("/", from "https://c.org").headers["access-control-allow-origin"])
  end)

  it("ask first, and are told what they may", function()
    local site <close> = site_with {
      origins = { "https://a.example" }, methods = { "GET", "PUT" }, headers = { "authorization", "x-y" },
      max_age = 5,
    }
    local answer = site:request("OPTIONS", "/", from("https://a.example", PREFLIGHT))
    assert.are.equal(204, answer.status)
    assert.are.equal("GET, PUT", answer.headers["access-control-allow-methods"])
    assert.are.equal("authorization, x-y", answer.headers["access-control-allow-headers"])
    assert.are.equal("5", answer.headers["access-control-max-age"])
    local other = site:request("OPTIONS", "/", from("https://b.example", PREFLIGHT))
    assert.are.equal(204, other.status)
    assert.is_nil(other.headers["access-control-allow-methods"])
    assert.are.equal("GET, HEAD, OPTIONS",
      site:request("OPTIONS", "/", from "https://a.example").headers.allow)
  end)

  it("never get credentials together with everybody", function()
    for problem, options in pairs {
      ["credentials and origins"] = { origins = "*", credentials = true },
      ["a list, \"%*\" or a function"] = {},
      ["'a.example' is none"] = { origins = { "a.example" } },
      ["is none, as in"] = { origins = { "https://a.example/" } },
      ["'methods': 'a b' is no name"] = { origins = "*", methods = { "a b" } },
      ["'headers': '1\r\n' is no"] = { origins = "*", headers = { "1\r\n" } },
      ["unknown option"] = { origin = "*" },
    } do
      local ok, message = pcall(function() cors.new(options) end)
      assert.is_false(ok)
      assert.matches("^spec/http/cors_spec.lua:%d+: bad argument #1 to 'new' .*" .. problem, message)
    end
  end)
end)

describe("requests that pages of other sites make", function()
  local function status(method, headers, options)
    local app = router.new()
    app:use(cors.protect(options))
    app:any("/", function(_, response) response:send "ok" end)
    local site <close> = web.serve(app)
    return site:request(method, "/", headers).status
  end

  it("are refused when they may change something", function()
    for expected, list in pairs {
      [403] = {
        { ["Sec-Fetch-Site"] = "cross-site" },
        { ["Sec-Fetch-Site"] = "same-site", Origin = "http://site.example" },
        { Origin = "http://evil.example" }, { Origin = "null" }, { Origin = "https://site.example" },
        { Origin = "http://site.example:8080" },
      },
      [200] = {
        {}, { ["Sec-Fetch-Site"] = "same-origin", Origin = "http://site.example" },
        { ["Sec-Fetch-Site"] = "none" },
        { Origin = "http://site.example" },
      },
    } do
      for _, headers in ipairs(list) do
        assert.are.equal(expected, status("POST", headers))
        assert.are.equal(200, status("GET", headers))
      end
    end
  end)

  it("are let through from sites that are trusted", function()
    local options <const> = { origins = { "https://app.example" } }
    assert.are.equal(200, status("PUT",
      { Origin = "https://app.example", ["Sec-Fetch-Site"] = "cross-site" }, options))
    assert.are.equal(403, status("PUT", { Origin = "https://x.example", ["Sec-Fetch-Site"] = "cross-site" },
      options))
    assert.is_false((pcall(cors.protect, { origins = {} })))
  end)
end)
