--- Networks whose clients may do what others may not, such as sending mail to anywhere.
---
---     local ours = mail_networks.read { "192.0.2.0/24", "2001:db8::/32" }
---     ours:has "192.0.2.7" -- true
local check = require "moonwire.check"
local core = require "moonwire.core"

local mail_networks = {}

local MAPPED <const> = ("\0"):rep(10) .. "\xFF\xFF" -- IPv4 inside IPv6
local BITS <const> = 128

---@class moonwire.mail_networks
---@field private list { bytes: string, bits: integer }[]
local Networks = { __name = "moonwire.mail_networks" }
Networks.__index = Networks

local function v4_bytes(text)
  local a, b, c, d = text:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  return a and MAPPED .. string.char(a, b, c, d)
end

local function groups_of(text)
  local parts = {}
  for group in text:gmatch "[^:]+" do
    local v4 = v4_bytes(group)
    parts[#parts + 1] = v4 and v4:sub(-4) or (">I2"):pack(tonumber(group, 16))
  end
  return table.concat(parts)
end

-- The 16 bytes of an address that is good; nil: it is none.
local function bytes_of(text)
  if not core.config.network(text) or text:find("/", 1, true) then
    return nil
  elseif not text:find(":", 1, true) then
    return v4_bytes(text)
  end
  local left, right = text:match "^(.-)::(.*)$"
  local head, tail = groups_of(left or text), groups_of(right or "")
  return head .. ("\0"):rep(BITS // 8 - #head - #tail) .. tail
end

local function read_one(text)
  local address, length = text:match "^(.-)/(%d+)$"
  local bytes = core.config.network(text) and bytes_of(address or text)
  if not bytes then
    return nil
  end
  local is_v4 = not text:find(":", 1, true)
  return { bytes = bytes, bits = length and tonumber(length) + (is_v4 and 96 or 0) or BITS }
end

--- Reads networks, and single addresses. What is none raises.
---@param list string[]
---@return moonwire.mail_networks
function mail_networks.read(list)
  check.type(list, "table", 1, "read")
  local self = setmetatable({ list = {} }, Networks)
  for i, text in ipairs(list) do
    self.list[i] = type(text) == "string" and read_one(text) or nil
    if not self.list[i] then
      check.refuse(1, "read", ("'%s': networks, such as \"10.0.0.0/8\", expected"):format(tostring(text)))
    end
  end
  return self
end

local function fits(network, bytes)
  local whole, rest = network.bits // 8, network.bits % 8
  if bytes:sub(1, whole) ~= network.bytes:sub(1, whole) then
    return false
  end
  return rest == 0 or (bytes:byte(whole + 1) ~ network.bytes:byte(whole + 1)) >> (8 - rest) == 0
end

--- Whether an address is in one of them.
---@param address string? without port; nil, or what is no address, is in none
---@return boolean
function Networks:has(address)
  check.object(self, Networks, "has")
  local bytes = type(address) == "string" and bytes_of(address)
  for _, network in ipairs(bytes and self.list or {}) do
    if fits(network, bytes) then
      return true
    end
  end
  return false
end

return mail_networks
