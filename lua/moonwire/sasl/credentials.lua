--- The users of a server, and whether a password is right. Who does not exist takes as long as who does.
local check = require "moonwire.check"
local crypto = require "moonwire.crypto"
local password = require "moonwire.password"
local scram = require "moonwire.sasl.scram"
local sync = require "moonwire.sync"

local credentials = {}

local ITERATIONS <const> = 4096
local AT_A_TIME <const>, PATIENCE <const> = 2, 10 -- passwords that are computed; seconds that others wait
local SALT_SIZE <const> = 16

---@class moonwire.sasl_credentials
---@field private find fun(user: string): string?
---@field private secret string
---@field private nobody string? what is kept of some user, and takes long to compute: others shall, too
---@field private has_hashes boolean
---@field private turns moonwire.semaphore
local Credentials = { __name = "moonwire.sasl_credentials" }
Credentials.__index = Credentials

-- What is kept of some user: whether there are hashes, and one of what takes long to compute.
local function survey(users)
  local has_hashes, slow = false, nil
  for _, kept in pairs(users) do
    local is_hash = password.is_hash(kept)
    has_hashes = has_hashes or is_hash
    slow = (is_hash or scram.parse(kept)) and kept or slow
  end
  return has_hashes, slow
end

--- Users, of a table or of what looks them up.
---@param users table<string, string>|fun(user: string): string?
---@return moonwire.sasl_credentials
function credentials.new(users)
  local is_table = type(users) == "table"
  local has_hashes, slow = survey(is_table and users or {})
  local find = is_table and function(user)
    return users[user]
  end or users
  return setmetatable({
    find = find, secret = crypto.random_bytes(32), nobody = slow, has_hashes = has_hashes,
    turns = sync.semaphore(AT_A_TIME),
  }, Credentials)
end

local releasing = { __close = function(turn) turn.turns:release() end }

-- Computes something that takes a thread, a few at a time.
local function in_turn(self, fn, ...)
  local ok, err, code = self.turns:acquire(PATIENCE)
  if not ok then
    return nil, err, code
  end
  local turn <close> = setmetatable({ turns = self.turns }, releasing) -- luacheck: ignore 211
  return fn(...)
end

-- The keys of a password, as what is kept of it.
local function derive(text, salt, iterations)
  local client_key, server_key, code = scram.keys(text, salt, iterations)
  if not client_key then
    return nil, server_key, code
  end
  return {
    salt = salt, iterations = iterations, stored_key = scram.stored_key(client_key), server_key = server_key,
  }
end

local function matches_verifier(text, verifier)
  local made, err, code = derive(text, verifier.salt, verifier.iterations)
  if not made then
    return nil, err, code
  end
  return crypto.equal(made.stored_key, verifier.stored_key)
end

-- Whether a password is the one of which something is kept that takes long to compute.
local function matches_slowly(self, text, kept)
  local verifier = scram.parse(kept)
  if verifier then
    return in_turn(self, matches_verifier, text, verifier)
  end
  return in_turn(self, password.verify, text, kept)
end

--- Whether a password is that of a user. May wait.
---@param user string
---@param text string
---@return boolean? is_right
---@return string? err
---@return moonwire.code? code "full", "timeout", "memory": it could not be told
function Credentials:verify(user, text)
  check.object(self, Credentials, "verify")
  check.type(user, "string", 1, "verify")
  check.type(text, "string", 2, "verify")
  local kept = self.find(user)
  if kept and not password.is_hash(kept) and not scram.parse(kept) then
    return crypto.equal(crypto.digest("sha256", text), crypto.digest("sha256", kept))
  elseif not kept and not self.nobody then
    return false
  end
  self.nobody = kept or self.nobody
  local ok, err, code = matches_slowly(self, text, self.nobody)
  if ok == nil then
    return nil, err, code
  end
  return ok and kept ~= nil
end

--- Whether all users can prove with SCRAM who they are: not from a hash of another kind.
---@return boolean
function Credentials:has_scram()
  check.object(self, Credentials, "has_scram")
  return not self.has_hashes
end

--- What SCRAM needs of a user. Of who does not exist, or has a hash only: what nobody can match. May wait.
---@param user string
---@return moonwire.sasl.verifier? verifier
---@return string|boolean err or whether the user can match it
---@return moonwire.code? code "full", "timeout", "memory"
function Credentials:scram(user)
  check.object(self, Credentials, "scram")
  check.type(user, "string", 1, "scram")
  local kept = self.find(user)
  local verifier = kept and scram.parse(kept)
  if verifier then
    return verifier, true
  end
  local is_plain = kept and not password.is_hash(kept) or false
  local salt = crypto.hmac("sha256", self.secret, user):sub(1, SALT_SIZE)
  local made, err, code = in_turn(self, derive, is_plain and kept or self.secret, salt, ITERATIONS)
  if not made then
    return nil, err, code
  end
  return made, is_plain
end

return credentials
