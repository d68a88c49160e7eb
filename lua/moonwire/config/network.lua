--- Networks, as `allow` and `deny` name them: "10.0.0.0/8", "::1". Not for scripts.
local core = require "moonwire.core"

local network = {}

--- A kind of option.
---@type moonwire.config.kind
network.kind = {
  expected = 'a network (such as "10.0.0.0/8", "192.0.2.7" or "2001:db8::/32")',
  read = function(value, at)
    if type(value) ~= "string" then
      at:expect(network.kind.expected, value)
    end
    local ok, why = core.config.network(value)
    if not ok then
      at:fail('%s: "%s": %s', at.key, value, why)
    end
    return value
  end,
}

--- The same, and "unix": whoever comes by a Unix socket.
---@type moonwire.config.kind
network.or_unix = {
  expected = network.kind.expected .. ' or "unix"',
  read = function(value, at)
    return value == "unix" and value or network.kind.read(value, at)
  end,
}

return network
