-- Networks whose clients may do more.
local networks = require "moonwire.mail.networks"

describe("networks of mail", function()
  it("have the addresses in them and no others", function()
    local list = networks.read { "10.0.0.0/9", "192.0.2.7", "2001:db8::/47", "::1/128", "0.0.0.0/32" }
    for _, address in ipairs {
      "10.0.0.1", "10.127.255.255", "192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207", "2001:db8::1",
      "2001:db8:0:ffff::", "2001:0DB8:1:2:3:4:5:6", "::1", "0:0:0:0:0:0:0:1", "0.0.0.0",
    } do
      assert.is_true(list:has(address), address)
    end
    for _, address in ipairs {
      "10.128.0.0", "11.0.0.0", "192.0.2.6", "2001:db8:2::", "2001:db7::", "::2", "::", "127.0.0.1", "",
      "10.0.0.1/9", "10.0.0", "10.0.0.256", "x", "unix", ":::1",
    } do
      assert.is_false(list:has(address), address)
    end
    assert.is_false(list:has(nil))
  end)

  it("may be all or none", function()
    assert.is_false(networks.read({}):has "127.0.0.1")
    assert.is_true(networks.read({ "0.0.0.0/0" }):has "203.0.113.1")
    assert.is_false(networks.read({ "0.0.0.0/0" }):has "2001:db8::1")
    assert.is_true(networks.read({ "::/0" }):has "2001:db8::1")
  end)

  it("refuse what is no network, at the caller's line", function()
    for _, text in ipairs { "10.0.0.0/33", "example.org", "unix", "10.0.0.0/8/8", "10.0.0.1/8", true } do
      local ok, message = pcall(function() networks.read { text } end)
      assert.is_false(ok, tostring(text))
      assert.matches("networks_spec.lua:%d+: bad argument #1 to 'read'", message)
    end
  end)
end)
