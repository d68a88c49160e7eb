-- What is added in Lua to requests and responses: bodies that are forms or JSON, and short ways to answer.
local http = require "moonwire.http"
local json = require "moonwire.json"
local router = require "moonwire.http.router"
local web = require "spec.support.web"

local FORM <const>, JSON <const> = "application/x-www-form-urlencoded", "application/json"

local function refusal(fn)
  local ok, message = pcall(fn)
  assert.is_false(ok)
  return message
end

describe("a request", function()
  it("has the values of its query", function()
    local site <close> = web.serve(function(request, response)
      local values, _, code = request:query_values()
      response:json(values and { values, assert(request:query_lists()) } or { code })
    end)
    assert.are.same({ { a = "1", b = "x y" }, { a = { "1", "2" }, b = { "x y" } } },
      (json.decode(site:get("/?a=1&b=x+y&a=2").body)))
    assert.are.equal("[{},{}]", site:get("/").body)
    assert.are.equal('["too_large"]', site:get("/?" .. ("a&"):rep(1001)).body)
  end)

  it("reads a form", function()
    local site <close> = web.serve(function(request, response)
      local values, lists, code = request:form(100)
      if not values then
        return response:refuse(lists, code)
      end
      response:json { values, lists }
    end)
    assert.are.same({ { a = "ä", b = "" }, { a = { "ä", "2" }, b = { "" } } },
      (json.decode(site:post("/", "a=%C3%A4&b&a=2", FORM .. "; charset=utf-8").body)))
    for status, list in pairs {
      [415] = { { "a=1", nil }, { "a=1", JSON }, { "a=1", "multipart/form-data; boundary=x" } },
      [413] = { { ("a"):rep(101), FORM } },
    } do
      for _, case in ipairs(list) do
        assert.are.equal(status, site:post("/", table.unpack(case, 1, 2)).status)
      end
    end
  end)

  it("reads JSON", function()
    local site <close> = web.serve(function(request, response)
      local value, err, code = request:json(1000)
      if value == nil then
        return response:refuse(err, code)
      end
      response:json(value)
    end)
    for _, text in ipairs { '{"a":[1,null]}', "false", "null", '"x"' } do
      assert.are.equal(text, site:post("/", text, "application/vnd.x+json; charset=utf-8").body)
    end
    for status, list in pairs {
      [415] = { { "{}", nil }, { "{}", "text/plain" } },
      [400] = { { "{", JSON }, { "", JSON }, { '"\xFF"', JSON }, { "[1,2,]", JSON } },
      [413] = { { '"' .. ("x"):rep(1000) .. '"', JSON }, { ("["):rep(900) .. ("]"):rep(900), JSON } },
    } do
      for _, case in ipairs(list) do
        local answer = site:post("/", table.unpack(case, 1, 2))
        assert.are.equal(status, answer.status)
        assert.matches("^%d+: [%l ]+\n$", answer.body)
      end
    end
  end)

  it("says which of several types it takes", function()
    local site <close> = web.serve(function(request, response)
      response:send(tostring(request:accepts("text/html", "application/json")))
    end)
    assert.are.equal("application/json", site:get("/", { Accept = "application/*" }).body)
    assert.are.equal("nil", site:get("/", { Accept = "image/png" }).body)
    assert.are.equal("text/html", site:get("/").body)
  end)

  it("refuses limits that are none", function()
    local messages = {}
    local site <close> = web.serve(function(request, response)
      messages[1] = refusal(function() request:form(0) end)
      messages[2] = refusal(function() request:json "x" end)
      messages[3] = refusal(function() request:cookie() end)
      response:send()
    end)
    site:get("/")
    for i, name in ipairs { "form", "json", "cookie" } do
      assert.matches("^spec/http/answer_spec.lua:%d+: bad argument #1 to '" .. name .. "'", messages[i])
    end
  end)
end)

