local auth = require "moonwire.http.auth"
local codec = require "moonwire.codec"
local moonwire = require "spec.support.moonwire"
local passwords = require "moonwire.password"
local process = require "spec.support.process"
local router = require "moonwire.http.router"
local task = require "moonwire.task"
local web = require "spec.support.web"

local COST <const> = { n = 16 }

local function site_with(middleware)
  local app = router.new()
  app:use(middleware)
  app:get("/", function(request, response) response:send(tostring(request.user)) end)
  return web.serve(app)
end

local function basic(pair)
  return { Authorization = "Basic " .. codec.base64_encode(pair) }
end

describe("a password", function()
  it("is kept as a hash, another each time", function()
    local hash = assert(auth.hash_password("geheim", COST))
    assert.matches("^%$scrypt%$n=16,r=8,p=3%$[%w_-]+%$[%w_-]+$", hash)
    assert.are_not.equal(hash, auth.hash_password("geheim", COST))
    assert.is_true(auth.verify_password("geheim", hash))
    assert.is_false(auth.verify_password("Geheim", hash))
    assert.is_false(auth.verify_password("", hash))
  end)

  it("is not compared with what is no hash", function()
    local hash = assert(auth.hash_password("x", COST))
    for _, odd in ipairs {
      "", "x", hash .. "x ", hash:gsub("n=16", "n=15"), hash:gsub("n=16", "n=1048576"),
      hash:gsub("p=3", "p=99"),
      hash:gsub("%$[%w_-]+$", "$AAAA"), hash:gsub("r=8", "r=0"),
      (hash:gsub("n=16", "n=99999999999999999999")),
    } do
      assert.are.equal("invalid", (select(3, auth.verify_password("x", odd))), odd)
    end
    assert.is_false((pcall(auth.hash_password, "x", { n = 15 })))
    assert.is_false((pcall(auth.hash_password, 1)))
  end)

  it("and a token are compared whole", function()
    assert.is_true(auth.is_same("a", "a"))
    assert.is_false(auth.is_same("a", "ab"))
  end)
end)

