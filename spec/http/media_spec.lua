local media = require "moonwire.http.media"

describe("a media type", function()
  it("is read with its parameters", function()
    local kind, parameters = media.parse 'Text/HTML ; Charset="utf-8";q=x; n="a\\"b\\\\"'
    assert.are.equal("text/html", kind)
    assert.are.same({ charset = "utf-8", q = "x", n = 'a"b\\' }, parameters)
    assert.are.same({ "a/b+json", {} }, { media.parse "a/b+json" })
    assert.are.same({ "a/b", { x = "" } }, { media.parse 'a/b;x="";' })
  end)

  it("is none when two could read it differently", function()
    for _, text in ipairs {
      "", "text", "text/", "/html", "a/b/c", "a/b c", "a/b; x", "a/b; x=", "a/b; x=1; X=2", 'a/b; x="',
      "a/b; x =1",
      'a/b; x="a"b', "a/b, c/d",
    } do
      assert.is_nil(media.parse(text), text)
    end
  end)

  it("alone does without good parameters", function()
    assert.are.equal("text/html", media.type_of "text/HTML;;charset")
    assert.is_nil(media.type_of "text/html, text/plain")
    assert.is_nil(media.type_of(nil))
  end)
end)

describe("of several media types", function()
  local function choice(accept)
    return media.choose(accept, { "text/html", "application/json; charset=utf-8", "text/plain" })
  end

  it("the one is chosen that the client likes best", function()
    for accept, expected in pairs {
      ["text/plain"] = "text/plain",
      ["text/*;q=0.5, application/json;q=0.6"] = "application/json; charset=utf-8",
      ["*/*"] = "text/html",
      ["text/html;q=0, */*;q=0.1"] = "application/json; charset=utf-8",
      ["TEXT/PLAIN, text/*;q=0.9"] = "text/plain",
      ["text/html;level=1;q=0.3, text/plain;q=0.4"] = "text/plain",
      ["text/*, text/html;q=0.1"] = "text/plain",
      ["text/html , text/plain"] = "text/html",
    } do
      assert.are.equal(expected, choice(accept), accept)
    end
    assert.are.equal("text/html", choice(nil))
    assert.are.equal("text/html", choice "  ")
  end)

  it("none is when it takes none", function()
    for _, accept in ipairs { "image/png", "*/*;q=0", "text/html;q=0", "text/plain;q=2", "text/plain;q=x",
      "text", "," } do
      assert.is_nil(choice(accept), accept)
    end
  end)

  it("one is chosen in time, however long the list is", function()
    assert.is_nil(choice(("a/b;q=0.1,"):rep(1000)))
  end)
end)
