local http = require "moonwire.http.client"
local url = require "moonwire.http.url"

describe("http.cookie_jar", function()
  local jar

  before_each(function()
    jar = http.cookie_jar()
  end)

  local function set(from, line)
    return jar:set(url.parse(from), line)
  end

  local function get(to)
    return jar:get(url.parse(to))
  end

  it("gives to each request what is for it", function()
    set("http://a.example.org/docs/x", "one=1")
    set("http://a.example.org/docs/x", "two=2; Path=/")
    set("http://a.example.org/", "three=3; Domain=example.org; Path=/")
    set("https://a.example.org/", "four=4; Secure; Path=/")
    assert.equal("one=1; two=2; three=3", get("http://a.example.org/docs/y"))
    assert.equal("two=2; three=3", get("http://a.example.org/docsy"))
    assert.equal("three=3", get("http://b.example.org/"))
    assert.is_nil(get("http://xexample.org/"))
    assert.equal("two=2; three=3; four=4", get("https://a.example.org/"))
    jar:clear()
    assert.is_nil(get("https://a.example.org/"))
  end)

  it("replaces, and forgets what has ended", function()
    set("http://a/", "a=1")
    set("http://a/", "a=2; Max-Age=100")
    assert.equal("a=2", get("http://a/"))
    set("http://a/", "a=3; Expires=Sun, 06 Nov 1994 08:49:37 GMT")
    assert.is_nil(get("http://a/"))
    set("http://a/", "a=4; expires=Sunday, 06-Nov-94 08:49:37 GMT")
    assert.is_nil(get("http://a/"))
    set("http://a/", "a=5; Expires=Sun, 06 Nov 2194 08:49:37 GMT")
    assert.equal("a=5", get("http://a/"))
    set("http://a/", "a=6; Max-Age=0")
    assert.is_nil(get("http://a/"))
  end)

  it("takes in nothing that its server has no right to", function()
    for _, line in ipairs { "a=1; Domain=other.org", "a=1; Domain=org", "a=1; Domain=x.a.example.org",
      "a=1; Secure",
      "__Host-a=1; Path=/", "__Secure-a=1", "=1", "a", "", "a=\1", "a=" .. ("x"):rep(5000) } do
      assert.is_false(set("http://a.example.org/", line), line)
    end
    assert.is_false(set("http://1.2.3.4/", "a=1; Domain=3.4"))
    assert.is_true(set("https://a.example.org/", "__Host-a=1; Secure; Path=/"))
    set("https://a.example.org/", "b=1; Secure; Path=/")
    assert.is_false(set("http://a.example.org/", "b=2; Path=/"))
  end)

  it("keeps no more than it may", function()
    for count = 1, 200 do
      set("http://a/", ("name%d=1"):format(count))
    end
    local _, count = get("http://a/"):gsub("=", "")
    assert.equal(50, count)
    for host = 1, 100 do
      for name = 1, 50 do
        set(("http://h%d/"):format(host), ("n%d=1"):format(name))
      end
    end
    assert.is_true(jar.count <= 3000)
  end)

  it("works in a client", function()
    local server = require "moonwire.http.server"
    local listener = server.serve("tcp://127.0.0.1:0", function(request, response)
      response:add_header("Set-Cookie", "a=1"):add_header("Set-Cookie", "b=2, 3; Path=/x")
      response:send(request:header("cookie") or "none")
    end)
    local client <close> = http.new { cookies = jar }
    local base = "http://" .. listener:local_address()
    assert.equal("none", client:get(base .. "/y").body)
    assert.equal("a=1", client:get(base .. "/y").body)
    assert.equal("b=2, 3; a=1", client:get(base .. "/x").body)
  end)
end)
