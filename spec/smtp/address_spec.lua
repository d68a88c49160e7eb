-- Addresses of mail: what is one, and how it is written.
local address = require "moonwire.smtp.address"

describe("an address of mail", function()
  it("is read by the grammar of RFC 5321", function()
    local written = {
      ["ann@example.org"] = "ann@example.org", ["Ann@EXAMPLE.org"] = "Ann@example.org",
      ["a.b+c@x"] = "a.b+c@x", ['"ann"@example.org'] = "ann@example.org",
      ['"a b"@example.org'] = '"a b"@example.org', ['"a\\"b"@example.org'] = '"a\\"b"@example.org',
      ['""@example.org'] = '""@example.org', ['"a@b"@example.org'] = '"a@b"@example.org',
      ["ann@[192.0.2.1]"] = "ann@[192.0.2.1]", ["ann@[IPv6:2001:db8::1]"] = "ann@[ipv6:2001:db8::1]",
    }
    for text, expected in pairs(written) do
      assert.are.equal(expected, assert(address.parse(text), text).address)
    end
  end)

  it("is not what only looks like one", function()
    for _, text in ipairs {
      "", "ann", "@example.org", "ann@", ".ann@example.org",
      "ann.@example.org", "a..b@example.org",
      "a b@example.org",
      "ann@-example.org", "ann@example-.org", "ann@example..org", "ann@.example.org", "ann@example.org.",
      "a@b@c",
      'an"n@example.org', '"ann@example.org', '"a\rb"@example.org', '"a\\\nb"@example.org',
      "ann@exa_mple.org",
      "ann@[1.2.3]", "ann@[256.1.1.1]", "ann@[IPv6:1.2.3.4]", "ann@[2001:db8::1]", "ann@[IPv6:::g]",
      "ann\0@example.org", "ann@example.org\r\n", "<ann@example.org>", ("a"):rep(65) .. "@example.org",
      "ann@" .. ("a"):rep(64) .. ".org", "ann@" .. ("abcdefg."):rep(40) .. "org", "\xC3\xA4@example.org",
    } do
      local mailbox, err, code = address.parse(text)
      assert.is_nil(mailbox, text)
      assert.are.same({ "parse address: no address of mail", "invalid" }, { err, code })
    end
  end)

  it("may have more than ASCII when that is allowed", function()
    local utf8 = { utf8 = true }
    local text = "j\xC3\xA4n@d\xC3\xB6.example"
    assert.are.equal(text, address.parse(text, utf8).address)
    assert.are.equal('"\xC3\xA4 b"@x', address.parse('"\xC3\xA4 b"@x', utf8).address)
    assert.is_nil(address.parse("\xFF@example.org", utf8))
    assert.is_nil(address.parse("a\xC2\x80@example.org", utf8))
    assert.is_nil(address.parse("a@\xC0\xAE.org", utf8))
  end)

  it("stands in a path", function()
    assert.are.same({ false, 3 }, { address.parse_path("<> SIZE=1") })
    local mailbox, behind = address.parse_path("<@a.example,@b.example:ann@example.org> X")
    assert.are.same({ "ann@example.org", 40 }, { mailbox.address, behind })
    assert.are.equal("postMaster", address.parse_path("<postMaster>").address)
    assert.are.equal('"a>b"@x', address.parse_path('<"a>b"@x>').address)
    for _, text in ipairs {
      "", "<", "ann@example.org", "<ann@example.org", "<ann>", "<@a.example>", "< ann@x>", "<@a_b:ann@x>",
      "<ann@x >",
    } do
      assert.is_nil(address.parse_path(text), text)
    end
  end)

  it("refuses misuse", function()
    assert.error_matches(function()
      address.parse(1)
    end, "bad argument #1 to 'parse' %(string expected")
    assert.error_matches(function()
      address.parse("a", { utf = true })
    end, "unknown option 'utf' %(known: utf8%)")
  end)
end)
