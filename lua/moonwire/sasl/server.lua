--- The server's side of the mechanisms, see moonwire.sasl.
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"
local scram = require "moonwire.sasl.scram"

local server = {}

local MOST <const> = 1024 -- bytes of a name or a password
local NONCE_MOST <const> = 256

---@class moonwire.sasl_server
---@field private users moonwire.sasl_credentials
---@field private conn? moonwire.stream that a proof may be bound to
---@field private binds boolean a proof must be bound
---@field private next fun(self, response: string?): string?, string?, moonwire.code?
---@field user string? whom the client says it is, once it has
local Server = { __name = "moonwire.sasl_server" }
Server.__index = Server

local function malformed()
  return nil, "authenticate: malformed response", "invalid"
end

local function wrong()
  return nil, "authenticate: wrong user or password", "denied"
end

local function is_text(text)
  return #text > 0 and #text <= MOST and utf8.len(text) ~= nil and not text:find("[%c\127]")
end

-- Ends with a password.
local function check_password(self, user, password)
  if not is_text(user) or not is_text(password) then
    return malformed()
  end
  self.user = user
  local ok, err, code = self.users:verify(user, password)
  if ok == nil then
    return nil, err, code
  elseif not ok then
    return wrong()
  end
  return "success", user
end

local function plain(self, response)
  if not response then
    return "challenge", ""
  end
  local other, user, password = response:match("^([^%z]*)%z([^%z]*)%z([^%z]*)$")
  if not other then
    return malformed()
  elseif other ~= "" and other ~= user then
    return nil, "authenticate: nobody acts for another", "denied"
  end
  return check_password(self, user, password)
end

local function login_password(self, response)
  return check_password(self, self.user, response or "")
end

local function login(self, response)
  if not response then
    return "challenge", "Username:"
  elseif not is_text(response) then
    return malformed()
  end
  self.user, self.next = response, login_password
  return "challenge", "Password:"
end

local function scram_end(self, response)
  if response ~= "" then
    return malformed()
  end
  return "success", self.user
end

local function scram_proof(self, response)
  local before, proof = (response or ""):match("^(.*),p=([%w+/=]+)$")
  proof = proof and codec.base64_decode(proof)
  if not proof or #proof ~= 32 or before:match("^c=([%w+/=]*),r=") ~= self.bound
    or scram.attribute(before, "r") ~= self.nonce then
    return malformed()
  end
  local dialogue = self.dialogue .. "," .. before
  local verifier = self.verifier
  local key = scram.exclusive_or(proof, scram.sign(verifier.stored_key, dialogue))
  if not crypto.equal(scram.stored_key(key), verifier.stored_key) or not self.can_match then
    return wrong()
  end
  self.next = scram_end
  return "challenge", "v=" .. codec.base64_encode(scram.sign(verifier.server_key, dialogue))
end

-- What a name is that is written with "=2C" and "=3D"; nil: it is none.
local function read_name(text)
  local rest = text:gsub("=2C", ""):gsub("=3D", "")
  local name = text:gsub("=2C", ","):gsub("=3D", "=")
  return not rest:find("=", 1, true) and is_text(name) and name or nil
end

-- The header, the rest, user and nonce of a client's first message; nil: it is none.
local function read_first(response)
  local header, other, bare = response:match("^([nyp][^,]*,(a?=?[^,]*),)(n=.*)$")
  local name, nonce = (bare or ""):match("^n=([^,]*),r=([!-+%-.-~]+)")
  name = name and read_name(name)
  if not name or #nonce > NONCE_MOST or other ~= "" and read_name(other:match("^a=(.*)$") or "") ~= name then
    return nil
  end
  return header, bare, name, nonce
end

-- What the proof has to say of the connection, in base64: the client's header, and behind "p" what names the
-- connection. "y" says that the client would bind if we could: where we can, somebody has hidden that.
local function bound_by(self, header)
  local flag, kind = header:match("^([nyp])=?([^,]*),")
  if self.binds ~= (flag == "p") or flag ~= "p" and kind ~= "" then
    return malformed()
  elseif flag == "y" and scram.best_binding(self.conn) then
    return nil, "authenticate: somebody has hidden that the channel can be bound", "denied"
  end
  local bytes = flag ~= "p" and "" or scram.binding(self.conn, kind)
  if not bytes then
    return nil, ("authenticate: no channel binding %q"):format(kind), "denied"
  end
  return codec.base64_encode(header .. bytes)
end

local function scram_first(self, response)
  if not response then
    return "challenge", ""
  end
  local header, bare, name, nonce = read_first(response)
  if not header then
    return malformed()
  end
  local bound, why, problem = bound_by(self, header)
  if not bound then
    return nil, why, problem
  end
  local verifier, can_match, code = self.users:scram(name)
  if not verifier then
    return nil, can_match, code
  end
  self.user, self.bound, self.verifier, self.can_match = name, bound, verifier, can_match
  self.nonce, self.next = nonce .. scram.nonce(), scram_proof
  local first = ("r=%s,s=%s,i=%d"):format(self.nonce, codec.base64_encode(verifier.salt), verifier.iterations)
  self.dialogue = bare .. "," .. first
  return "challenge", first
end

local MECHANISMS <const> = {
  PLAIN = plain, LOGIN = login, ["SCRAM-SHA-256"] = scram_first, ["SCRAM-SHA-256-PLUS"] = scram_first,
}

--- A dialogue.
---@param mechanism string
---@param users moonwire.sasl_credentials
---@param conn? moonwire.stream
---@return moonwire.sasl_server? dialogue
---@return string? err
---@return moonwire.code? code
function server.new(mechanism, users, conn)
  local first, binds = MECHANISMS[mechanism], mechanism:find("-PLUS", 1, true) ~= nil
  if not first or binds and not scram.best_binding(conn) then
    return nil, ("authenticate: no mechanism %s"):format(mechanism), "unsupported"
  end
  return setmetatable({ users = users, next = first, conn = conn, binds = binds }, Server)
end

local function over()
  return nil, "authenticate: the dialogue is over", "closed"
end

--- Takes a response of the client. May wait.
---@param response? string nil: the client has sent none yet
---@return "challenge"|"success"|nil what
---@return string? text the challenge, the user, or err
---@return moonwire.code? code
function Server:step(response)
  local what, text, code = self.next(self, response)
  if what ~= "challenge" then
    self.next = over
  end
  return what, text, code
end

return server
