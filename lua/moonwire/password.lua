--- What a server keeps of passwords: scrypt with a salt of each, as a text. Part of moonwire.http.auth and
--- moonwire.sasl. Not for scripts.
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"

local password = {}

local N <const>, R <const>, P <const> = 32768, 8, 3
local N_MOST <const> = 1048576

local function write(n, r, p, salt, key)
  return ("$scrypt$n=%d,r=%d,p=%d$%s$%s"):format(
    n, r, p, codec.base64url_encode(salt), codec.base64url_encode(key))
end

--- The text to keep. Waits while a thread works.
---@param text string
---@param n? integer cost, a power of 2; default 32768
---@return string? hash
---@return string? err
---@return moonwire.code? code as of crypto.scrypt
function password.hash(text, n)
  local salt = crypto.random_bytes(16)
  local key, err, code = crypto.scrypt(text, salt, { n = n or N, r = R, p = P })
  if not key then
    return nil, err, code
  end
  return write(n or N, R, P, salt, key)
end

-- Whether crypto.scrypt takes them.
local function are_costs(n, r, p)
  return n >= 2 and n <= N_MOST and n & (n - 1) == 0 and r >= 1 and r <= 64 and p >= 1 and p <= 64
    and 128 * n * r <= 256 * 1024 * 1024 and n * r * p <= 67108864
end

-- Costs, salt and key; nil: it is no text of ours.
local function parse(hash)
  local n, r, p, salt, key = hash:match("^%$scrypt%$n=(%d+),r=(%d+),p=(%d+)%$([%w_-]+)%$([%w_-]+)$")
  n, r, p = math.tointeger(tonumber(n)), math.tointeger(tonumber(r)), math.tointeger(tonumber(p))
  salt, key = salt and codec.base64url_decode(salt), key and codec.base64url_decode(key)
  if not (n and r and p and salt and key) or not are_costs(n, r, p) or #key < 16 or #key > 64 then
    return nil
  end
  return { n = n, r = r, p = p, length = #key }, salt, key
end

--- Whether a text is one that hash has made.
---@param hash any
---@return boolean
function password.is_hash(hash)
  return type(hash) == "string" and parse(hash) ~= nil
end

--- Whether a password is the one of a hash. Waits while a thread works.
---@param text string
---@param hash string
---@return boolean? is_right
---@return string? err
---@return moonwire.code? code "invalid": no hash; and as of crypto.scrypt
function password.verify(text, hash)
  local costs, salt, key = parse(hash)
  if not costs then
    return nil, "verify password: no hash of one", "invalid"
  end
  local made, err, code = crypto.scrypt(text, salt, costs)
  if not made then
    return nil, err, code
  end
  return crypto.equal(made, key)
end

--- A hash that no password has, with the costs of another: to take as long for users that there are not.
---@param hash? string default: the default costs
---@return string
function password.like(hash)
  local costs = hash and parse(hash) or { n = N, r = R, p = P, length = 32 }
  return write(costs.n, costs.r, costs.p, crypto.random_bytes(16), crypto.random_bytes(costs.length))
end

return password
