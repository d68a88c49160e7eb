local cookie = require "moonwire.http.cookie"
local router = require "moonwire.http.router"
local web = require "spec.support.web"

local function refusal(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end

describe("cookies of a request", function()
  it("are read, the first of each name", function()
    assert.are.same({ a = "1", b = "two", c = "x y", e = "", f = "1=2" },
      cookie.parse 'a=1; b="two"; a=3; c = x y ; ; d; e=;f=1=2')
    assert.are.same({}, cookie.parse(nil))
    assert.are.same({}, cookie.parse "=x; ;;")
  end)

  it("are found one by one", function()
    local field = 'xa=0; a.b=9; q=a=5; a=1; b="two"; a=3'
    assert.are.equal("1", cookie.find(field, "a"))
    assert.are.equal("two", cookie.find(field, "b"))
    assert.are.equal("9", cookie.find(field, "a.b"))
    assert.is_nil(cookie.find(field, "c"))
    assert.is_nil(cookie.find(nil, "a"))
  end)

  it("are the same, read whole or one by one", function()
    for _, field in ipairs { "a=1", " a = 1 ;b=2", "b=;a", "aa=1; a=2", "b=a=1", 'a="x', "a==", ";a=1;",
      "b=1 a=5; a=2",
      "x a=1", "a b=1; a=3", '"a=1' } do
      assert.are.equal(cookie.parse(field).a, cookie.find(field, "a"), field)
    end
  end)
end)

describe("a cookie that is set", function()
  it("is for the whole site, for no script, and for links from elsewhere", function()
    assert.are.equal("a=b; Path=/; HttpOnly; SameSite=Lax", cookie.encode("a", "b"))
  end)

  it("has the attributes that it is given", function()
    assert.are.equal("a=b; Path=/x; Domain=example.org; Max-Age=60; Secure; SameSite=None; Partitioned",
      cookie.encode("a", "b", {
        path = "/x", domain = "example.org", max_age = 60, secure = true, http_only = false,
        same_site = "none",
        partitioned = true,
      }))
    assert.are.equal("__Host-a=; Path=/; Secure; HttpOnly; SameSite=Strict",
      cookie.encode("__Host-a", "", { secure = true, same_site = "strict" }))
  end)

  it("is removed where it was set", function()
    assert.are.equal("a=; Path=/x; Max-Age=0; HttpOnly; SameSite=Lax; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
      cookie.encode_removal("a", { path = "/x", max_age = 5 }))
  end)

  it("is refused when browsers would drop it or others read it differently", function()
    for _, value in ipairs { "a b", "a;b", 'a"b', "a,b", "a\\b", "a\r\nSet-Cookie: x=y", "\0", "ä",
      "\127" } do
      assert.matches("^spec/http/cookie_spec.lua.*#2 to 'encode'",
        refusal(function() cookie.encode("a", value) end))
    end
    for _, name in ipairs { "", "a b", "a=b", "a;b", "ä", "a\r\n" } do
      assert.matches("#1 to 'encode' %(no name", refusal(cookie.encode, name, "x"))
    end
    for problem, options in pairs {
      ["asks for secure"] = { same_site = "none" },
      ["partitioned asks"] = { partitioned = true },
      ["no path"] = { path = "/x; Domain=evil.example" },
      ["no domain"] = { domain = "example.org; Secure" },
      ["at most 34560000"] = { max_age = 34560001 },
      ["unknown option 'httponly'"] = { httponly = true },
      ["one of lax, none, strict"] = { same_site = "Lax" },
    } do
      assert.matches("#3 to 'encode' .*" .. problem, refusal(cookie.encode, "a", "b", options))
    end
    assert.matches("__Secure%-", refusal(cookie.encode, "__Secure-a", "b"))
    for _, options in ipairs { {}, { secure = true, path = "/x" },
      { secure = true, domain = "example.org" } } do
      assert.matches("__Host%-", refusal(cookie.encode, "__host-a", "b", options))
    end
    assert.matches("4097 bytes", refusal(cookie.encode, "a", ("x"):rep(4096)))
  end)
end)

describe("a response", function()
  it("sets and removes cookies, and a request has them", function()
    local app = router.new()
    app:get("/", function(request, response)
      response:cookie("a", "1", { max_age = 5 }):cookie("b", "2"):clear_cookie("c", { path = "/x" })
      response:send(("%s %s %s"):format(request:cookie("x"), request:cookies().y, request:cookie("z")))
    end)
    app:get("/bad", function(_, response)
      response:cookie("a", "1 2")
    end)
    local site <close> = web.serve(app)
    local answer = site:get("/", { cookie = "x=1; y=2" })
    assert.are.equal("1 2 nil", answer.body)
    assert.are.equal(table.concat({
      "a=1; Path=/; Max-Age=5; HttpOnly; SameSite=Lax", "b=2; Path=/; HttpOnly; SameSite=Lax",
      "c=; Path=/x; Max-Age=0; HttpOnly; SameSite=Lax; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    }, "\n"), answer.headers["set-cookie"])
  end)

  it("blames the line that sets one wrongly", function()
    local message
    local site <close> = web.serve(function(_, response)
      message = refusal(function() response:cookie("a", "1 2") end)
        .. "\n" .. refusal(function() response:clear_cookie("a b") end)
      response:send()
    end)
    site:get("/")
    assert.matches("^spec/http/cookie_spec.lua:%d+: bad argument #2 to 'cookie' %(a cookie has no blanks",
      message)
    assert.matches("\nspec/http/cookie_spec.lua:%d+: bad argument #1 to 'clear_cookie' %(no name", message)
  end)
end)
