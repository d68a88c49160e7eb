local codec = require "moonwire.codec"
local router = require "moonwire.http.router"
local session = require "moonwire.http.session"
local web = require "spec.support.web"

local KEY <const>, OTHER <const> = ("k"):rep(32), ("o"):rep(40)

local function site_with(options)
  local app = router.new()
  app:use(session.new(options))
  app:get("/count", function(request, response)
    request.session.count = (request.session.count or 0) + 1
    response:json(request.session)
  end)
  app:get("/show", function(request, response)
    response:json(request.session)
  end)
  app:get("/stream", function(request, response)
    request.session.streamed = true
    response:write("a")
    response:write("b")
  end)
  app:get("/leave", function(request, response)
    request.session = nil
    response:redirect("/")
  end)
  app:get("/fill", function(request, response)
    request.session.text = ("x"):rep(4000)
    response:send()
  end)
  app:get("/odd", function(request, response)
    request.session.fn = print
    response:send()
  end)
  app:get("/token", function(request, response)
    response:send(session.token(request))
  end)
  app:post("/check", function(request, response)
    response:send(tostring(session.is_token(request, request:read_all())))
  end)
  return web.serve(app)
end

-- The cookie that an answer sets, as the browser sends it back.
local function cookie_of(answer)
  return answer.headers["set-cookie"]:match("^([^;]+)")
end

