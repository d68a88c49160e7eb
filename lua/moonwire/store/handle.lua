--- An open store: checks what scripts give, turns values into bytes, and has a backend keep these. Not for
--- scripts, which get one from moonwire.store.
---
--- A backend is a module lua/moonwire/store/SCHEME.lua, found by the scheme of the URL:
---
---     return {
---       shared = true,                    -- processes that open the same URL see the same keys
---       check = function(address) … end,  -- what is wrong with it, a string, or nil; opens nothing
---       open = function(address) … end,   -- → moonwire.store.backend | nil, err, code; connects at the
--- first use
---     }
---
--- All it is given was checked; it keeps bytes and knows no values. Any function may wait, and fail with
--- `nil, err, code`.
local check = require "moonwire.check"
local core = require "moonwire.core"
local value = require "moonwire.store.value"

---@alias moonwire.store.exchange
---| fun(self, key: string, expected?: string, bytes?: string, expire?: number): true?, string?

---@class moonwire.store.backend
--- The bytes, or nil, err, "not_found".
---@field get fun(self, key: string): string?, string?, moonwire.code?
--- Keeps them for so many seconds, or until they are replaced. `new`: nil, err, "exists" when the key
--- is there.
---@field set fun(self, key: string, bytes: string, expire?: number, new: boolean): true?, string?
--- Whether it was there.
---@field delete fun(self, key: string): boolean?, string?, moonwire.code?
--- Adds to decimal digits, from 0 when the key is not there, which gets its time then; one that is there
--- keeps its own. nil, err, "invalid" when it holds something else, or the sum is no 64-bit integer.
---@field incr fun(self, key: string, by: integer, expire?: number): integer?, string?, moonwire.code?
--- Sets the time of a key anew; nil: it has none any more. nil, err, "not_found".
---@field expire fun(self, key: string, seconds?: number): true?, string?, moonwire.code?
--- In one step: if the key holds these bytes (nil: is not there) it holds the new ones (nil: is gone) with
--- this time. nil, err, "conflict".
---@field compare_and_set moonwire.store.exchange
--- The first `count` keys, in order of their bytes, that begin with `prefix` and come behind `after` (nil:
--- all): a list key, bytes, key, bytes, … Fewer than `count` pairs: there are no more.
---@field scan fun(self, prefix: string, after?: string, count: integer): string[]?, string?, moonwire.code?
---@field close fun(self)

---@class moonwire.store
---@field private backend moonwire.store.backend
---@field private url string
local Store = { __name = "moonwire.store" }
Store.__index = Store

local KEY_MOST <const> = 500
local SCAN_MAX <const> = 1000
local SCAN_PAGE <const> = 100 -- pairs that are read at once
local NEVER <const> = 1 << 40 -- seconds, 35,000 years

local SET <const> = { expire = "seconds", only_new = "boolean" }
local EXPIRE <const> = { expire = "seconds" }
local SCAN <const> = { max = "integer", after = "string" }

---@param backend moonwire.store.backend
---@param url string
---@return moonwire.store
function Store.new(backend, url)
  return setmetatable({ backend = backend, url = url }, Store)
end

