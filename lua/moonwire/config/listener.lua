--- The listeners of a service: addresses, or tables of an address and options. Not for scripts.
local core = require "moonwire.core"
local kind = require "moonwire.config.kind"
local service_table = require "moonwire.service_table"

local listener = {}

local EXPECTED <const> = 'an address (such as "tcp://127.0.0.1:7000") or a table with one'

local FOR <const> = { -- which listeners an option is for
  backlog = { tcp = true, tls = true, unix = true },
  nodelay = { tcp = true, tls = true },
  keepalive = { tcp = true, tls = true },
  v6_only = { tcp = true, tls = true, udp = true },
  mode = { unix = true },
  door = { tcp = true, tls = true, unix = true, fd = true },
}

-- Permission bits, written as chmod takes them.
local mode = { expected = 'octal digits in a string (such as "660")' }

function mode.read(value, at)
  local bits = type(value) == "string" and value:find("^[0-7]+$") and tonumber(value, 8)
  if not bits or bits > 511 then
    at:expect(mode.expected, value)
  end
  return bits
end

local door = { expected = "a letter and up to 14 letters, digits, _ or -" }

function door.read(value, at)
  if not service_table.is_door(value) then
    at:expect(door.expected, value)
  end
  return value
end

local address = { expected = EXPECTED }

function address.read(value, at)
  if type(value) ~= "string" then
    at:expect(EXPECTED, value)
  end
  local read, why = core.config.address(value)
  if not read then
    at:fail('%s: "%s": %s', at.key, value, why)
  end
  return { text = value, read = read }
end

--- What a table in `listen` may have.
---@type moonwire.config.fields
listener.fields = {
  { name = "address", kind = address, example = "tcp://127.0.0.1:7000", why = "where to listen" },
  { name = "backlog", kind = kind.integer(1, 65535), default = 4096,
    why = "connections that the kernel keeps until they are accepted" },
  { name = "nodelay", kind = kind.boolean, default = true,
    why = "small writes leave at once, instead of waiting for more" },
  { name = "keepalive", kind = kind.boolean, default = false,
    why = "the kernel probes idle peers, and so finds out which are gone" },
  { name = "v6_only", kind = kind.boolean, default = false,
    why = "[::] takes no IPv4, so that another listener can have it" },
  { name = "mode", kind = mode, example = "660",
    why = "who may connect to a Unix socket; without it what the umask leaves" },
  { name = "door", kind = door, example = "web",
    why = "which of the script's doors serves it; without it the one that has no name" },
}

local options = kind.options(listener.fields, false)

-- Whether each option does something for such an address.
local function check_use(given, at)
  local scheme = given.address.read.scheme
  for _, field in ipairs(listener.fields) do
    local schemes = FOR[field.name]
    if given[field.name] ~= nil and schemes and not schemes[scheme] then
      at:fail("%s: does nothing for %s; leave it out", at:below(field.name).key, given.address.text)
    end
  end
end

local function read_one(value, at)
  local given
  if type(value) == "table" then
    given = options.read(value, at)
    if not given.address then
      at:below("address"):expect(EXPECTED, nil)
    end
  else
    given = { address = address.read(value, at) }
  end
  check_use(given, at)
  local result = { address = given.address.text, kind = given.address.read.kind }
  result.tls = given.address.read.scheme == "tls" or nil
  for _, field in ipairs(listener.fields) do
    local schemes, name = FOR[field.name], field.name
    if schemes and schemes[given.address.read.scheme] then
      result[name] = given[name]
      if given[name] == nil then
        result[name] = field.default
      end
    end
  end
  return result, given.address.read
end

-- A table with an address, or a list?
local function to_list(value)
  return type(value) == "table" and value.address == nil and #value > 0 and value
    or type(value) == "table" and next(value) == nil and value
    or { value }
end

-- Two ports that the kernel chooses differ.
local function is_fixed(read)
  return read.port ~= 0
end

--- A kind of option.
---@type moonwire.config.kind
listener.kind = {
  expected = "an address, or a list of addresses and tables of options",
  read = function(value, at)
    local result, seen = {}, {}
    local list = to_list(value)
    for i, one in ipairs(list) do
      local here = list == value and at:below(i) or at
      local read
      result[i], read = read_one(one, here)
      local name = read.kind .. " " .. read.name
      if is_fixed(read) and seen[name] then
        here:fail("%s: %s is listened on already, by %s; remove one", here.key, result[i].address, seen[name])
      end
      seen[name] = here.key
      result[i].name = is_fixed(read) and name or nil
    end
    return result
  end,
}

return listener
