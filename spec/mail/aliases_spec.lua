-- Names of mail that stand for others.
local aliases = require "moonwire.mail.aliases"

describe("aliases of mail", function()
  it("lead to what is no alias, each once, whatever the letters", function()
    local list = assert(aliases.read {
      postmaster = "root", root = "Bob", staff = { "bob", "ann", "root", "team" },
      team = { "ann", "x@Example.NET" },
    })
    assert.are.same({ "bob" }, list:expand "PostMaster")
    assert.are.same({ "bob", "ann", "x@example.net" }, list:expand "staff")
    assert.is_nil(list:expand "bob")
    assert.is_nil(list:expand "")
  end)

  it("keep a copy where a name is its own target", function()
    local list = assert(aliases.read { bob = { "bob", "bob@example.net" }, all = "bob" })
    assert.are.same({ "bob", "bob@example.net" }, list:expand "bob")
    assert.are.same({ "bob", "bob@example.net" }, list:expand "all")
  end)

  it("may not lead in circles, nowhere, or to very many", function()
    local many = {}
    for i = 1, 1001 do
      many[i] = "n" .. i
    end
    for problem, given in pairs {
      ["alias '[abc]' leads back to itself"] = { a = "b", b = { "x", "c" }, c = "a" },
      ["alias 'a' leads nowhere"] = { a = {} },
      ["alias 'a@b': a name without domain expected"] = { ["a@b"] = "c" },
      ["alias '1': a name without domain expected"] = { "c" },
      ["alias 'a': names and addresses expected, got 'b c'"] = { a = "b c" },
      ["alias 'a': names and addresses expected, got 'b@'"] = { a = { "b@" } },
      ["alias 'a': names and addresses expected, got 'true'"] = { a = true },
      ["alias 'a' leads to more than 1000 addresses"] = { a = many },
    } do
      local list, err, code = aliases.read(given)
      assert.is_nil(list)
      assert.matches(problem, err)
      assert.equal("invalid", code)
    end
  end)

  it("are followed in a time that nobody can stretch", function()
    local given = { n0 = "end" }
    for i = 1, 40 do
      given["n" .. i] = { "n" .. i - 1, "N" .. i - 1 }
    end
    assert.are.same({ "end" }, assert(aliases.read(given)):expand "n40")
  end)
end)