describe("a fault of a body that a handler lets pass", function()
  local function status(options, body)
    local site <close> = web.serve(function(request, response)
      for _ in request:chunks() do end -- luacheck: ignore 542
      response:send()
    end, options)
    return site:request("POST", "/", { ["Transfer-Encoding"] = "chunked" }, nil, body).status
  end

  it("is the client's", function()
    assert.are.equal(200, status({}, "1\r\nx\r\n0\r\n\r\n"))
    assert.are.equal(400, status({}, "1\r\nxy\r\n0\r\n\r\n"))
    assert.are.equal(413, status({ body_max = 2 }, "3\r\nxyz\r\n0\r\n\r\n"))
    assert.are.equal(408, status({ read_timeout = 0.01 }, "3\r\nx"))
  end)
end)

describe("a response", function()
  local app

  before_each(function()
    app = router.new()
  end)

  local function get(target)
    local site <close> = web.serve(app)
    return site:get(target)
  end

  it("is JSON", function()
    app:get("/", function(_, response) response:json({ a = json.null }, 201) end)
    local answer = get "/"
    assert.are.same({ 201, '{"a":null}', JSON },
      { answer.status, answer.body, answer.headers["content-type"] })
  end)

  it("is a page", function()
    app:get("/", function(_, response) response:html "<p>ä</p>" end)
    local answer = get "/"
    assert.are.same({ 200, "<p>ä</p>", "text/html; charset=utf-8" },
      { answer.status, answer.body, answer.headers["content-type"] })
  end)

  it("leads elsewhere", function()
    app:get("/", function(_, response) response:redirect "/a?b" end)
    app:get("/for-ever", function(_, response) response:redirect("https://a.example/", 308) end)
    local answer = get "/"
    assert.are.same({ 303, "/a?b", "" }, { answer.status, answer.headers.location, answer.body })
    assert.are.equal(308, get("/for-ever").status)
  end)

  it("is a problem", function()
    app:get("/", function(_, response) response:problem(409, nil, { detail = "two of them", id = 7 }) end)
    local answer = get "/"
    assert.are.equal('{"detail":"two of them","id":7,"status":409,"title":"exists already"}', answer.body)
    assert.are.equal("application/problem+json", answer.headers["content-type"])
  end)

  it("refuses with what a code stands for, and tells nothing else", function()
    local codes <const> = {
      invalid = 400, too_large = 413, unsupported = 415, timeout = 408, full = 507, exists = 409,
      not_found = 404,
      denied = 403, reset = 500, system = 500,
    }
    for code in pairs(codes) do
      app:get("/" .. code, function(_, response) response:refuse("open /etc/secret: no", code) end)
    end
    local site <close> = web.serve(app)
    for code, status in pairs(codes) do
      local answer = site:get("/" .. code)
      assert.are.equal(status, answer.status)
      assert.matches("^" .. status .. ": [%l ]+\n$", answer.body)
    end
  end)

  it("refuses what would break it apart", function()
    local messages = {}
    app:get("/", function(_, response)
      for i, call in ipairs {
        function() response:redirect "/a\r\nSet-Cookie: x=y" end, function() response:redirect "/a b" end,
        function() response:redirect "" end, function() response:redirect("/", 200) end,
        function() response:json(print) end, function() response:json(1, 99) end,
        function() response:html(1) end,
        function() response:problem("x") end, function() response:problem(700) end,
        function() response:html("x", "200") end,
      } do
        messages[i] = refusal(call)
      end
      response:send()
    end)
    assert.are.equal(200, get("/").status)
    assert.are.equal(10, #messages)
    for i, name in ipairs { "redirect", "redirect", "redirect", "redirect", "json", "json", "html",
      "problem", "problem" } do
      assert.matches("^spec/http/answer_spec.lua:%d+: bad argument #%d to '" .. name .. "'", messages[i])
    end
  end)
end)

describe("moonwire.http", function()
  it("loads its parts when they are asked for", function()
    assert.are.equal(require "moonwire.http.server".serve, http.serve)
    assert.are.equal(router.new, http.router)
    assert.are.equal(require "moonwire.http.template", http.template)
    assert.are.equal(require "moonwire.http.client".get, http.get)
    local message = refusal(function() return http.sever end)
    assert.matches("moonwire.http has no 'sever'", message)
  end)
end)
