local url = require "moonwire.http.url"

describe("http.url", function()
  it("takes URLs apart and puts them together", function()
    assert.same({ scheme = "http", host = "example.org", port = 8080, path = "/a", query = "b=c",
      fragment = "d",
      user = "me", password = "p:w" }, url.parse("HTTP://me:p%3Aw@Example.ORG:8080/a?b=c#d"))
    for text, built in pairs {
      ["http://a"] = "http://a/", ["http://a:80/"] = "http://a/", ["https://a:443"] = "https://a/",
      ["http://127.0.0.1"] = "http://127.0.0.1/", ["http://127.0.0.1:81/"] = "http://127.0.0.1:81/",
      ["http://[::1]:81/x"] = "http://[::1]:81/x", ["http://a?b"] = "http://a/?b",
        ["http://a/?"] = "http://a/?",
      ["http://a/b c\xc3\xa9?d e"] = "http://a/b%20c%C3%A9?d%20e",
        ["http://a/%7e%zz%4"] = "http://a/%7e%25zz%254",
      ["http://a/b/./c/../d/.."] = "http://a/b/", ["http://a/../../b"] = "http://a/b",
      ["http://a/%2e%2E/b"] = "http://a/b", ["ws://a/"] = "ws://a/", ["http://u@a/"] = "http://a/",
      ["http://a:/"] = "http://a/", ["http://a/b//c"] = "http://a/b//c",
    } do
      assert.equal(built, url.build(assert(url.parse(text))))
    end
  end)

  it("refuses what is none", function()
    for _, text in ipairs { "", "a", "/a", "http:/a", "http:a", "http://", "http:///a", "http://a:b/",
      "http://a:0/",
      "http://a:65536/", "http://a:000080/", "http://:80/", "http://a@", "http://[::1/", "http://[a]/",
        "http://a]/",
      "http://a\n/", "http://a/\0", "http://a\\b/", "http://a b/", "http://a%20b/", "http://\xc3\xa9/",
      "http://a/" .. ("b"):rep(9000), "file:///etc/passwd", "http://1.2.3.4:80:80/", "http://%zz@a/" } do
      local parts, err, code = url.parse(text)
      assert.is_nil(parts, text)
      assert.is_string(err)
      assert.equal("invalid", code)
    end
    assert.has_error(function() url.parse(1) end)
  end)

  -- RFC 3986 section 5.4.
  it("resolves references", function()
    local base = url.parse("http://a/b/c/d;p?q")
    for reference, whole in pairs {
      ["g"] = "http://a/b/c/g", ["./g"] = "http://a/b/c/g", ["g/"] = "http://a/b/c/g/", ["/g"] = "http://a/g",
      ["//g"] = "http://g/", ["?y"] = "http://a/b/c/d;p?y", ["g?y"] = "http://a/b/c/g?y",
      ["#s"] = "http://a/b/c/d;p?q#s", ["g#s"] = "http://a/b/c/g#s", [";x"] = "http://a/b/c/;x",
      [""] = "http://a/b/c/d;p?q", ["."] = "http://a/b/c/", [".."] = "http://a/b/", ["../g"] = "http://a/b/g",
      ["../.."] = "http://a/", ["../../../g"] = "http://a/g", ["/./g"] = "http://a/g",
        ["g."] = "http://a/b/c/g.",
      ["./g/."] = "http://a/b/c/g/", ["g;x=1/../y"] = "http://a/b/c/y", ["https://x/y"] = "https://x/y",
      ["g?y/../x"] = "http://a/b/c/g?y/../x",
    } do
      assert.equal(whole, url.build(assert(url.resolve(base, reference))), reference)
    end
    for _, reference in ipairs { "javascript:alert(1)", "ftp://a/", "\r\nX: y", "//a b/", "//" } do
      assert.is_nil(url.resolve(base, reference), reference)
    end
  end)
end)
