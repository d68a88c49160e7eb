--- Sessions in signed cookies: what a visitor is remembered by, without anything
--- kept at the server. A visitor can read a session that is not encrypted, but
--- not change it.
---
---     app:use(session.new { keys = { ctx.config.session_key } })
---     app:post("/login", function(request, response)
---       request.session.user = "ann"
---       response:redirect("/")
---     end)
local before_head = require "moonwire.http.before_head"
local check = require "moonwire.check"
local codec = require "moonwire.codec"
local cookie = require "moonwire.http.cookie"
local crypto = require "moonwire.crypto"
local json = require "moonwire.json"
local log = require "moonwire.log"

local session = {}

local DAY <const> = 86400
local KEY_LEAST <const> = 32 -- bytes
local NONCE <const>, MAC <const> = 9, 18 -- bytes of a token against forged requests
local KNOWN <const> = {
  keys = "table", name = "string", encrypt = "boolean", max_age = "integer", persistent = "boolean",
  path = "string", domain = "string", secure = "boolean", same_site = { strict = true, lax = true },
}

---@class moonwire.http.session_options
---@field keys string[] secrets of 32 bytes at least: the first signs, the others are still taken
---@field name? string of the cookie; default "session"
---@field encrypt? boolean whether visitors cannot read what it has; default false
---@field max_age? integer seconds that it counts, from the last time it was set; default 86400
---@field persistent? boolean whether the cookie outlives the browser, for max_age; default false
---@field path? string as of cookie.encode
---@field domain? string as of cookie.encode
---@field secure? boolean as of cookie.encode; default: as the request came
---@field same_site? "strict"|"lax" as of cookie.encode

-- A middleware's own.
---@class moonwire.http.session_settings
---@field name string
---@field max_age integer
---@field keys { sign: string, seal: string }[]
---@field encrypt boolean
---@field cookie moonwire.http.cookie_options

local function derive_keys(list)
  local keys = {}
  for i, key in ipairs(list) do
    if type(key) ~= "string" or #key < KEY_LEAST then
      return nil, ("keys[%d]: a string of at least %d random bytes expected"):format(i, KEY_LEAST)
    end
    keys[i] = {
      sign = crypto.hkdf("sha256", key, 32, { info = "moonwire session signature" }),
      seal = crypto.hkdf("sha256", key, 32, { info = "moonwire session seal" }),
    }
  end
  if not keys[1] then
    return nil, "option 'keys': a list with one key at least expected"
  end
  return keys
end

local function signature(self, key, payload)
  return crypto.hmac("sha256", key.sign, self.name .. "\0" .. payload)
end

-- The token for a session. Its payload is the second at which it ends, and the data as JSON.
local function write(self, text)
  local payload = string.pack(">I8", os.time() + self.max_age) .. text
  local key = self.keys[1]
  if self.encrypt then
    return codec.base64url_encode(crypto.seal(key.seal, payload, { aad = self.name }))
  end
  return codec.base64url_encode(payload) .. "." .. codec.base64url_encode(signature(self, key, payload))
end

-- The payload of a token that one of the keys has made.
local function authenticate(self, token)
  local text, mac = token:match("^([%w_-]+)%.?([%w_-]*)$")
  local bytes = text and codec.base64url_decode(text)
  mac = mac and codec.base64url_decode(mac)
  if not bytes or not mac or (mac == "") ~= self.encrypt then
    return nil
  end
  for _, key in ipairs(self.keys) do
    if self.encrypt then
      local payload = crypto.open(key.seal, bytes, { aad = self.name })
      if payload then
        return payload
      end
    elseif crypto.equal(signature(self, key, bytes), mac) then
      return bytes
    end
  end
end

-- The data of a token, its JSON and its end; nil: it is none, or over.
local function read(self, token)
  local payload = token and authenticate(self, token)
  if not payload or #payload < 8 then
    return nil
  end
  local ends = string.unpack(">I8", payload)
  local text = payload:sub(9)
  local data = ends > os.time() and json.decode(text)
  if type(data) == "table" then
    return data, text, ends
  end
end

