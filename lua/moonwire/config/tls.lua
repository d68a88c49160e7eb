--- What a service says of TLS: its certificates, and what of its clients. Not for scripts.
local kind = require "moonwire.config.kind"

local tls = {}

local HOUR <const> = 3600

-- PEM texts say so: "-----BEGIN CERTIFICATE-----".
local TEXT <const> = "^%s*%-%-%-%-%-BEGIN "

-- A file, seen from the folder of the config; or what is in it, as credential() gives it.
local function source(what)
  local expected = ("the path of %s, or its text"):format(what)
  return {
    expected = expected,
    read = function(value, at)
      if type(value) ~= "string" or value == "" or not value:find(TEXT) and value:find "%c" then
        at:expect(expected, value)
      end
      local folder = at.file:match "^(.*/)" or ""
      local is_here = value:find(TEXT) or value:sub(1, 1) == "/"
      return is_here and value or folder .. value
    end,
  }
end

local version = {
  expected = "1.2 or 1.3",
  read = function(value, at)
    if value ~= 1.2 and value ~= 1.3 then
      at:expect("1.2 or 1.3", value)
    end
    return value == 1.2 and 12 or 13
  end,
}

local pair = {
  { name = "certificate", kind = source "a PEM certificate with its chain", example = "tls/fullchain.pem",
    why = "the certificate, and behind it those that lead to an authority" },
  { name = "key", kind = source "its PEM key", example = "tls/key.pem",
    why = "its key, which root alone need be able to read" },
  { name = "staple", kind = source "an OCSP response", example = "tls/staple.der",
    why = "an OCSP response (DER), for clients that ask for one" },
}

local function check_pair(given, at)
  if given.certificate and not given.key then
    at:below("key"):expect(pair[2].kind.expected, nil)
  elseif not given.certificate and (given.key or given.staple) then
    at:below("certificate"):expect(pair[1].kind.expected, nil)
  end
  return given
end

local one_pair = kind.options(pair, false)

local listed = {
  expected = "tables of certificate, key and staple",
  read = function(value, at)
    local given = check_pair(one_pair.read(value, at), at)
    if not given.certificate then
      at:below("certificate"):expect(pair[1].kind.expected, nil)
    end
    return given
  end,
}

local protocol = kind.text("the name of a protocol", "^[%g]+$")

--- What a table of TLS may have.
---@type moonwire.config.fields
tls.fields = {
  pair[1], pair[2], pair[3],
  { name = "certificates", kind = kind.list(listed, "tables of certificate, key and staple"), default = {},
    why = "more of them: each client gets that of the name it asks for, or else the first" },
  { name = "authorities", kind = source "PEM certificates", example = "tls/clients.pem",
    why = "who signs the certificates of clients" },
  { name = "verify", kind = kind.choice { "none", "optional", "required" }, default = "none",
    why = "whether clients must show a certificate of these authorities" },
  { name = "protocols", kind = kind.list(protocol, "names of protocols"), default = {},
    why = "for ALPN, the best first, such as http/1.1" },
  { name = "least_version", kind = version, default = 1.2, why = "of the protocol" },
  { name = "handshake_timeout", kind = kind.duration(0.1, HOUR), default = "10s",
    why = "what a handshake may take" },
  { name = "handshakes", kind = kind.integer(1, 1000000), default = 1000,
    why = "at once in each worker; connections beyond are refused" },
}

local options = kind.options(tls.fields)

local EXPECTED <const> = 'a table of options or "auto"'

-- Texts and names of files go by different names from here on.
local function set(plain, key, value)
  if value then
    plain[value:find(TEXT) and key .. "_pem" or key] = value
  end
end

local function plain_pair(given)
  local plain = { staple = given.staple }
  set(plain, "certificate", given.certificate)
  set(plain, "key", given.key)
  return plain
end

local function check(given, at)
  if not given.certificate and #given.certificates == 0 then
    at:fail('%s: a server needs a certificate and its key; add both, or say tls = "auto" to try things out',
      at.key)
  elseif given.verify ~= "none" and not given.authorities then
    at:fail("%s: says nothing without authorities; add authorities = FILE", at:below("verify").key)
  end
end

local function to_plain(given)
  local plain = {
    pairs = {}, verify = given.verify, least_version = given.least_version, handshakes = given.handshakes,
    protocols = #given.protocols > 0 and given.protocols or nil, handshake_timeout = given.handshake_timeout,
  }
  set(plain, "authorities", given.authorities)
  if given.certificate then
    plain.pairs[1] = plain_pair(given)
  end
  for _, one in ipairs(given.certificates) do
    plain.pairs[#plain.pairs + 1] = plain_pair(one)
  end
  return plain
end

--- A kind of option: read into the options that a TLS context is made of, see src/script/tls_settings.h;
--- "auto" into { automatic = true }.
---@type moonwire.config.kind
tls.kind = {
  expected = EXPECTED,
  fields = tls.fields,
  read = function(value, at)
    if value == "auto" then
      return { automatic = true }
    elseif type(value) ~= "table" then
      at:expect(EXPECTED, value)
    end
    local given = check_pair(options.read(value, at), at)
    check(given, at)
    return to_plain(given)
  end,
}

--- The files that such options name.
---@param plain table
---@return { name: string, secret: boolean }[]
function tls.files(plain)
  local files = {}
  local function add(name, secret)
    if name then
      files[#files + 1] = { name = name, secret = secret }
    end
  end
  for _, one in ipairs(plain.pairs) do
    add(one.certificate, false)
    add(one.key, true)
    add(one.staple, false)
  end
  add(plain.authorities, false)
  return files
end

return tls
