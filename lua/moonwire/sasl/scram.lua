--- What both sides of SCRAM-SHA-256 compute (RFC 5802, RFC 7677). Not for scripts.
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"

local scram = {}

local HASH <const> = "sha256"
local SIZE <const> = 32

---@class moonwire.sasl.verifier
---@field salt string
---@field iterations integer
---@field stored_key string
---@field server_key string

--- The bits that are in one of two texts of 32 bytes, and not in both.
---@param a string
---@param b string
---@return string
function scram.exclusive_or(a, b)
  local a1, a2, a3, a4 = string.unpack("<i8i8i8i8", a)
  local b1, b2, b3, b4 = string.unpack("<i8i8i8i8", b)
  return string.pack("<i8i8i8i8", a1 ~ b1, a2 ~ b2, a3 ~ b3, a4 ~ b4)
end

--- The keys of a password. Waits while a thread works.
---@param password string
---@param salt string
---@param iterations integer
---@return string? client_key nil: they could not be computed
---@return string server_key or err
---@return moonwire.code? code
function scram.keys(password, salt, iterations)
  local salted, err, code = crypto.pbkdf2(password, salt,
    { digest = HASH, iterations = iterations, length = SIZE })
  if not salted then
    return nil, err, code
  end
  return crypto.hmac(HASH, salted, "Client Key"), crypto.hmac(HASH, salted, "Server Key")
end

--- What a server keeps of a key of clients.
---@param client_key string
---@return string
function scram.stored_key(client_key)
  return crypto.digest(HASH, client_key)
end

--- What both sides sign the dialogue with.
---@param key string
---@param dialogue string
---@return string
function scram.sign(key, dialogue)
  return crypto.hmac(HASH, key, dialogue)
end

--- A random text that stands for one dialogue.
---@return string
function scram.nonce()
  return codec.base64_encode(crypto.random_bytes(18))
end

--- Reads what is kept of a password.
---@param text string
---@return moonwire.sasl.verifier? verifier nil: it is none
function scram.parse(text)
  local iterations, salt, stored, served = text:match(
    "^SCRAM%-SHA%-256%$(%d+):([%w+/=]+)%$([%w+/=]+):([%w+/=]+)$")
  if not iterations or #iterations > 8 or tonumber(iterations) == 0 then
    return nil
  end
  salt, stored, served = codec.base64_decode(salt), codec.base64_decode(stored), codec.base64_decode(served)
  if not (salt and stored and served) or #salt == 0 or #stored ~= SIZE or #served ~= SIZE then
    return nil
  end
  return { salt = salt, iterations = tonumber(iterations), stored_key = stored, server_key = served }
end

--- What names the connection to both ends, by its kind.
---@param conn moonwire.stream? nil: there is none
---@param kind string "tls-exporter", "tls-server-end-point"; others are not known
---@return string? bytes
function scram.binding(conn, kind)
  if conn and (kind == "tls-exporter" or kind == "tls-server-end-point") then
    return (conn:channel_binding(kind))
  end
end

--- The best kind that there is for a connection.
---@param conn moonwire.stream? nil: there is none
---@return string? kind nil: nothing names it
---@return string? bytes
function scram.best_binding(conn)
  for _, kind in ipairs { "tls-exporter", "tls-server-end-point" } do
    local bytes = scram.binding(conn, kind)
    if bytes then
      return kind, bytes
    end
  end
end

--- The attribute of a message: `r=…`.
---@param message string
---@param name string a letter
---@return string?
function scram.attribute(message, name)
  return ("," .. message):match("," .. name .. "=([^,]*)")
end

return scram
