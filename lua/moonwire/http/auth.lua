--- Who may: passwords (Basic, RFC 7617) and tokens (Bearer, RFC 6750) in the field
--- "Authorization". Both go in clear: use them over https.
---
---     app:use(auth.basic { realm = "admin", users = { ann = ctx.config.hash_of_ann } })
local check = require "moonwire.check"
local codec = require "moonwire.codec"
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local log = require "moonwire.log"
local password = require "moonwire.password"
local sync = require "moonwire.sync"

---@class moonwire.http.auth
local auth = {}

local PASSWORD_MOST <const> = 1024 -- bytes
local REMEMBERED_MOST <const> = 1000
local REMEMBER <const> = 300 -- seconds
local AT_A_TIME <const>, PATIENCE <const> = 2, 5 -- passwords that are computed; seconds that others wait
local WORDS <const> = { [400] = "not understood", [401] = "who are you?", [403] = "not allowed" }
local BASIC_KNOWN <const> = {
  realm = "string", users = "table", check = "function", remember = "number",
}
local BEARER_KNOWN <const> = { realm = "string", check = "function", scope = "string" }

---@class moonwire.http.basic_options
---@field realm? string what browsers show beside the question; default "restricted"
---@field users? table<string, string> name → hash of auth.hash_password
--- Instead of `users`: the user for a name and a password, anything but nil and false; true: the name. May
--- wait.
---@field check? fun(name: string, password: string, request: moonwire.http.request): any
--- Seconds for which a password of `users` that was right is not computed again; default 300, 0: each time.
---@field remember? number

---@class moonwire.http.bearer_options
---@field realm? string default "restricted"
--- The user for a token, anything but nil and false; may wait. `nil, "insufficient_scope"`: a token that is
--- good, but not for this. Required.
---@field check fun(token: string, request: moonwire.http.request): any, string?
---@field scope? string what a token has to be good for, to be told to clients

local function is_quotable(text)
  return text == nil or text:find('^[ !#-Z%[%]^-~]*$') ~= nil
end

local function refuse(request, response, status, challenge, user)
  log.info("authentication failed", { status = status, user = user, path = request.path })
  response:header("WWW-Authenticate", challenge):header("Cache-Control", "no-store"):status(status)
  response:send(("%d: %s\n"):format(status, WORDS[status]))
end

-- Nobody could be asked; nothing is said of the password.
local function refuse_for_now(response, err)
  log.warn("authentication is not possible", { err = err })
  response:header("Retry-After", "2"):status(503)
  response:send("503: try again later\n")
end

-- Name and password; nil: there are none, or no good ones.
local function parse_basic(field)
  local text = field and field:match("^[Bb][Aa][Ss][Ii][Cc] +([%w+/]+=*)$")
  local pair = text and codec.base64_decode(text)
  local name, secret = (pair or ""):match("^([^:%c]*):(.*)$")
  if name and #secret <= PASSWORD_MOST and not secret:find("[%c\127]") then
    return name, secret
  end
end

---@class moonwire.http.basic_users
---@field users table<string, string>
---@field nobody string a hash
---@field secret string
---@field remember number
---@field known table<string, number> proof of a name and its password → when it is forgotten
---@field count integer
---@field turns moonwire.semaphore

local function remember(self, proof)
  if self.count >= REMEMBERED_MOST then
    self.known, self.count = {}, 0
  end
  self.count = self.count + (self.known[proof] and 0 or 1)
  self.known[proof] = core.now() + self.remember
end

local releasing = { __close = function(turn) turn.turns:release() end }

local function is_known(self, proof)
  local until_when = self.known[proof]
  return until_when ~= nil and core.now() < until_when
end

-- A client that has just come asks many times at once: what one of these has found out holds for all.
local function verify(self, name, secret)
  local hash = self.users[name]
  local proof = crypto.hmac("sha256", self.secret, name .. ":" .. secret)
  if hash and is_known(self, proof) then
    return true
  end
  local ok, err, code = self.turns:acquire(PATIENCE)
  if not ok then
    return nil, err, code
  end
  local turn <close> = setmetatable({ turns = self.turns }, releasing) -- luacheck: ignore 211
  if hash and is_known(self, proof) then
    return true
  end
  ok, err, code = password.verify(secret, hash or self.nobody)
  if ok and hash and self.remember > 0 then
    remember(self, proof)
  end
  return ok and hash ~= nil, ok == nil and err or nil, code
end

-- A function as of the option `check`, from a table of users. Nil, err: it could not be told.
local function check_users(options)
  local _, some = next(options.users)
  local self = {
    users = options.users, nobody = password.like(some), secret = crypto.random_bytes(32),
    known = {}, count = 0, remember = options.remember or REMEMBER, turns = sync.semaphore(AT_A_TIME),
  }
  return function(name, secret)
    local ok, err = verify(self, name, secret)
    if err then
      return nil, err
    end
    return ok
  end