local function set(self, response, value)
  local options = self.cookie
  if options.secure == nil then
    options = setmetatable({ secure = response:is_secure() }, { __index = options })
  end
  local encode = value and cookie.encode or cookie.encode_removal
  local ok, field = pcall(encode, self.name, value or options, options)
  if not ok then
    error(("session: %s"):format(field:match("%((.*)%)$") or field), 0)
  end
  response:add_header("Set-Cookie", field)
end

-- What a session is now: nil when it is empty, for that is as good as none.
local function text_of(data)
  return type(data) == "table" and next(data) ~= nil and json.encode(data, { sorted = true }) or nil
end

-- Sets the cookie when the session has changed, or is half over. Returns what it is now.
local function save(self, response, data, token, text, ends)
  local now = text_of(data)
  if not now and token then
    set(self, response, nil)
  elseif now ~= text or now and ends - os.time() < self.max_age / 2 then
    set(self, response, write(self, now))
  end
  return now
end

local function warn_of_change(request, saved)
  local ok, now = pcall(text_of, request.session)
  if not ok or now ~= saved then
    log.warn("a session changed after the response had begun: the change is lost", { path = request.path })
  end
end

local function serve(self, next_handler, request, response, ctx)
  local token = cookie.find(request:header("cookie"), self.name)
  local data, text, ends = read(self, token)
  request.session = data or {}
  local is_saved, saved = false, nil
  before_head(response, function()
    saved = save(self, response, request.session, token, text, ends)
    is_saved = true
  end)
  next_handler(request, response, ctx)
  if is_saved then
    warn_of_change(request, saved)
  end
end

--- A middleware that gives each request a table `request.session`, which comes
--- back with the next request of the visitor when it was changed before the
--- response began. Whatever JSON has may be in it, about 3000 bytes in all. When
--- it is empty the cookie is removed.
---@param options moonwire.http.session_options
---@return moonwire.http.middleware
function session.new(options)
  check.type(options, "table", 1, "new")
  check.options(options, KNOWN, 1, "new")
  local keys, problem = derive_keys(options.keys or {})
  if not keys then
    check.refuse(1, "new", problem)
  end
  local max_age = options.max_age or DAY
  local self = {
    name = options.name or "session", max_age = max_age, keys = keys, encrypt = options.encrypt or false,
    cookie = {
      path = options.path, domain = options.domain, secure = options.secure, same_site = options.same_site,
      max_age = options.persistent and max_age or nil,
    },
  }
  local ok, message = pcall(cookie.encode, self.name, "", setmetatable({
    secure = options.secure ~= false,
  }, { __index = self.cookie }))
  if not ok then
    check.refuse(1, "new", message:match("%((.*)%)$") or message)
  end
  return function(next_handler)
    return function(request, response, ctx)
      return serve(self, next_handler, request, response, ctx)
    end
  end
end

--- A token for a form, or for a header of a script's request, that shows that the
--- page came from here: it belongs to the session of the request. Another one
--- each time; all count as long as the session does.
---@param request moonwire.http.request behind session.new
---@return string token letters, digits, "-", "_" and "."
function session.token(request)
  local data = request.session
  if type(data) ~= "table" then
    check.refuse(1, "token", "a request with a session expected")
  end
  data.csrf = data.csrf or codec.base64url_encode(crypto.random_bytes(18))
  local nonce = codec.base64url_encode(crypto.random_bytes(NONCE))
  local mac = crypto.hmac("sha256", data.csrf, nonce):sub(1, MAC)
  return nonce .. "." .. codec.base64url_encode(mac)
end

--- Whether a token is one of the session of the request.
---@param request moonwire.http.request behind session.new
---@param token? string
---@return boolean
function session.is_token(request, token)
  local data = request.session
  local nonce, mac = (token or ""):match("^([%w_-]+)%.([%w_-]+)$")
  if type(data) ~= "table" or type(data.csrf) ~= "string" or not nonce then
    return false
  end
  local right = codec.base64url_encode(crypto.hmac("sha256", data.csrf, nonce):sub(1, MAC))
  return crypto.equal(right, mac)
end

return session
