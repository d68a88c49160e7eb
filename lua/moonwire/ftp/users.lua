--- Passwords of a table of users. Not for scripts.
local crypto = require "moonwire.crypto"
local password = require "moonwire.http.password"
local sync = require "moonwire.sync"

local users = {}

local AT_A_TIME <const>, PATIENCE <const> = 2, 5 -- passwords that are computed; seconds that others wait
local PASSWORD_MOST <const> = 1024 -- bytes

local releasing = { __close = function(turn) turn.turns:release() end }

local function verify_hash(turns, secret, hash)
  local ok = turns:acquire(PATIENCE)
  if not ok then
    return nil, "Too many log in, try again later"
  end
  local turn <close> = setmetatable({ turns = turns }, releasing) -- luacheck: ignore 211
  local is_right = password.verify(secret, hash)
  if is_right == nil then
    return nil, "Not now, try again later"
  end
  return is_right
end

local function is_same(a, b)
  return crypto.equal(crypto.digest("sha256", a), crypto.digest("sha256", b))
end

--- A function that tells whether a password is the user's. A user that there is not takes as long as another.
---@param secrets table<string, string> passwords, or hashes of moonwire.http.password
---@return fun(name: string, secret: string): boolean?, string? err for the client: it could not be told
function users.verifier(secrets)
  local turns, _, some = sync.semaphore(AT_A_TIME), next(secrets)
  local nobody = password.is_hash(some) and password.like(some) or crypto.random_bytes(16)
  return function(name, secret)
    local kept = secrets[name]
    local is_right, err
    if #secret > PASSWORD_MOST then
      return false
    elseif password.is_hash(kept or nobody) then
      is_right, err = verify_hash(turns, secret, kept or nobody)
    else
      is_right = is_same(secret, kept or nobody)
    end
    if err then
      return nil, err
    end
    return is_right and kept ~= nil
  end
end

return users
