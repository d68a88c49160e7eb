--- The client's side of the mechanisms, see moonwire.sasl.
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"
local scram = require "moonwire.sasl.scram"

local client = {}

local ITERATIONS_LEAST <const>, ITERATIONS_MOST <const> = 4096, 10000000

---@class moonwire.sasl_client
---@field private user string
---@field private password string
---@field private conn? moonwire.stream that the proof may be bound to
---@field private binds boolean the proof is bound
---@field private next fun(self, challenge: string?): string?, string?, moonwire.code?
---@field private complete boolean
local Client = { __name = "moonwire.sasl_client" }
Client.__index = Client

local function refuse(why)
  return nil, "authenticate: " .. why, "protocol"
end

local function over()
  return refuse "the server asks for more than there is"
end

local function plain(self)
  self.next, self.complete = over, true
  return "\0" .. self.user .. "\0" .. self.password
end

local function login_password(self)
  self.next, self.complete = over, true
  return self.password
end

local function login(self, challenge)
  if challenge then
    self.next = login_password
    return self.user
  end
end

local function scram_end(self, challenge)
  local signature = codec.base64_decode((challenge or ""):match("^v=([%w+/=]+)") or "") or ""
  if not crypto.equal(signature, self.signature) then
    return refuse "the server does not know the password"
  end
  self.next, self.complete = over, true
  return ""
end

-- Nonce, salt and iterations; nil: nothing that may be answered.
local function read_first(self, challenge)
  local nonce, salt, count = (challenge or ""):match("^r=([!-+%-.-~]+),s=([%w+/=]+),i=(%d+)")
  salt, count = salt and codec.base64_decode(salt), math.tointeger(tonumber(count))
  if not salt or not count or count < ITERATIONS_LEAST or count > ITERATIONS_MOST
    or #nonce <= #self.nonce or nonce:sub(1, #self.nonce) ~= self.nonce then
    return nil
  end
  return nonce, salt, count
end

local function scram_proof(self, challenge)
  local nonce, salt, count = read_first(self, challenge)
  if not nonce then
    return refuse "malformed challenge"
  end
  local client_key, server_key, code = scram.keys(self.password, salt, count)
  if not client_key then
    return nil, server_key, code
  end
  local before = ("c=%s,r=%s"):format(self.bound, nonce)
  local dialogue = ("%s,%s,%s"):format(self.bare, challenge, before)
  local proof = scram.exclusive_or(client_key, scram.sign(scram.stored_key(client_key), dialogue))
  self.signature, self.next = scram.sign(server_key, dialogue), scram_end
  return ("%s,p=%s"):format(before, codec.base64_encode(proof))
end

-- What the first message begins with, and what the proof says of the connection.
local function bind(self)
  local kind, bytes = scram.best_binding(self.conn)
  if not self.binds then
    return kind and "y,," or "n,,", ""
  end
  return ("p=%s,,"):format(kind), bytes
end

local function scram_first(self)
  local header, bytes = bind(self)
  self.bound = codec.base64_encode(header .. bytes)
  self.nonce, self.next = scram.nonce(), scram_proof
  self.bare = ("n=%s,r=%s"):format(self.user:gsub("=", "=3D"):gsub(",", "=2C"), self.nonce)
  return header .. self.bare
end

local MECHANISMS <const> = {
  PLAIN = plain, LOGIN = login, ["SCRAM-SHA-256"] = scram_first, ["SCRAM-SHA-256-PLUS"] = scram_first,
}

--- A dialogue.
---@param mechanism string
---@param options moonwire.sasl.client_options
---@param conn? moonwire.stream
---@return moonwire.sasl_client? dialogue
---@return string? err
---@return moonwire.code? code
function client.new(mechanism, options, conn)
  local first, binds = MECHANISMS[mechanism], mechanism:find("-PLUS", 1, true) ~= nil
  if not first or binds and not scram.best_binding(conn) then
    return nil, ("authenticate: no mechanism %s"):format(mechanism), "unsupported"
  end
  return setmetatable({
    user = options.user, password = options.password, conn = conn, binds = binds,
    next = first, complete = false,
  }, Client)
end

--- What to send. May wait.
---@param challenge? string nil: there was none yet
---@return string? response nil without err: nothing, until there is a challenge
---@return string? err
---@return moonwire.code? code "protocol": the server is not to be believed; and as of crypto.pbkdf2
function Client:step(challenge)
  return self.next(self, challenge)
end

--- Whether the server has shown all that it must before its word for success counts.
---@return boolean
function Client:is_complete()
  return self.complete
end

return client