end

local function problem_of_basic(options)
  if not is_quotable(options.realm) then
    return "option 'realm': ASCII without quotes and backslashes expected"
  elseif (options.users ~= nil) == (options.check ~= nil) then
    return "either 'users' or 'check' expected"
  end
  for name, hash in pairs(options.users or {}) do
    if type(name) ~= "string" or name:find("[:%c]") then
      return ("option 'users': '%s' is no name"):format(tostring(name))
    elseif not password.is_hash(hash) then
      return ("option 'users': what is kept of %s is no hash of auth.hash_password"):format(name)
    end
  end
end

--- A middleware that asks for a name and a password. `request.user` is the user.
---@param options moonwire.http.basic_options
---@return moonwire.http.middleware
function auth.basic(options)
  check.type(options, "table", 1, "basic")
  check.options(options, BASIC_KNOWN, 1, "basic")
  local problem = problem_of_basic(options)
  if problem then
    check.refuse(1, "basic", problem)
  end
  local find = options.check or check_users(options)
  local challenge = ('Basic realm="%s", charset="UTF-8"'):format(options.realm or "restricted")
  return function(next_handler)
    return function(request, response, ctx)
      local name, secret = parse_basic(request:header("authorization"))
      local user, err
      if name then
        user, err = find(name, secret, request)
      end
      if err then
        return refuse_for_now(response, err)
      elseif not user then
        return refuse(request, response, 401, challenge, name)
      end
      request.user = user == true and name or user
      return next_handler(request, response, ctx)
    end
  end
end

-- Why a token is refused: status, and what the challenge says of it (RFC 6750 §3.1).
local function judge(options, request)
  local field = request:header("authorization")
  if not field or not field:find("^[Bb][Ee][Aa][Rr][Ee][Rr]%f[^%w]") then
    return nil, 401
  end
  local token = field:match("^%a+ +([%w%-._~+/]+=*)$")
  if not token then
    return nil, 400, "invalid_request"
  end
  local user, problem = options.check(token, request)
  if user then
    return user
  elseif problem == "insufficient_scope" then
    return nil, 403, problem
  end
  return nil, 401, "invalid_token"
end

--- A middleware that asks for a token. `request.user` is the user.
---@param options moonwire.http.bearer_options
---@return moonwire.http.middleware
function auth.bearer(options)
  check.type(options, "table", 1, "bearer")
  check.options(options, BEARER_KNOWN, 1, "bearer")
  if not options.check then
    check.refuse(1, "bearer", "option 'check': a function expected")
  elseif not is_quotable(options.realm) or not is_quotable(options.scope) then
    check.refuse(1, "bearer", "realm and scope: ASCII without quotes and backslashes expected")
  end
  local challenge = ('Bearer realm="%s"'):format(options.realm or "restricted")
  local scope = options.scope and (', scope="%s"'):format(options.scope) or ""
  return function(next_handler)
    return function(request, response, ctx)
      local user, status, problem = judge(options, request)
      if user then
        request.user = user
        return next_handler(request, response, ctx)
      end
      local why = problem and (', error="%s"'):format(problem) or ""
      return refuse(request, response, status, challenge .. scope .. why)
    end
  end
end

---@class moonwire.http.password_options
---@field n? integer cost, a power of 2, up to 262144; default 32768

local PASSWORD_KNOWN <const> = { n = "integer" }

--- What to keep of a password (scrypt, with a salt of its own): a text of about
--- 100 characters. Slow on purpose; waits while a thread works.
---@param text string
---@param options? moonwire.http.password_options
---@return string? hash
---@return string? err
---@return moonwire.code? code "full", "memory"
function auth.hash_password(text, options)
  check.type(text, "string", 1, "hash_password")
  check.options(options, PASSWORD_KNOWN, 2, "hash_password")
  local n = options and options.n
  if n and (n & (n - 1) ~= 0 or n < 2 or n > 262144) then
    check.refuse(2, "hash_password", "option 'n': a power of 2 up to 262144 expected")
  end
  return password.hash(text, n)
end

--- Whether a password is the one that a hash was made of. Slow, as hash_password.
---@param text string
---@param hash string
---@return boolean? is_right
---@return string? err
---@return moonwire.code? code "invalid": no hash of hash_password; "full", "memory"
function auth.verify_password(text, hash)
  check.type(text, "string", 1, "verify_password")
  check.type(hash, "string", 2, "verify_password")
  return password.verify(text, hash)
end

--- Whether two secrets are the same, in a time that does not tell how much of
--- them is: for `check` functions.
---@param a string
---@param b string
---@return boolean
function auth.is_same(a, b)
  check.type(a, "string", 1, "is_same")
  check.type(b, "string", 2, "is_same")
  return crypto.equal(crypto.digest("sha256", a), crypto.digest("sha256", b))
end

return auth
