local router = require "moonwire.http.router"
local web = require "spec.support.web"

local function say(text)
  return function(request, response)
    local names = {}
    for name, value in pairs(request.parameters or {}) do
      names[#names + 1] = ("%s=%s:%s"):format(name, math.type(value) or "text", value)
    end
    table.sort(names)
    response:send(text .. " " .. table.concat(names, " "))
  end
end

-- A middleware that leaves its mark in the response.
local function mark(text)
  return function(next_handler)
    return function(request, response, ctx)
      response:add_header("X-Mark", text)
      return next_handler(request, response, ctx)
    end
  end
end

local function refusal(fn)
  local ok, message = pcall(fn)
  assert.is_false(ok)
  return message
end

describe("a router", function()
  local app

  before_each(function()
    app = router.new()
  end)

  local function expect(method, target, status, body)
    local site <close> = web.serve(app)
    local answer = site:request(method, target)
    assert.are.same({ status, body }, { answer.status, (answer.body:gsub(" $", "")) })
    return answer
  end

  describe("finds", function()
    it("a path without parameters", function()
      app:get("/", say "root")
      app:get("/a/b", say "a b")
      expect("GET", "/", 200, "root")
      expect("GET", "/a/b", 200, "a b")
      expect("GET", "/a/b?x=1", 200, "a b")
      expect("GET", "/a", 404, "404: not found\n")
      expect("GET", "/a/b/", 404, "404: not found\n")
    end)

    it("parameters, decoded", function()
      app:get("/users/:id/posts/:post", say "post")
      expect("GET", "/users/a%20b/posts/%C3%A4", 200, "post id=text:a b post=text:ä")
      expect("GET", "/users//posts/1", 404, "404: not found\n")
      expect("GET", "/users/1/posts/", 404, "404: not found\n")
    end)

    it("parameters of a kind, before those of none", function()
      app:get("/users/:id<integer>", say "number")
      app:get("/users/:name", say "name")
      expect("GET", "/users/007", 200, "number id=integer:7")
      expect("GET", "/users/x7", 200, "name name=text:x7")
      expect("GET", "/users/12345678901234567890", 200, "name name=text:12345678901234567890")
    end)

    it("kinds of the script's own", function()
      app = router.new { kinds = { day = function(text) return text:match("^%d%d%d%d%-%d%d%-%d%d$") end } }
      app:get("/log/:day<day>", say "log")
      expect("GET", "/log/2026-11-25", 200, "log day=text:2026-11-25")
      expect("GET", "/log/yesterday", 404, "404: not found\n")
    end)

    it("the rest of a path, which may be empty", function()
      app:get("/files/*path", say "file")
      app:get("/files/index", say "index")
      app:get("/files/:name/meta", say "meta")
      expect("GET", "/files/a/b%20c", 200, "file path=text:a/b c")
      expect("GET", "/files/", 200, "file path=text:")
      expect("GET", "/files/index", 200, "index")
      expect("GET", "/files/x/meta", 200, "meta name=text:x")
      expect("GET", "/files/x/other", 200, "file path=text:x/other")
      expect("GET", "/files", 404, "404: not found\n")
    end)

    it("text before parameters, and goes back when that leads nowhere", function()
      app:get("/a/b/c", say "text")
      app:get("/:x/b/d", say "parameter")
      app:get("/a/*rest", say "rest")
      expect("GET", "/a/b/c", 200, "text")
      expect("GET", "/x/b/d", 200, "parameter x=text:x")
      expect("GET", "/a/b/d", 200, "rest rest=text:b/d")
      expect("GET", "/x/b/e", 404, "404: not found\n")
    end)

    it("one handler for each method, and HEAD by GET", function()
      app:get("/x", say "get")
      app:post("/x", say "post")
      app:any("/x", say "any")
      app:route("PURGE", "/x", say "purge")
      expect("GET", "/x", 200, "get")
      expect("HEAD", "/x", 200, "")
      expect("POST", "/x", 200, "post")
      expect("PURGE", "/x", 200, "purge")
      expect("DELETE", "/x", 200, "any")
    end)

    it("a method where the nearest path has it not", function()
      app:get("/users/me", say "me")
      app:delete("/users/:id", say "delete")
      expect("DELETE", "/users/me", 200, "delete id=text:me")
    end)
  end)

  describe("answers by itself", function()
    it("a method that the path has not, with those that it has", function()
      app:get("/users/me", say "me")
      app:put("/users/:id", say "put")
      local answer = expect("POST", "/users/me", 405, "405: method not allowed\n")
      assert.are.equal("GET, HEAD, OPTIONS, PUT", answer.headers.allow)
    end)

    it("OPTIONS", function()
      app:post("/x", say "post")
      local answer = expect("OPTIONS", "/x", 204, "")
      assert.are.equal("OPTIONS, POST", answer.headers.allow)
      expect("OPTIONS", "/nowhere", 404, "404: not found\n")
    end)

    it("with handlers of the script's own", function()
      app = router.new {
        not_found = function(_, response) response:status(404):send("nothing here") end,
        not_allowed = function(_, response) response:status(405):send("not so") end,
      }
      app:get("/x", say "x")
      expect("GET", "/y", 404, "nothing here")
      assert.are.equal("GET, HEAD, OPTIONS", expect("POST", "/x", 405, "not so").headers.allow)
    end)

    it("a slash too many or too few, if it is told to", function()
      app = router.new { slash = "redirect" }
      app:get("/a", say "a")
      app:get("/b c/", say "b")
      app:post("/d/", say "d")
      assert.are.equal("/a?x=1", expect("GET", "/a/?x=1", 308, "").headers.location)
      assert.are.equal("/b%20c/", expect("HEAD", "/b%20c", 308, "").headers.location)
      expect("POST", "/d", 404, "404: not found\n")
      assert.are.equal("/a", expect("GET", "//a/", 308, "").headers.location)
      app:get("/*rest", say "rest")
      expect("GET", "/a/", 200, "rest rest=text:a/")
    end)
  end)

  describe("has middleware", function()
    local function marks(method, target)
      local site <close> = web.serve(app)
      return (site:request(method, target).headers["x-mark"] or ""):gsub("\n", " ")
    end

    it("of its own, before all that it answers", function()
      app:get("/x", say "x")
      app:use(mark "1"):use(mark "2")
      for method, target in pairs { GET = "/x", POST = "/x", DELETE = "/nowhere" } do
        assert.are.equal("1 2", marks(method, target))
      end
    end)

    it("of routes", function()
      app:get("/x", mark "1", mark "2", say "x")
      app:get("/y", say "y")
      assert.are.equal("1 2", marks("GET", "/x"))
      assert.are.equal("", marks("GET", "/y"))
    end)

    it("of groups, before what is answered below their paths, in order", function()
      app:use(mark "app")
      local api = app:group("/api", mark "api")
      api:group("/v1", mark "v1"):get("/x", mark "route", say "x")
      api:get("/y", say "y")
      api:use(mark "late")
      assert.are.equal("app api late v1 route", marks("GET", "/api/v1/x"))
      assert.are.equal("app api late", marks("GET", "/api/y"))
      assert.are.equal("app api late", marks("OPTIONS", "/api/y"))
      assert.are.equal("app api late", marks("POST", "/api/y"))
      assert.are.equal("app", marks("GET", "/api/z"))
    end)

    it("which may answer itself", function()
      app:use(function()
        return function(_, response) response:status(403):send("no") end
      end)
      app:get("/x", say "x")
      expect("GET", "/x", 403, "no")
    end)

    it("which is asked once for each route", function()
      local count = 0
      app:use(function(next_handler)
        count = count + 1
        return next_handler
      end)
      app:get("/x", say "x")
      local site <close> = web.serve(app)
      site:get("/x")
      site:get("/x")
      site:get("/nowhere")
      assert.are.equal(1, count)
    end)
  end)

  describe("has others mounted into it", function()
    it("with the routes that they have and those that they get", function()
      local api, inner = router.new(), router.new()
      api:get("/before", say "before")
      inner:get("/x/:id", say "inner")
      app:mount("/api/:version", api)
      api:mount("/inner", inner)
      api:get("/after", say "after")
      inner:get("/late", say "late")
      expect("GET", "/api/1/before", 200, "before version=text:1")
      expect("GET", "/api/1/after", 200, "after version=text:1")
      expect("GET", "/api/1/inner/x/2", 200, "inner id=text:2 version=text:1")
      expect("GET", "/api/1/inner/late", 200, "late version=text:1")
    end)

    it("or a handler for all below", function()
      app:mount("/static", say "handler")
      expect("GET", "/static/a/b", 200, "handler path=text:a/b")
      expect("PUT", "/static/", 200, "handler path=text:")
      expect("GET", "/static", 404, "404: not found\n")
    end)

    it("but not itself, and not what is there already", function()
      assert.matches("#2 to 'mount'", refusal(function() app:mount("/x", app) end))
      local group = app:group("/g")
      assert.matches("#2 to 'mount'", refusal(function() group:mount("/x", app) end))
      app:get("/a/b", say "b")
      local other = router.new()
      other:get("/b", say "b")
      assert.matches("there is a route for the same paths", refusal(function() app:mount("/a", other) end))
      assert.matches("ends with a slash", refusal(function() app:mount("/a/", router.new()) end))
    end)
  end)

  describe("writes addresses", function()
    it("of named routes, escaped", function()
      app:get("/users/:id<integer>/:tab", say "x"):name "user"
      app:get("/f i/*path", say "x"):name "file"
      local group = app:group("/api/:v")
      group:get("/y", say "y"):name "y"
      assert.are.equal("/users/7/a%20b%3F", app:url("user", { id = 7, tab = "a b?" }))
      assert.are.equal("/f%20i/a/b%20c", app:url("file", { path = "a/b c" }))
      assert.are.equal("/api/2/y?q=1+2&r=x", app:url("y", { v = 2 }, { q = "1 2", r = "x" }))
      assert.are.equal("/y", group:url "y")
    end)

    it("that lead back to the route only", function()
      app:get("/users/:id", say "x"):name "user"
      app:get("/f/*path", say "x"):name "file"
      for _, id in ipairs { "a/b", "..", ".", "" } do
        assert.matches("parameter 'id'", refusal(function() app:url("user", { id = id }) end))
      end
      for _, path in ipairs { "../x", "a//b", "/a", "a/./b" } do
        assert.matches("parameter 'path'", refusal(function() app:url("file", { path = path }) end))
      end
      assert.matches("parameter 'id' is missing", refusal(function() app:url "user" end))
      assert.matches("no route 'nix'", refusal(function() app:url "nix" end))
      assert.matches("there is a route 'user' already",
        refusal(function() app:get("/z", say "z"):name "user" end))
    end)
  end)

  describe("refuses", function()
    it("two routes for the same", function()
      app:get("/users/:id", say "x")
      local problem = "bad argument #1 to 'get' %(GET /users/:name: there is a route"
      assert.matches("^spec/http/router_spec.lua:%d+: " .. problem,
        refusal(function() app:get("/users/:name", say "x") end))
      assert.matches("calls its parameters id", refusal(function() app:put("/users/:name", say "x") end))
      app:get("/x", say "x")
      assert.matches("there is a route", refusal(function() app:get("/x", say "x") end))
    end)

    it("patterns that are none", function()
      for pattern, problem in pairs {
        ["x"] = "does not begin with a slash", ["/a//b"] = "no path", ["/a/../b"] = "no path",
        ["/a?b"] = "no path",
        ["/a/*x/b"] = "nothing can stand behind it", ["/a/*"] = "a name expected", ["/:"] = "expected",
        ["/:a/:a"] = "two parameters 'a'", ["/:a<nix>"] = "no kind 'nix'", ["/:a<"] = "expected",
        ["/a%20b"] = "no path",
      } do
        assert.matches(problem, refusal(function() app:get(pattern, say "x") end))
      end
    end)

    it("what is no handler, option or method", function()
      assert.matches("#2 to 'get' %(function expected, got nil%)", refusal(function() app:get("/") end))
      assert.matches("#3 to 'post' %(function expected, got number%)",
        refusal(function() app:post("/", say "x", 1) end))
      assert.matches("#1 to 'use'", refusal(function() app:use(1) end))
      assert.matches("unknown option 'x' %(known: kinds, not_allowed, not_found, slash%)",
        refusal(function() router.new { x = 1 } end))
      assert.matches("#1 to 'route'", refusal(function() app:route("get", "/", say "x") end))
      assert.matches("call it with a colon", refusal(function() app.get("/", say "x") end))
    end)
  end)

  it("finds its way among many", function()
    for i = 1, 2000 do
      app:get(("/a%d/:x/b"):format(i), say("route " .. i))
    end
    expect("GET", "/a1234/q/b", 200, "route 1234 x=text:q")
  end)

  it("takes no longer for a path that is made to lead astray", function()
    local names = {}
    for i = 1, 12 do
      names[i] = ":p" .. i
      app:get("/" .. ("a/"):rep(i) .. table.concat(names, "/") .. "/end", say "x")
    end
    expect("GET", ("/a"):rep(2000), 404, "404: not found\n")
  end)
end)
