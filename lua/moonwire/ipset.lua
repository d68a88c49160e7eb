--- Sets of addresses and networks, with a value for each: the most specific network that holds an address
--- decides. A hundred thousand are searched in less than a microsecond.
---
---     local known = ipset.of { "192.0.2.0/24", ["192.0.2.7"] = "the printer" }
---     local value = known:find(conn:peer_address())
local check = require "moonwire.check"
local core = require "moonwire.core"
local file = require "moonwire.file"

local ipset = {}

local BYTES_DEFAULT <const> = 16 * 1024 * 1024
local IPV4_BITS <const>, IPV6_BITS <const> = 32, 128
local NETWORK_KNOWN <const> = { ipv4_prefix = "number", ipv6_prefix = "number" }
local LOAD_KNOWN <const> = { max = "integer" }

---@class moonwire.ipset_load_options
---@field max? integer bytes of the file; default 16 MiB

---@class moonwire.ipset_network_options
---@field ipv4_prefix? integer bits of an IPv4 address; default 32: all
---@field ipv6_prefix? integer the same of IPv6; default 128

--- What `find` knows is replaced as a whole, never changed.
---@class moonwire.ipset
---@field private networks userdata network → number
---@field private values table number → value
local Ipset = { __name = "moonwire.ipset" }
Ipset.__index = Ipset

-- Networks and their values, side by side; nil and why not.
local function sides(networks)
  local keys, values = {}, {}
  for key, value in next, networks do
    local place = #keys + 1
    if math.type(key) == "integer" then
      keys[place], values[place] = value, true
    else
      keys[place], values[place] = key, value
    end
  end
  return keys, values
end

local function build(networks)
  local keys, values = sides(networks)
  local built, place, why = core.ipset.table(keys)
  if not built then
    return nil, ("%s: %s"):format(tostring(keys[place]), why)
  end
  return built, values
end

--- Makes a set.
---@param networks? table a list of networks, whose value is true, and network → value; default: none
---@return moonwire.ipset
function ipset.of(networks)
  if networks ~= nil then
    check.type(networks, "table", 1, "of")
  end
  local built, values = build(networks or {})
  if not built then
    check.refuse(1, "of", values)
  end
  return setmetatable({ networks = built, values = values }, Ipset)
end

--- The network that an address is in, as text: "192.0.2.0/24", or the address alone when it is all of it.
---@param address string with a port or without
---@param options? moonwire.ipset_network_options
---@return string? network nil: it is no address of the internet
function ipset.network(address, options)
  check.type(address, "string", 1, "network")
  check.options(options, NETWORK_KNOWN, 2, "network")
  local v4, v6 = options and options.ipv4_prefix or IPV4_BITS, options and options.ipv6_prefix or IPV6_BITS
  if math.type(v4) ~= "integer" or v4 < 0 or v4 > IPV4_BITS then
    check.refuse(2, "network", "option 'ipv4_prefix': an integer from 0 to 32 expected")
  elseif math.type(v6) ~= "integer" or v6 < 0 or v6 > IPV6_BITS then
    check.refuse(2, "network", "option 'ipv6_prefix': an integer from 0 to 128 expected")
  end
  return core.ipset.network(address, v4, v6)
end

--- The value of the most specific network that holds an address.
---@param address string with a port or without: "192.0.2.1:4711", "[::1]:80", "::1"
---@return any value nil: it is in none, or is no address of the internet
function Ipset:find(address)
  check.object(self, Ipset, "find")
  check.type(address, "string", 1, "find")
  return self.values[self.networks:find(address)]
end

--- How many different networks there are.
---@return integer
function Ipset:count()
  check.object(self, Ipset, "count")
  return self.networks:count()
end

--- Takes other networks in place of those that are there, all at once.
---@param networks table as of ipset.of
---@return moonwire.ipset self
function Ipset:replace(networks)
  check.object(self, Ipset, "replace")
  check.type(networks, "table", 1, "replace")
  local built, values = build(networks)
  if not built then
    check.refuse(1, "replace", values)
  end
  self.networks, self.values = built, values
  return self
end

--- Takes the networks of a text in place of those that are there, all at once: one a line, its value behind
--- it, remarks behind "#" or ";". When anything is wrong with it nothing changes.
---@param text string
---@return true?
---@return string? err
---@return moonwire.code? code "invalid"
function Ipset:parse(text)
  check.object(self, Ipset, "parse")
  check.type(text, "string", 1, "parse")
  local built, values, why = core.ipset.parse(text)
  if not built then
    return nil, ("line %d: %s"):format(values, why), "invalid"
  end
  self.networks, self.values = built, values
  return true
end

--- The same with a file.
---@param path string
---@param options? moonwire.ipset_load_options
---@return true?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "too_large"
function Ipset:load(path, options)
  check.object(self, Ipset, "load")
  check.type(path, "string", 1, "load")
  check.options(options, LOAD_KNOWN, 2, "load")
  local text, err, code = file.read(path, { max = options and options.max or BYTES_DEFAULT })
  if not text then
    return nil, err, code
  end
  local ok, problem, word = self:parse(text)
  if not ok then
    return nil, ("%s: %s"):format(path, problem), word
  end
  return true
end

return ipset
