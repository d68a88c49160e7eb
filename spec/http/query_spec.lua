local query = require "moonwire.http.query"

local function values(text, options)
  return (query.parse(text, options))
end

describe("a query", function()
  it("is read as browsers write it", function()
    assert.are.same({ a = "1", b = "x y", ["ä"] = "ü&=" }, values "a=1&b=x+y&%C3%A4=%C3%BC%26%3D")
    assert.are.same({ a = "", b = "", ["="] = "c=d" }, values "a&b=&%3D=c=d&")
    assert.are.same({}, values "")
    assert.are.same({}, values "&&")
    assert.are.same({ [""] = "x" }, values "=x")
  end)

  it("gives the first value of a name, and lists of all", function()
    local first, lists = query.parse "a=1&b=2&a=3"
    assert.are.same({ a = "1", b = "2" }, first)
    assert.are.same({ a = { "1", "3" }, b = { "2" } }, lists)
  end)

  it("takes a percent sign without digits for itself", function()
    assert.are.same({ a = "100%", b = "%zz%4", c = "%" }, values "a=100%&b=%zz%4&c=%25")
  end)

  it("has a limit on pairs", function()
    assert.are.same({ nil, "too_large", "too_large" }, { query.parse("a&b&c", { max = 2 }) })
    assert.are.same({ nil, "too_large", "too_large" }, { query.parse(("a&"):rep(1001)) })
    assert.is_table(query.parse(("a&"):rep(1000)))
  end)

  it("comes back as it was written", function()
    local all = {}
    for byte = 0, 255 do
      all[byte + 1] = string.char(byte)
    end
    local odd = table.concat(all)
    assert.are.same({ [odd] = odd, x = "1" }, values(query.encode { [odd] = odd, x = 1 }))
    assert.are.equal("a=1&a=true&b=x+y", query.encode { b = "x y", a = { 1, true } })
  end)

  it("is refused when it is no text", function()
    for problem, call in pairs {
      ["#1 to 'parse'"] = function() query.parse(1) end,
      ["unknown option 'x'"] = function() query.parse("", { x = 1 }) end,
      ["#1 to 'encode' %(field 'a'"] = function() query.encode { a = {{}} } end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.matches("^spec/http/query_spec.lua.*" .. problem, message)
    end
  end)
end)