for _, encrypt in ipairs { false, true } do
  describe(encrypt and "an encrypted session" or "a signed session", function()
    it("comes back when it was changed", function()
      local site <close> = site_with { keys = { KEY }, encrypt = encrypt }
      local first = site:get "/count"
      assert.are.equal('{"count":1}', first.body)
      assert.matches("^session=[%w_.-]+; Path=/; HttpOnly; SameSite=Lax$", first.headers["set-cookie"])
      local second = site:get("/count", { cookie = cookie_of(first) })
      assert.are.equal('{"count":2}', second.body)
      local third = site:get("/show", { cookie = "other=x; " .. cookie_of(second) })
      assert.are.equal('{"count":2}', third.body)
      assert.is_nil(third.headers["set-cookie"])
    end)

    it("is not there at first, and then no cookie is set", function()
      local site <close> = site_with { keys = { KEY }, encrypt = encrypt }
      local answer = site:get "/show"
      assert.are.equal("{}", answer.body)
      assert.is_nil(answer.headers["set-cookie"])
    end)

    it("is empty when anything was changed in it", function()
      local site <close> = site_with { keys = { KEY }, encrypt = encrypt }
      local token = cookie_of(site:get "/count"):sub(#"session=" + 1)
      for at = 1, #token do
        local byte = token:sub(at, at) == "A" and "B" or "A"
        local changed = token:sub(1, at - 1) .. byte .. token:sub(at + 1)
        local body = site:get("/show", { cookie = "session=" .. changed }).body
        assert.are.equal("{}", body, changed)
      end
      for _, odd in ipairs { "", ".", "a", "a.b", token .. "A", token .. ".A", "AAAA", ("A"):rep(3000), "."
        .. token } do
        assert.are.equal("{}", site:get("/show", { cookie = "session=" .. odd }).body, odd)
      end
    end)

    it("is of its name and of its kind", function()
      local token
      do
        local site <close> = site_with { keys = { KEY }, encrypt = encrypt }
        token = cookie_of(site:get "/count"):sub(#"session=" + 1)
      end
      do
        local site <close> = site_with { keys = { KEY }, encrypt = encrypt, name = "other" }
        assert.are.equal("{}", site:get("/show", { cookie = "other=" .. token }).body)
      end
      local site <close> = site_with { keys = { KEY }, encrypt = not encrypt }
      assert.are.equal("{}", site:get("/show", { cookie = "session=" .. token }).body)
    end)

    it("goes on when keys change", function()
      local old
      do
        local site <close> = site_with { keys = { KEY }, encrypt = encrypt }
        old = cookie_of(site:get "/count")
      end
      do
        local site <close> = site_with { keys = { OTHER, KEY }, encrypt = encrypt }
        assert.are.equal('{"count":1}', site:get("/show", { cookie = old }).body)
        old = cookie_of(site:get("/count", { cookie = old }))
      end
      local site <close> = site_with { keys = { OTHER }, encrypt = encrypt }
      assert.are.equal('{"count":2}', site:get("/show", { cookie = old }).body)
    end)

    it("is over after its time, and is renewed when half of it has passed", function()
      local site <close> = site_with { keys = { KEY }, encrypt = encrypt, max_age = 100 }
      local cookie = cookie_of(site:get "/count")
      local function show(seconds_later)
        local time <const> = os.time
        os.time = function() return time() + seconds_later end -- luacheck: ignore 122
        local answer = site:get("/show", { cookie = cookie })
        os.time = time -- luacheck: ignore 122
        return answer.body .. (answer.headers["set-cookie"] or "")
      end
      assert.are.equal('{"count":1}', show(40))
      assert.matches('^{"count":1}session=[%w_-]+', show(60))
      assert.matches("^{}session=; .*Max%-Age=0", show(101))
    end)
  end)
end

describe("a session", function()
  it("can be read in a cookie that is signed, and not in one that is encrypted", function()
    for encrypt, expected in pairs { [false] = '{"count":1}', [true] = false } do
      local site <close> = site_with { keys = { KEY }, encrypt = encrypt }
      local text = cookie_of(site:get "/count"):match("^session=([%w_-]+)")
      assert.are.equal(expected, codec.base64url_decode(text):match("{.*}") or false)
    end
  end)

  it("is saved before a response that streams", function()
    local site <close> = site_with { keys = { KEY } }
    local answer = site:get "/stream"
    assert.are.equal("ab", answer.body)
    assert.are.equal('{"streamed":true}', site:get("/show", { cookie = cookie_of(answer) }).body)
  end)

  it("ends when it is taken away", function()
    local site <close> = site_with { keys = { KEY } }
    local cookie = cookie_of(site:get "/count")
    assert.matches("^session=; .*Max%-Age=0", site:get("/leave", { cookie = cookie }).headers["set-cookie"])
    assert.is_nil(site:get("/leave").headers["set-cookie"])
  end)

  it("has the attributes of its cookie", function()
    local site <close> = site_with {
      keys = { KEY }, name = "__Host-s", secure = true, persistent = true, max_age = 60, same_site = "strict",
    }
    assert.matches("^__Host%-s=[^;]+; Path=/; Max%-Age=60; Secure; HttpOnly; SameSite=Strict$",
      site:get("/count").headers["set-cookie"])
  end)

  it("of more than a cookie holds, or of what JSON has not, is an error", function()
    local site <close> = site_with { keys = { KEY } }
    assert.are.equal(500, site:get("/fill").status)
    assert.are.equal(500, site:get("/odd").status)
    assert.are.equal(200, site:get("/count").status)
  end)

  it("has tokens against forged requests, each good as long as the session is", function()
    local site <close> = site_with { keys = { KEY } }
    local first = site:get "/token"
    local cookie = cookie_of(first)
    local second = site:get("/token", { cookie = cookie })
    assert.is_nil(second.headers["set-cookie"])
    assert.are_not.equal(first.body, second.body)
    local function check(token, own)
      return site:request("POST", "/check", { cookie = own }, token).body
    end
    assert.are.equal("true", check(first.body, cookie))
    assert.are.equal("true", check(second.body, cookie))
    assert.are.equal("false", check(first.body, cookie_of(site:get "/token")))
    assert.are.equal("false", check(first.body, nil))
    for _, odd in ipairs { "", ".", "a.b", first.body .. "x", "x" .. first.body,
      (first.body:gsub("%..*", ".")) } do
      assert.are.equal("false", check(odd, cookie), odd)
    end
  end)

  it("is refused with options that do not do", function()
    for problem, options in pairs {
      ["'keys': a list with one key"] = {}, ["keys%[1%]: a string of at least 32"] = { keys = { "short" } },
      ["keys%[2%]"] = { keys = { KEY, 7 } }, ["unknown option 'x'"] = { keys = { KEY }, x = 1 },
      ["no name of a cookie"] = { keys = { KEY }, name = "a b" },
      ["__Host%-"] = { keys = { KEY }, name = "__Host-a", path = "/x" },
      ["max_age: at most"] = { keys = { KEY }, persistent = true, max_age = 1 << 29 },
    } do
      local ok, message = pcall(function() session.new(options) end)
      assert.is_false(ok)
      assert.matches("^spec/http/session_spec.lua:%d+: bad argument #1 to 'new' .*" .. problem, message)
    end
    assert.is_false((pcall(session.token, {})))
    assert.is_false(session.is_token({}, "a.b"))
  end)
end)
