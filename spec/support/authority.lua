--- Certificates for specs, of authorities of their own: made by openssl, in a folder.
---
---     local ca = authority.new(here)
---     local www = ca:issue { "localhost", "127.0.0.1" }
---     net.serve("tls://127.0.0.1:0", handler, { tls = { certificate = www.certificate, key = www.key } })
local process = require "spec.support.process"

local authority = {}

---@class spec.pair
---@field certificate string path
---@field key string path
---@field pem string the text of the certificate
---@field key_pem string

---@class spec.authority
---@field folder spec.folder
---@field name string
---@field file string path of its certificate
---@field pem string
local Authority = {}
Authority.__index = Authority

local KEY <const> = { "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes" }

local function openssl(...)
  local status, output, errors = process.run { "openssl", ... }
  if status ~= 0 then
    error(("openssl %s: %s"):format((...), output .. errors), 3)
  end
  return output
end

--- A new authority, whose files go into the folder.
---@param here spec.folder
---@param name? string default "ca"
---@return spec.authority
function authority.new(here, name)
  name = name or "ca"
  local file = here.path .. "/" .. name .. ".pem"
  local self = setmetatable({ folder = here, name = name, file = file }, Authority)
  openssl("req", "-x509", "-new", KEY[1], KEY[2], KEY[3], KEY[4], KEY[5], "-days", "10",
    "-subj", "/CN=Spec " .. name, "-keyout", here.path .. "/" .. name .. ".key", "-out", self.file,
    "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
  self.pem = here:read(name .. ".pem")
  return self
end

local function alternatives(names)
  local list = {}
  for i, name in ipairs(names) do
    list[i] = (name:find "^[%d.]+$" or name:find ":") and "IP:" .. name or "DNS:" .. name
  end
  return table.concat(list, ",")
end

--- A certificate for these names, with its key.
---@param options { [integer]: string, file?: string, days?: integer } days: -1 for one that has expired
---@return spec.pair
function Authority:issue(options)
  local file = self.folder.path .. "/" .. (options.file or options[1]:gsub("%*", "any"))
  openssl("req", "-new", KEY[1], KEY[2], KEY[3], KEY[4], KEY[5], "-subj", "/CN=" .. options[1],
    "-keyout", file .. ".key", "-out", file .. ".csr",
    "-addext", "subjectAltName=" .. alternatives(options), "-addext", "basicConstraints=critical,CA:FALSE",
    "-addext", "extendedKeyUsage=serverAuth,clientAuth")
  local key = self.folder.path .. "/" .. self.name .. ".key"
  openssl("x509", "-req", "-in", file .. ".csr", "-CA", self.file, "-CAkey", key,
    "-days", tostring(options.days or 5), "-copy_extensions", "copyall", "-out", file .. ".pem")
  local name = file:sub(#self.folder.path + 2)
  return {
    certificate = file .. ".pem", key = file .. ".key",
    pem = self.folder:read(name .. ".pem"), key_pem = self.folder:read(name .. ".key"),
  }
end

--- An OCSP response for a certificate of the authority: that it is good.
---@param pair spec.pair
---@return string path
function Authority:staple(pair)
  local here = self.folder.path .. "/"
  local serial = openssl("x509", "-in", pair.certificate, "-noout", "-serial"):match "=(%x+)"
  self.folder:write("index.txt", ("V\t301231235959Z\t\t%s\tunknown\t/CN=any\n"):format(serial))
  openssl("ocsp", "-issuer", self.file, "-cert", pair.certificate, "-no_nonce",
    "-reqout", here .. "request.der")
  openssl("ocsp", "-index", here .. "index.txt", "-rsigner", self.file,
    "-rkey", here .. self.name .. ".key", "-CA", self.file,
    "-reqin", here .. "request.der", "-respout", here .. "staple.der", "-ndays", "5", "-no_nonce")
  return here .. "staple.der"
end

return authority