-- What is wrong with a key; nil: nothing.
local function key_problem(key)
  if type(key) ~= "string" then
    return ("string expected, got %s"):format(type(key))
  elseif #key == 0 or #key > KEY_MOST then
    return ("a key of 1 to %d bytes expected, got %d"):format(KEY_MOST, #key)
  end
end

local function refuse(position, name, problem)
  error(("bad argument #%d to '%s' (%s)"):format(position, name, problem), 4)
end

local function check_key(key, name)
  local problem = key_problem(key)
  if problem then
    refuse(1, name, problem)
  end
end

local function check_value(given, position, name)
  if given == nil then
    refuse(position, name, "the value is nil; delete takes a key away")
  end
end

-- Seconds, or nil for never.
local function lifetime(seconds)
  return seconds and seconds < NEVER and seconds or nil
end

-- An option of a table that may be absent.
local function option(options, name)
  return options and options[name]
end

--- What is kept under a key.
---@param key string
---@return any value
---@return string? err
---@return moonwire.code? code "not_found"
function Store:get(key)
  check.object(self, Store, "get")
  check_key(key, "get")
  local bytes, err, code = self.backend:get(key)
  if not bytes then
    return nil, err, code
  end
  return value.decode(bytes)
end

--- Keeps a value under a key, for a time or until it is replaced. Plain data only, as on the bus; raises for
--- all else.
---@param key string 1 to 500 bytes
---@param given any not nil; 1 MiB at most
---@param options? moonwire.store_set_options
---@return true?
---@return string? err
---@return moonwire.code? code "exists", "full", "too_large"
function Store:set(key, given, options)
  check.object(self, Store, "set")
  check_key(key, "set")
  check_value(given, 2, "set")
  check.options(options, SET, 3, "set")
  local bytes, err, code = value.encode(given, "value")
  if not bytes then
    return nil, err, code
  end
  local only_new = option(options, "only_new") or false
  return self.backend:set(key, bytes, lifetime(option(options, "expire")), only_new)
end

--- Takes a key away.
---@param key string
---@return boolean? was_there
---@return string? err
---@return moonwire.code? code
function Store:delete(key)
  check.object(self, Store, "delete")
  check_key(key, "delete")
  return self.backend:delete(key)
end

--- Counts: adds to the integer under a key, from 0 when it is not there.
---@param key string
---@param by? integer default 1; may be negative
---@param options? moonwire.store_expire_options of a key that this makes; later ones change nothing
---@return integer? sum
---@return string? err
---@return moonwire.code? code "invalid": it is no integer, or would not fit; "full"
function Store:incr(key, by, options)
  check.object(self, Store, "incr")
  check_key(key, "incr")
  if by ~= nil and math.type(by) ~= "integer" then
    check.refuse(2, "incr", "integer expected, got " .. (type(by) == "number" and tostring(by) or type(by)))
  end
  check.options(options, EXPIRE, 3, "incr")
  return self.backend:incr(key, by or 1, lifetime(option(options, "expire")))
end

--- Sets when a key that is there will be gone.
---@param key string
---@param seconds number|false from now; false: never
---@return true?
---@return string? err
---@return moonwire.code? code "not_found"
function Store:expire(key, seconds)
  check.object(self, Store, "expire")
  check_key(key, "expire")
  if seconds ~= false then
    check.seconds(seconds, 2, "expire")
  end
  return self.backend:expire(key, lifetime(seconds))
end

-- The bytes that are kept now, if they are the table that is expected: equal tables may be written in
-- another order.
local function stored_table(self, key, expected)
  local bytes, err, code = self.backend:get(key)
  if bytes and value.equal(value.decode(bytes), expected) then
    return bytes
  elseif bytes or code == "not_found" then
    return nil, "conflict", "conflict"
  end
  return nil, err, code
end

-- Somebody else may write the same table in another order between the look and the change.
local function change_table(self, key, expected, bytes, seconds)
  local changed, err, code
  repeat
    local seen
    seen, err, code = stored_table(self, key, expected)
    if not seen then
      return nil, err, code
    end
    changed, err, code = self.backend:compare_and_set(key, seen, bytes, seconds)
  until code ~= "conflict"
  return changed, err, code
end

--- Changes a key only if it holds what is expected; in one step, whoever else writes. An integer and a float
--- are different.
---@param key string
---@param expected any nil: it is not there
---@param given any nil: it is taken away
---@param options? moonwire.store_expire_options
---@return true?
---@return string? err
---@return moonwire.code? code "conflict": it holds something else; "full", "too_large"
function Store:compare_and_set(key, expected, given, options)
  check.object(self, Store, "compare_and_set")
  check_key(key, "compare_and_set")
  check.options(options, EXPIRE, 4, "compare_and_set")
  local bytes, err, code
  if given ~= nil then
    bytes, err, code = value.encode(given, "value")
    if not bytes then
      return nil, err, code
    end
  end
  local seconds = lifetime(option(options, "expire"))
  if type(expected) == "table" then
    return change_table(self, key, expected, bytes, seconds)
  elseif expected ~= nil then
    expected = value.encode(expected, "expected")
    if not expected then
      return nil, "conflict", "conflict"
    end
  end
  return self.backend:compare_and_set(key, expected, bytes, seconds)
end

local function read_page(self, state)
  local count = math.min(SCAN_PAGE, state.left)
  local pairs_of, err, code = self.backend:scan(state.prefix, state.after, count)
  if not pairs_of then
    error(core.fault(code, err), 0)
  end
  local got = #pairs_of // 2
  state.page, state.at = pairs_of, 1
  state.left = got == count and state.left - count or 0
  state.after = pairs_of[2 * got - 1]
end

--- Goes through the keys that begin with `prefix`, in order of their bytes. A key that comes or goes
--- meanwhile may be among them or not. Raises a fault when the store cannot be read.
---@param prefix string may be empty
---@param options? moonwire.store_scan_options
---@return fun(): string?, any next key, value
function Store:scan(prefix, options)
  check.object(self, Store, "scan")
  check.type(prefix, "string", 1, "scan")
  check.options(options, SCAN, 2, "scan")
  if #prefix > KEY_MOST then
    check.refuse(1, "scan", ("a prefix of at most %d bytes expected"):format(KEY_MOST))
  end
  local after, most = option(options, "after"), option(options, "max") or SCAN_MAX
  local state = { prefix = prefix, after = after, left = most }
  return function()
    if (not state.page or state.at > #state.page) and state.left > 0 then
      read_page(self, state)
    end
    local key, bytes = state.page[state.at], state.page[state.at + 1]
    if key then
      state.at = state.at + 2
      return key, value.decode(bytes)
    end
  end
end

--- Ends the use of a store that was opened. Its keys stay where it keeps them.
function Store:close()
  check.object(self, Store, "close")
  self.backend:close()
end

Store.__close = Store.close

function Store:__tostring()
  return ("%s: %s"):format(Store.__name, self.url:gsub("//[^/@]*@", "//"))
end

return Store