describe("basic authentication", function()
  it("lets in who knows a password of the table", function()
    local site <close> = site_with(auth.basic {
      realm = "admin", users = { ann = auth.hash_password("a:b c", COST),
        bob = auth.hash_password("", COST) },
    })
    assert.are.equal("ann", site:get("/", basic "ann:a:b c").body)
    assert.are.equal("ann", site:get("/", basic "ann:a:b c").body)
    assert.are.equal("bob", site:get("/", { Authorization = "bAsIc  " .. codec.base64_encode "bob:" }).body)
    for _, pair in ipairs { "ann:x", "ann:", "ann", "", ":", "eve:a:b c", "Ann:a:b c", "ann:a:b c\n",
      "bob:x" } do
      local answer = site:get("/", basic(pair))
      assert.are.equal(401, answer.status, pair)
      assert.are.equal('Basic realm="admin", charset="UTF-8"', answer.headers["www-authenticate"])
      assert.are.equal("401: who are you?\n", answer.body)
    end
    for _, field in ipairs { "Basic", "Basic ", "Basic !!!", "Basic YQ", "Bearer YQ==", "x", "BasicYQ==" } do
      assert.are.equal(401, site:get("/", { Authorization = field }).status, field)
    end
    assert.are.equal(401, site:get("/", basic("ann:" .. ("x"):rep(2000))).status)
    assert.are.equal(401, site:get("/").status)
  end)

  it("asks a function, which may wait", function()
    local site <close> = site_with(auth.basic { check = function(name, password, request)
      task.yield()
      return password == "x" and { name = name, path = request.path }
    end })
    assert.matches("^table", site:get("/", basic "ann:x").body)
    assert.are.equal(401, site:get("/", basic "ann:y").status)
    local broken <close> = site_with(auth.basic { check = function() return nil, "no table of users" end })
    local answer = broken:get("/", basic "ann:x")
    assert.are.same({ 503, "2", "503: try again later\n" },
      { answer.status, answer.headers["retry-after"], answer.body })
  end)

  it("computes a password once for all who come with it at once", function()
    local hash = assert(auth.hash_password("x", { n = 1024 }))
    local site <close> = site_with(auth.basic { users = { ann = hash } })
    local verify, count, tasks = passwords.verify, 0, {}
    local _ <close> = setmetatable({}, { __close = function() passwords.verify = verify end })
    passwords.verify = function(...)
      count = count + 1
      return verify(...)
    end
    for index = 1, 20 do
      tasks[index] = task.spawn(function() return site:get("/", basic "ann:x").body end)
    end
    for index = 1, 20 do
      assert.are.equal("ann", (tasks[index]:join(20)))
    end
    assert.is_true(count <= 2, count)
  end)

  it("computes a password that was right once in a while", function()
    local hash = assert(auth.hash_password("x", { n = 4096 }))
    local function seconds(options)
      local site <close> = site_with(auth.basic(options))
      local clock = os.clock() -- that of all threads
      for _ = 1, 10 do
        assert.are.equal("ann", site:get("/", basic "ann:x").body)
      end
      assert.are.equal(401, site:get("/", basic "ann:y").status)
      return os.clock() - clock
    end
    assert.is_true(seconds { users = { ann = hash } } * 2 < seconds { users = { ann = hash }, remember = 0 })
  end)

  it("is refused with options that do not do", function()
    for problem, options in pairs {
      ["either 'users' or 'check'"] = {}, ["'realm': ASCII"] = { realm = '"', check = print },
      ["'a:b' is no name"] = { users = { ["a:b"] = "x" } },
      ["kept of ann is no hash"] = { users = { ann = "secret" } },
      ["unknown option 'user'"] = { user = {} },
    } do
      local ok, message = pcall(function() auth.basic(options) end)
      assert.is_false(ok)
      assert.matches("^spec/http/auth_spec.lua:%d+: bad argument #1 to 'basic' .*" .. problem, message)
    end
  end)

  it("writes one line of a failure, and no password", function()
    local server <close> = moonwire.serve [[
      local http = require "moonwire.http"
      return http.service(http.auth.basic { check = function() end } (print))
    ]]
    local url = ("http://127.0.0.1:%d/x"):format(server.port)
    local _, output = process.run { "curl", "-s", "-u", "ann:geheim", "-w", "%{http_code}", url }
    assert.are.equal("401: who are you?\n401", output)
    local line = server:wait_for_log "authentication failed"
    assert.matches("path=/x .*status=401 user=ann$", line)
    assert.is_nil(server:log():find("geheim", 1, true))
    assert.are.equal(1, select(2, server:log():gsub("authentication failed", "")))
  end)
end)

describe("bearer authentication", function()
  local function check(token)
    if token == "narrow" then
      return nil, "insufficient_scope"
    end
    return token == "good-._~+/=" and "ann"
  end

  it("lets in who has a token", function()
    local site <close> = site_with(auth.bearer { realm = "api", scope = "read", check = check })
    assert.are.equal("ann", site:get("/", { Authorization = "bearer good-._~+/=" }).body)
    for field, expected in pairs {
      ["Bearer bad"] = { 401, 'Bearer realm="api", scope="read", error="invalid_token"' },
      ["Bearer narrow"] = { 403, 'Bearer realm="api", scope="read", error="insufficient_scope"' },
      ["Bearer a b"] = { 400, 'Bearer realm="api", scope="read", error="invalid_request"' },
      ['Bearer "x"'] = { 400, 'Bearer realm="api", scope="read", error="invalid_request"' },
      ["Bearer"] = { 400, 'Bearer realm="api", scope="read", error="invalid_request"' },
      ["Basic YTpi"] = { 401, 'Bearer realm="api", scope="read"' },
    } do
      local answer = site:get("/", { Authorization = field })
      assert.are.same(expected, { answer.status, answer.headers["www-authenticate"] }, field)
    end
    assert.are.equal('Bearer realm="api", scope="read"', site:get("/").headers["www-authenticate"])
  end)

  it("is refused with options that do not do", function()
    for _, options in ipairs { {}, { check = 1 }, { check = print, realm = "a\\b" },
      { check = print, scope = "\r\n" } } do
      local ok, message = pcall(function() auth.bearer(options) end)
      assert.is_false(ok)
      assert.matches("#1 to 'bearer'", message)
    end
  end)
end)
