-- Whose mail a server takes, and where addresses lead.
local directory = require "moonwire.mail.directory"

local function open(more)
  local options = { domains = { "Example.org", "example.net" }, mailboxes = { "bob", "ann" } }
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  return assert(directory.read(options))
end

local BOB <const> = { address = "bob@example.org", mailbox = "bob" }

describe("a directory of mail", function()
  it("knows which addresses are its own", function()
    local ours = open()
    assert.equal("bob", ours:name "Bob@EXAMPLE.net")
    assert.equal("bob@x", ours:name '"bob@x"@example.org')
    assert.equal("postmaster", ours:name "Postmaster")
    for _, text in ipairs { "bob@example.com", "bob", "", "bob@", "@example.org", "bob@[127.0.0.1]" } do
      assert.is_nil(ours:name(text), text)
    end
  end)

  it("finds where an address leads", function()
    local ours = open {
      aliases = { staff = { "bob@Example.NET", "eve@elsewhere.example" }, abuse = "staff" },
    }
    assert.same({ BOB }, ours:find "BOB@example.net")
    assert.same({ BOB, { address = "eve@elsewhere.example" } }, ours:find "abuse@example.org")
    assert.same({ { address = "postmaster@example.org", mailbox = "postmaster" } }, ours:find "postmaster")
    assert.same({}, ours:find "nobody@example.org")
    assert.same({}, ours:find "bob%example.net@example.org")
    assert.is_nil(ours:find "bob@elsewhere.example")
    assert.is_true(ours:leads_to("bob", "staff@example.org"))
    assert.is_false(ours:leads_to("ann", "staff@example.org"))
    assert.is_false(ours:leads_to("bob", "bob@elsewhere.example"))
  end)

  it("knows its domains beyond ASCII in both forms", function()
    local list = {
      "b\u{FC}cher.example", "\u{4F8B}\u{3048}.\u{30C6}\u{30B9}\u{30C8}", "xn--maana-pta.example",
    }
    local ours = open { domains = list }
    for _, domain in ipairs {
      list[1], "xn--bcher-kva.example", list[2], "xn--r8jz45g.xn--zckzah", "ma\u{F1}ana.example", list[3],
    } do
      assert.equal("bob", ours:name("Bob@" .. domain))
    end
    assert.is_nil(ours:name "bob@xn--bcher-kvb.example")
    assert.is_nil(ours:name("bob@" .. ("\u{FC}"):rep(70)))
    assert.equal("bob@" .. list[1], ours:find("bob@xn--bcher-kva.example")[1].address)
  end)

  it("may give somebody what is for nobody", function()
    local ours = open { catch_all = "bob", aliases = { postmaster = "ann" } }
    assert.same({ BOB }, ours:find "nobody@example.org")
    assert.same({ { address = "ann@example.org", mailbox = "ann" } }, ours:find "Postmaster@example.org")
    assert.same({ { address = "ann@example.org", mailbox = "ann" } },
      open { catch_all = "x", aliases = { x = "ann" } }:find "nobody@example.org")
  end)

  it("refuses what leads to nobody or in circles, and names of no folder", function()
    for problem, options in pairs {
      ["'a..b' is no domain"] = { domains = { "a..b" } },
      ["'../x' is no name of a mailbox"] = { mailboxes = { "../x" } },
      ["'.queue' is no name of a mailbox"] = { mailboxes = { ".queue" } },
      ["alias 'x': there is no mailbox 'eve'"] = { aliases = { x = "eve" } },
      ["leads back to itself"] = { aliases = { x = "y@example.org", y = "x@example.net" } },
      ["catch_all: there is no mailbox or alias 'eve'"] = { catch_all = "eve" },
    } do
      local all = { domains = { "example.org", "example.net" }, mailboxes = {} }
      for name, value in pairs(options) do
        all[name] = value
      end
      local ours, message, code = directory.read(all)
      assert.same({ nil, "invalid" }, { ours, code })
      assert.is_not_nil(message:find(problem, 1, true), message)
    end
    local ok, message = pcall(function() directory.read { domains = {} } end)
    assert.is_false(ok)
    assert.matches("directory_spec.lua:%d+: bad argument #1 to 'read'", message)
  end)
end)
