--- Addresses of mail by the grammar of RFC 5321 §4.1.2 and RFC 6531 §3.3: quoted local parts,
--- address literals, UTF-8.
local check = require "moonwire.check"
local core = require "moonwire.core"

local address = {}

local LOCAL_MOST <const>, DOMAIN_MOST <const>, LABEL_MOST <const>, ADDRESS_MOST <const> = 64, 255, 63, 254
local ATOM <const> = "^[%w!#$%%&'*+/=?^_`{|}~\128-\255-]+$"
local LABEL <const> = "^[%w\128-\255]$"
local LONG_LABEL <const> = "^[%w\128-\255][%w\128-\255-]*[%w\128-\255]$"
local KNOWN <const> = { utf8 = "boolean" }

---@class moonwire.smtp.mailbox
---@field address string as it is written: quoted where it must be, the domain in small letters
---@field local_part string what stands before the "@", without quotes
---@field domain string in small letters; of a literal with its brackets
---@field is_literal boolean whether the domain is an address: "[192.0.2.1]", "[IPv6:2001:db8::1]"

---@class moonwire.smtp.address_options
---@field utf8? boolean whether there may be more than ASCII in it (RFC 6531); default false

-- Bytes above 127 as far as they are allowed, and none of the control characters behind ASCII.
local function is_text(text, allows_utf8)
  if not text:find("[\128-\255]") then
    return true
  end
  return allows_utf8 and utf8.len(text) ~= nil and not text:find("\xC2[\x80-\x9F]")
end

local function is_label(label)
  return #label <= LABEL_MOST and (label:find(LABEL) or label:find(LONG_LABEL)) ~= nil
end

local function lower(text)
  return (text:gsub("%u", string.lower))
end

--- Whether a text is the name of a domain.
---@param text string
---@param options? moonwire.smtp.address_options
---@return boolean
function address.is_domain(text, options)
  check.type(text, "string", 1, "is_domain")
  check.options(options, KNOWN, 2, "is_domain")
  if #text > DOMAIN_MOST or text == "" or not is_text(text, options and options.utf8) then
    return false
  end
  for label in (text .. "."):gmatch("([^.]*)%.") do
    if not is_label(label) then
      return false
    end
  end
  return true
end

--- Whether a text is an address literal: "[192.0.2.1]", "[IPv6:2001:db8::1]".
---@param text string
---@return boolean
function address.is_literal(text)
  check.type(text, "string", 1, "is_literal")
  local v4 = text:match("^%[(%d+%.%d+%.%d+%.%d+)%]$")
  local v6 = text:match("^%[[Ii][Pp][Vv]6:([%x:.]+)%]$")
  v6 = v6 and v6:find(":", 1, true) and v6 or nil
  return (v4 or v6) ~= nil and core.config.network(v4 or v6) ~= nil
end

-- The value of a dot-string, and how many bytes it has.
local function take_atoms(text)
  local atoms = text:match("^[^@<>%s\"(),:;\\%[%]]+")
  if not atoms then
    return nil
  end
  for atom in (atoms .. "."):gmatch("([^.]*)%.") do
    if not atom:find(ATOM) then
      return nil
    end
  end
  return atoms, #atoms
end

-- The value of a quoted string that text begins with, and how many bytes it has.
local function take_quoted(text)
  local parts, at = {}, 2
  while true do
    local plain, next_at = text:match('^([] !#-Z%[^-~\128-\255]*)()', at)
    parts[#parts + 1] = plain
    local mark = text:sub(next_at, next_at)
    if mark == '"' then
      return table.concat(parts), next_at
    end
    local escaped = mark == "\\" and text:match("^[ -~]", next_at + 1)
    if not escaped then
      return nil
    end
    parts[#parts + 1] = escaped
    at = next_at + 2
  end
end

-- Quoted where it must be.
local function write_local_part(value)
  if value ~= "" and take_atoms(value) == value then
    return value
  end
  return '"' .. value:gsub('["\\]', "\\%0") .. '"'
end

local function make(value, domain, is_literal)
  domain = lower(domain)
  return {
    address = write_local_part(value) .. "@" .. domain, local_part = value, domain = domain,
    is_literal = is_literal,
  }
end

-- The mailbox that a text begins with, and the byte behind it.
local function take(text, allows_utf8)
  local value, size
  if text:byte() == 34 then
    value, size = take_quoted(text)
  else
    value, size = take_atoms(text)
  end
  if not value or text:byte(size + 1) ~= 64 or size > LOCAL_MOST or not is_text(value, allows_utf8) then
    return nil
  end
  local domain = text:match("^%[[^%]%s]*%]", size + 2) or text:match("^[%w.\128-\255-]+", size + 2) or ""
  local is_literal = domain:byte() == 91
  local is_good = is_literal and address.is_literal(domain)
    or not is_literal and address.is_domain(domain, { utf8 = allows_utf8 or false })
  if not is_good or size + 1 + #domain > ADDRESS_MOST then
    return nil
  end
  return make(value, domain, is_literal), size + 2 + #domain
end

--- Reads an address such as `ann@example.org`, without angle brackets.
---@param text string
---@param options? moonwire.smtp.address_options
---@return moonwire.smtp.mailbox? mailbox
---@return string? err
---@return moonwire.code? code "invalid"
function address.parse(text, options)
  check.type(text, "string", 1, "parse")
  check.options(options, KNOWN, 2, "parse")
  local mailbox, behind = take(text, options and options.utf8)
  if not mailbox or behind ~= #text + 1 then
    return nil, "parse address: no address of mail", "invalid"
  end
  return mailbox
end

-- What comes behind the route of an old-fashioned path: "@a.example,@b.example:".
local function skip_route(text)
  local route, at = text:match("^(@[%w.,@-]+):()")
  if not route then
    return text:byte() ~= 64 and 1 or nil
  end
  for hop in (route .. ","):gmatch("([^,]*),") do
    if hop:byte() ~= 64 or not address.is_domain(hop:sub(2)) then
      return nil
    end
  end
  return at
end

--- Reads the path that a command has: `<ann@example.org>`, with a route or without one, `<>`, and
--- `<Postmaster>`. A route is forgotten (RFC 5321 §C).
---@param text string
---@param options? moonwire.smtp.address_options
---@return moonwire.smtp.mailbox|false|nil mailbox false for `<>`; of "<Postmaster>" the domain is ""
---@return integer|string behind the byte behind the path; or err
---@return moonwire.code? code "invalid"
function address.parse_path(text, options)
  check.type(text, "string", 1, "parse_path")
  check.options(options, KNOWN, 2, "parse_path")
  if text:sub(1, 2) == "<>" then
    return false, 3
  elseif text:find("^<[Pp][Oo][Ss][Tt][Mm][Aa][Ss][Tt][Ee][Rr]>") then
    local name = text:sub(2, 11)
    return { address = name, local_part = name, domain = "", is_literal = false }, 13
  end
  local inner = text:byte() == 60 and text:sub(2) or ""
  local at = skip_route(inner)
  local mailbox, size
  if at then
    mailbox, size = take(inner:sub(at), options and options.utf8)
  end
  local behind = mailbox and at + size -- in text
  if not mailbox or text:byte(behind) ~= 62 then
    return nil, "parse address: no path of mail", "invalid"
  end
  return mailbox, behind + 1
end

return address
